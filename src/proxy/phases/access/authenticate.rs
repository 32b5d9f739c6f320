//! Who sends a request: the session behind its cookie.

use std::sync::Arc;

use http::HeaderValue;
use http::header::{COOKIE, HeaderMap};

use crate::auth::{Auth, Authentication, Person, Session};
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::route::terms::Terms;

/// The sender of a request, as far as its session cookie tells.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// The session that the cookie names.
    pub session: Option<Arc<Session>>,
    /// The person of that session.
    pub person: Option<Arc<Person>>,
    /// `Set-Cookie` values for the response.
    pub cookies: Vec<HeaderValue>,
}

/// Looks up the session cookie. It is skipped where nobody needs to sign in and the app receives
/// no identity headers.
pub(crate) async fn authenticate(
    auth: Option<&Auth>,
    headers: &HeaderMap,
    terms: &Terms,
) -> Result<Caller, Refusal> {
    let optional = terms.is_public();
    let silent = terms.target().identity.is_empty() || !headers.contains_key(COOKIE);
    let Some(auth) = auth.filter(|_| !(optional && silent)) else { return Ok(Caller::default()) };
    match identify(auth, headers).await {
        Err(Refusal::IssuerDown) if optional => Ok(Caller::default()),
        other => other,
    }
}

/// Looks up the session cookie for one of the appliance's own pages.
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
