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
use crate::proxy::phases::route::readiness;
use crate::proxy::phases::route::requirements::Requirements;

/// The caller of a permitted request. `path_and_query` is the request target as sent; a `navigation`
/// without a session is redirected to the login.
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
    websocket: bool,
    navigation: bool,
) -> Result<Caller, Refusal> {
    let app = requirements.app();
    let (headers, public) = (&head.headers, proxy.public_origin());

    // gate, limits
    readiness::check_gate(&proxy.gate, app)?;
    limits::check(app, headers)?;
    if websocket {
        page_origin::check_handshake(app, headers, public)?;
    }

    // authenticate
    let auth = proxy.auth.as_deref();
    let visitor = Visitor { headers, path: head.uri.path(), client: request.record.client_ip };
    let mut caller = authenticate::authenticate(auth, visitor, requirements).await?;
    request.cookies = std::mem::take(&mut caller.cookies);
    request.record.person.clone_from(&caller.person);

    // authorise
    authorise::authorise(&caller, requirements, navigation, path_and_query)?;
    if caller.session.is_some() {
        page_origin::check_unsafe(app, &head.method, headers, public)?;
    }

    // readiness
    readiness::check_app(app)?;
    if let Some(session) = &caller.session {
        session.touch();
    }
    Ok(caller)
}
