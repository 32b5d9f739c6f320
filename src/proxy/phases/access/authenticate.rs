//! Finds out who sends a request: the session of its cookie.

use std::sync::Arc;

use http::HeaderValue;
use http::header::{COOKIE, HeaderMap};

use crate::auth::{Auth, Authentication, Person, Session};
use crate::config::Access;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::routed_app::{Policy, RoutedApp};

/// The sender of a request, according to its session cookie.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// The session of the cookie.
    pub session: Option<Arc<Session>>,
    /// The person of that session.
    pub person: Option<Arc<Person>>,
    /// `Set-Cookie` values for the response.
    pub cookies: Vec<HeaderValue>,
}

/// Looks up the session cookie, except where the policy is public and the app receives no identity
/// headers.
///
/// # Errors
///
/// [`Refusal::IssuerDown`]: the policy requires a session, and the issuer that must confirm it does
/// not respond.
pub(crate) async fn authenticate(
    auth: Option<&Auth>,
    headers: &HeaderMap,
    app: &RoutedApp,
    policy: Policy<'_>,
) -> Result<Caller, Refusal> {
    let optional = *policy.access == Access::Public && policy.deny.is_none();
    let unused = app.identity.is_empty() || !headers.contains_key(COOKIE);
    let Some(auth) = auth.filter(|_| !(optional && unused)) else { return Ok(Caller::default()) };
    match identify(auth, headers).await {
        Err(Refusal::IssuerDown) if optional => Ok(Caller::default()),
        other => other,
    }
}

/// Looks up the session cookie for an endpoint of the appliance.
pub(crate) async fn identify(auth: &Auth, headers: &HeaderMap) -> Result<Caller, Refusal> {
    match auth.authenticate(headers).await {
        Authentication::Anonymous { clear } => Ok(Caller { cookies: clear, ..Caller::default() }),
        Authentication::SignedIn { session, set_cookie } => Ok(Caller {
            person: Some(session.person()),
            session: Some(session),
            cookies: set_cookie.into_iter().collect(),
        }),
        Authentication::Unavailable => Err(Refusal::IssuerDown),
    }
}
