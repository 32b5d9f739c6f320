//! Finds out who sends a request: by its session cookie, or by its access token.

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderValue;
use http::header::COOKIE;

use crate::auth::cookie::EmbedCookie;
use crate::auth::{Auth, Authentication, Credential, Person, Program, Session, Visitor};
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::admit::browser;
use crate::proxy::phases::admit::rate::Rates;
use crate::proxy::phases::route::requirements::Requirements;

/// The sender of a request.
#[derive(Debug, Default)]
pub(crate) struct Caller {
    /// The session of the cookie or of the access token.
    pub session: Option<Arc<Session>>,
    /// The person of that session.
    pub person: Option<Arc<Person>>,
    /// `Set-Cookie` values for the response.
    pub cookies: Vec<HeaderValue>,
    /// For the login, if the request carries the cookies of several sessions.
    pub dispute: Option<String>,
    /// The session is that of a cookie for frames of the app.
    pub in_frame: bool,
}

/// Looks up the session cookie, except where the request needs no session and the app receives no
/// identity headers. Of an app with `bearer`, an access token goes before the cookie.
///
/// # Errors
///
/// [`Refusal::IssuerDown`]: the request needs a session, and the issuer that must confirm it does
/// not respond. [`Refusal::BadToken`]: the access token lets nobody in.
/// [`Refusal::TooManyRequests`]: the client has sent too many new tokens.
pub(crate) async fn authenticate(
    auth: Option<&Auth>,
    visitor: Visitor<'_>,
    requirements: &Requirements,
    rates: &Rates,
) -> Result<Caller, Refusal> {
    if let Some(auth) = auth.filter(|_| requirements.accept_tokens()) {
        match Credential::of(visitor.headers) {
            // Boxed: this future is rare and large, and would enlarge the future of every request.
            Credential::Token(token) => {
                return Box::pin(program(auth, token, visitor.client, rates)).await;
            }
            Credential::Unreadable => {
                let reason = "the Authorization header holds no access token".to_owned();
                return Err(Refusal::BadToken { reason });
            }
            Credential::None => {}
        }
    }
    let optional = requirements.are_public();
    let unused = requirements.app().identity.is_empty() || !visitor.headers.contains_key(COOKIE);
    let Some(auth) = auth.filter(|_| !(optional && unused)) else { return Ok(Caller::default()) };
    let caller = match identify(auth, visitor).await {
        Ok(caller) if caller.session.is_none() && caller.dispute.is_none() => {
            match &requirements.app().embedding {
                Some(one) if browser::is_of_own_frame(visitor.method, visitor.headers) => {
                    // Boxed like the future of a program.
                    Box::pin(in_frame(auth, visitor, &one.cookie, caller)).await
                }
                _ => Ok(caller),
            }
        }
        other => other,
    };
    match caller {
        Err(Refusal::IssuerDown) if optional => Ok(Caller::default()),
        other => other,
    }
}

/// Looks up the cookie of a frame. `caller`: what is known without it.
async fn in_frame(
    auth: &Auth,
    visitor: Visitor<'_>,
    cookie: &EmbedCookie,
    caller: Caller,
) -> Result<Caller, Refusal> {
    match auth.authenticate_in_frame(visitor, cookie).await {
        Authentication::SignedIn { session, .. } => {
            let person = Some(auth.person(&session));
            Ok(Caller { person, session: Some(session), in_frame: true, ..caller })
        }
        Authentication::Anonymous { .. } => Ok(caller),
        Authentication::Unavailable => Err(Refusal::IssuerDown),
    }
}

/// The program that an access token stands for. A token that was not seen before counts as a login of
/// its client: each may ask the issuer.
async fn program(
    auth: &Auth,
    token: &str,
    client: Option<IpAddr>,
    rates: &Rates,
) -> Result<Caller, Refusal> {
    let known = auth.known_program(token);
    if known.is_none() {
        rates.count_login(client)?;
    }
    let program = match known {
        Some(session) => Program::Known(session),
        None => auth.program(token, client).await,
    };
    let session = match program {
        Program::Known(session) => session,
        Program::Unknown(reason) => return Err(Refusal::BadToken { reason }),
        Program::Unavailable => return Err(Refusal::IssuerDown),
    };
    Ok(Caller { person: Some(auth.person(&session)), session: Some(session), ..Caller::default() })
}

/// Looks up the session cookie for an endpoint of the appliance.
pub(crate) async fn identify(auth: &Auth, visitor: Visitor<'_>) -> Result<Caller, Refusal> {
    match auth.authenticate(visitor).await {
        Authentication::Anonymous { clear, dispute } => {
            Ok(Caller { cookies: clear, dispute, ..Caller::default() })
        }
        Authentication::SignedIn { session, set_cookie } => Ok(Caller {
            person: Some(auth.person(&session)),
            session: Some(session),
            cookies: set_cookie.into_iter().collect(),
            ..Caller::default()
        }),
        Authentication::Unavailable => Err(Refusal::IssuerDown),
    }
}
