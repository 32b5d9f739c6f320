//! Finds out who sends a request, and checks that the caller has access and that the app is ready.
//!
//! The app's state comes last, because its refusal names the app: a stranger learns nothing about an
//! app.

use http::request::Parts;

use super::context::RequestContext;
use crate::auth::Visitor;
use crate::proxy::Proxy;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::access::authenticate::{self, Caller};
use crate::proxy::phases::access::{authorise, limits, page_origin};
use crate::proxy::phases::route::places::Waiter;
use crate::proxy::phases::route::requirements::Requirements;
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

/// The caller of a permitted request. `path_and_query` is the request target as sent.
///
/// # Errors
///
/// The refusal of the first check that fails.
pub(super) async fn permit(
    proxy: &Proxy,
    request: &mut RequestContext,
    head: &Parts,
    requirements: &Requirements,
    path_and_query: &str,
    kind: Kind,
) -> Result<Caller, Refusal> {
    let app = requirements.app();
    let (headers, public) = (&head.headers, proxy.public_origin());

    // gate, limits
    readiness::check_gate(&proxy.gate, app)?;
    limits::check(app, headers)?;
    if kind.websocket {
        page_origin::check_handshake(app, headers, public)?;
    }

    let caller = identify(proxy, request, head, requirements, path_and_query, kind).await?;
    // readiness
    match readiness::check_app(app) {
        Ok(()) => Ok(caller),
        Err(refusal) if !kind.may_wait => Err(refusal),
        Err(_) => {
            let (address, signed_in) = (request.record.client_ip, caller.session.is_some());
            Box::pin(hold::wait(app, &proxy.holds, Waiter { address, signed_in })).await;
            readiness::check_app(app)?;
            // The session may have ended meanwhile.
            let again = identify(proxy, request, head, requirements, path_and_query, kind);
            Box::pin(again).await
        }
    }
}

/// Authenticates and authorises the caller.
async fn identify(
    proxy: &Proxy,
    request: &mut RequestContext,
    head: &Parts,
    requirements: &Requirements,
    path_and_query: &str,
    kind: Kind,
) -> Result<Caller, Refusal> {
    let (headers, public) = (&head.headers, proxy.public_origin());

    // authenticate
    let auth = proxy.auth.as_deref();
    let (path, client) = (head.uri.path(), request.record.client_ip);
    let visitor = Visitor { method: &head.method, headers, path, client };
    let mut caller = authenticate::authenticate(auth, visitor, requirements).await?;
    if !caller.cookies.is_empty() {
        request.cookies = std::mem::take(&mut caller.cookies);
    }
    request.record.person.clone_from(&caller.person);

    // authorise
    authorise::authorise(&caller, requirements, kind.navigation, path_and_query)?;
    if caller.session.is_some() {
        page_origin::check_unsafe(requirements.app(), &head.method, headers, public)?;
    }
    Ok(caller)
}
