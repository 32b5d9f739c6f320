//! Who sends a request: the session behind its cookie.

use std::sync::Arc;

use http::HeaderValue;
use http::header::COOKIE;

use crate::auth::{Auth, Authentication, Person, Session, Visitor};
use crate::config::Access;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::target::{Policy, Target};

/// The sender of a request, as far as its session cookie tells.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// The session that the cookie names.
    pub session: Option<Arc<Session>>,
    /// The person of that session.
    pub person: Option<Arc<Person>>,
    /// `Set-Cookie` values for the response.
    pub cookies: Vec<HeaderValue>,
    /// For the login, if the request carries the cookies of several sessions.
    pub dispute: Option<String>,
}

/// Looks up the session cookie. It is skipped where the policy is public and the app receives no
/// identity headers.
pub(crate) async fn authenticate(
    auth: Option<&Auth>,
    visitor: Visitor<'_>,
    target: &Target,
    policy: Policy<'_>,
) -> Result<Caller, Refusal> {
    let optional = *policy.access == Access::Public && policy.deny.is_none();
    let silent = target.identity.is_empty() || !visitor.headers.contains_key(COOKIE);
    let Some(auth) = auth.filter(|_| !(optional && silent)) else { return Ok(Caller::default()) };
    match identify(auth, visitor).await {
        Err(Refusal::IssuerDown) if optional => Ok(Caller::default()),
        other => other,
    }
}

/// Looks up the session cookie for one of the appliance's own pages.
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
