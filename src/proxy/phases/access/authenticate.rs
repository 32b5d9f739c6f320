//! Finds out who sends a request: the session of its cookie.

use std::sync::Arc;

use http::HeaderValue;
use http::header::COOKIE;

use crate::auth::{Auth, Authentication, Person, Session, Visitor};
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::requirements::Requirements;

/// The sender of a request, according to its session cookie.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// The session of the cookie.
    pub session: Option<Arc<Session>>,
    /// The person of that session.
    pub person: Option<Arc<Person>>,
    /// `Set-Cookie` values for the response.
    pub cookies: Vec<HeaderValue>,
    /// For the login, if the request carries the cookies of several sessions.
    pub dispute: Option<String>,
}

/// Looks up the session cookie, except where the request needs no session and the app receives no
/// identity headers.
///
/// # Errors
///
/// [`Refusal::IssuerDown`]: the request needs a session, and the issuer that must confirm it does
/// not respond.
pub(crate) async fn authenticate(
    auth: Option<&Auth>,
    visitor: Visitor<'_>,
    requirements: &Requirements,
) -> Result<Caller, Refusal> {
    let optional = requirements.are_public();
    let unused = requirements.app().identity.is_empty() || !visitor.headers.contains_key(COOKIE);
    let Some(auth) = auth.filter(|_| !(optional && unused)) else { return Ok(Caller::default()) };
    match identify(auth, visitor).await {
        Err(Refusal::IssuerDown) if optional => Ok(Caller::default()),
        other => other,
    }
}

/// Looks up the session cookie for an endpoint of the appliance.
pub(crate) async fn identify(auth: &Auth, visitor: Visitor<'_>) -> Result<Caller, Refusal> {
    match auth.authenticate(visitor).await {
        Authentication::Anonymous { clear, dispute } => {
            Ok(Caller { cookies: clear, dispute, ..Caller::default() })
        }
        Authentication::SignedIn { session, set_cookie } => Ok(Caller {
            person: Some(session.person()),
            session: Some(session),
            cookies: set_cookie.into_iter().collect(),
            dispute: None,
        }),
        Authentication::Unavailable => Err(Refusal::IssuerDown),
    }
}
