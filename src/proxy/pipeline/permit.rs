//! Finds out who sends a request, and checks that the caller has access and that the app is ready.
//!
//! The app's state comes last, because its refusal names the app: a stranger learns nothing about an
//! app.

use std::sync::Arc;

use http::request::Parts;

use super::context::RequestContext;
use crate::auth::Visitor;
use crate::proxy::Proxy;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::access::asked::Asked;
use crate::proxy::phases::access::authenticate::{self, Caller};
use crate::proxy::phases::access::{authorise, limits, page_origin, shield};
use crate::proxy::phases::route::places::Waiter;
use crate::proxy::phases::route::requirements::Requirements;
use crate::proxy::phases::route::wake::{self, Asking, Waking};
use crate::proxy::phases::route::{hold, readiness};

/// What kind of request is to be permitted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    pub(super) websocket: bool,
    /// Without a session, the request is redirected to the login.
    pub(super) navigation: bool,
    /// The request may wait for an app that restarts.
    pub(super) may_wait: bool,
}

/// The caller of a permitted request, and what the request has to meet: after a wait, that may be
/// what a reload has put in force meanwhile.
///
/// # Errors
///
/// The refusal of the first check that fails.
pub(super) async fn permit(
    proxy: &Proxy,
    request: &mut RequestContext,
    head: &Parts,
    requirements: Requirements,
    kind: Kind,
    asked: &Asked,
) -> Result<(Caller, Requirements), Refusal> {
    check(proxy, request, head, &requirements, kind, asked)?;
    let caller = identify(proxy, request, head, &requirements, kind, asked).await?;
    // readiness
    let Err(refusal) = readiness::check_app(requirements.app()) else {
        return Ok((caller, requirements));
    };
    let (address, signed_in) = (request.record.client_ip, caller.session.is_some());
    let waiter = Waiter { address, signed_in };
    let (app, holds) = (requirements.app(), &proxy.holds);
    match wake::wake(app, asking(request, head, kind)) {
        Waking::Refused(refusal) => return Err(refusal),
        Waking::Waits => Box::pin(hold::wait_for_start(app, holds, waiter)).await,
        Waking::No if !kind.may_wait => return Err(refusal),
        Waking::No => drop(Box::pin(hold::wait(app, holds, waiter)).await),
    }
    let requirements = if asked.is_stale() {
        asked.judged_like(&requirements).ok_or(refusal)?
    } else {
        requirements
    };
    readiness::check_app(requirements.app())?;
    // The session may have ended meanwhile, and the rules may be others.
    check(proxy, request, head, &requirements, kind, asked)?;
    let caller = Box::pin(identify(proxy, request, head, &requirements, kind, asked)).await?;
    Ok((caller, requirements))
}

fn asking<'a>(request: &RequestContext, head: &'a Parts, kind: Kind) -> Asking<'a> {
    Asking {
        method: &head.method,
        headers: &head.headers,
        websocket: kind.websocket,
        page: request.page,
        refresh: request.refresh,
    }
}

/// The checks that need no caller.
fn check(
    proxy: &Proxy,
    request: &mut RequestContext,
    head: &Parts,
    requirements: &Requirements,
    kind: Kind,
    asked: &Asked,
) -> Result<(), Refusal> {
    let app = requirements.app();
    request.record.route_to(Arc::clone(app));
    request.record.rule = requirements.rule();
    shield::check(app, asked.path.decoded(), &head.headers)?;

    // gate, limits
    readiness::check_gate(&proxy.gate, app)?;
    limits::check(app, &head.headers)?;
    if kind.websocket {
        page_origin::check_handshake(app, &head.headers, proxy.public_origin())?;
    }
    Ok(())
}

/// Authenticates and authorises the caller.
async fn identify(
    proxy: &Proxy,
    request: &mut RequestContext,
    head: &Parts,
    requirements: &Requirements,
    kind: Kind,
    asked: &Asked,
) -> Result<Caller, Refusal> {
    let (headers, public) = (&head.headers, proxy.public_origin());

    // authenticate
    let auth = proxy.auth.as_deref();
    let (path, client) = (head.uri.path(), request.record.client_ip);
    let visitor = Visitor { method: &head.method, headers, path, client };
    let mut caller = authenticate::authenticate(auth, visitor, requirements, &proxy.rates).await?;
    if !caller.cookies.is_empty() {
        request.cookies = std::mem::take(&mut caller.cookies);
    }
    request.record.person.clone_from(&caller.person);
    request.record.is_program = caller.session.as_ref().is_some_and(|one| one.is_program());

    // authorise
    let target = asked.path.sent().as_str();
    authorise::authorise(&caller, requirements, kind.navigation, target)?;
    // A page of another site cannot make a browser send an access token.
    if caller.session.as_ref().is_some_and(|session| !session.is_program()) {
        page_origin::check_unsafe(requirements.app(), &head.method, headers, public)?;
    }
    Ok(caller)
}
