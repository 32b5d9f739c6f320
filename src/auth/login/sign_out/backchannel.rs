//! `/oauth2/backchannel_logout`: the issuer says that sessions have ended (OpenID Connect Back-Channel
//! Logout 1.0).
//!
//! Anybody can send such a request; the signature of its token decides. What a stranger can cause is
//! limited: the size of the body by the caller, the calls that wait for the issuer's keys by a
//! turnstile, the fetches of keys by time, and the log lines by cause.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use tracing::{info, warn};

use crate::auth::issuer::{LogoutToken, TokenFault};
use crate::auth::login::reply::Reply;
use crate::auth::login::start::parameter;
use crate::auth::runtime::Turnstile;
use crate::auth::session::renewal::Grants;
use crate::auth::session::store::{EndReason, SessionStore as _, Which};
use crate::telemetry::Throttle;

const FORM: &[u8] = b"application/x-www-form-urlencoded";
/// How long a call waits while too many others wait for the issuer's keys. Keycloak gives up after
/// five seconds.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// Ends sessions at the word of the issuer. Cheap to clone; clones share the limits.
#[derive(Debug, Clone, Default)]
pub(crate) struct BackchannelLogout {
    turnstile: Turnstile,
    refusals: Arc<Throttle>,
}

/// Why a request ends no session. The texts are for the log and for the issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Fault {
    #[error("the body is not a form with one `logout_token`")]
    NoToken,
    #[error("the logout token is not valid: {0}")]
    Token(#[from] TokenFault),
    #[error("the logout token was used before")]
    Replayed,
    #[error("too many logouts wait for the issuer's keys")]
    Busy,
}

impl BackchannelLogout {
    /// Answers one request. `form` is its body, `client` its sender.
    pub(crate) async fn serve(
        &self,
        grants: &Grants,
        headers: &HeaderMap,
        form: &[u8],
        client: Option<IpAddr>,
    ) -> Reply {
        match self.end_sessions(grants, headers, form, client).await {
            Ok(()) => Reply::Empty { status: StatusCode::OK, headers: HeaderMap::new() },
            Err(fault) => {
                let reason = fault.to_string();
                if let Some(left_out) = self.refusals.note(&reason, Instant::now()) {
                    warn!(reason, left_out, "a logout by the issuer was refused");
                }
                refused(fault, &reason)
            }
        }
    }

    async fn end_sessions(
        &self,
        grants: &Grants,
        headers: &HeaderMap,
        form: &[u8],
        client: Option<IpAddr>,
    ) -> Result<(), Fault> {
        let token = logout_token(headers, form).ok_or(Fault::NoToken)?;
        let pass = self.turnstile.enter_within(client, MAX_WAIT).await.ok_or(Fault::Busy)?;
        let verified = grants.issuer.verify_logout_token(&token).await?;
        drop(pass);
        let LogoutToken { subject, sid, id, ends } = verified;
        if !grants.sessions.use_logout_token(&id, ends).await {
            return Err(Fault::Replayed);
        }
        let which = match (&sid, &subject) {
            (Some(sid), subject) => Which::OfIssuerSession { sid, subject: subject.as_deref() },
            (None, Some(subject)) => Which::OfSubject { subject, except: None },
            (None, None) => return Ok(()),
        };
        end_all(grants, which).await;
        Ok(())
    }
}

/// Ends sessions at the word of the issuer.
pub(super) async fn end_all(grants: &Grants, which: Which<'_>) {
    let by_session = matches!(which, Which::OfIssuerSession { .. });
    let sessions = grants.sessions.end_all(which, EndReason::LoggedOut).await.len();
    info!(sessions, by_session, "the issuer has signed a person out");
}

/// The token of a form; `None` without one, and with several.
fn logout_token(headers: &HeaderMap, form: &[u8]) -> Option<String> {
    let kind = headers.get(CONTENT_TYPE)?.as_bytes().split(|&byte| byte == b';').next()?;
    if !kind.trim_ascii().eq_ignore_ascii_case(FORM) {
        return None;
    }
    parameter(form, "logout_token")
}

/// §2.8: 400, and what is wrong. 503 if the same request may succeed later.
fn refused(fault: Fault, reason: &str) -> Reply {
    let (status, error) = match fault {
        Fault::Busy | Fault::Token(TokenFault::NotReady) => {
            (StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable")
        }
        Fault::NoToken | Fault::Token(_) | Fault::Replayed => {
            (StatusCode::BAD_REQUEST, "invalid_request")
        }
    };
    let body = serde_json::json!({ "error": error, "error_description": reason }).to_string();
    Reply::Json { status, body, cookies: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(kind: &str, form: &str) -> Option<String> {
        let mut headers = HeaderMap::new();
        if !kind.is_empty() {
            headers.insert(CONTENT_TYPE, kind.parse().unwrap());
        }
        logout_token(&headers, form.as_bytes())
    }

    #[test]
    fn a_form_has_one_token() {
        let form = "application/x-www-form-urlencoded";
        assert_eq!(token(form, "logout_token=a.b.c&x=y").as_deref(), Some("a.b.c"));
        let with_charset = "Application/X-WWW-Form-Urlencoded; charset=utf-8";
        assert_eq!(token(with_charset, "logout%5ftoken=a%2eb").as_deref(), Some("a.b"));
        for bad in ["", "logout_token", "token=a", "logout_token=a&logout_token=a"] {
            assert!(token(form, bad).is_none_or(|token| token.is_empty()), "{bad}");
        }
        for kind in ["", "application/json", "text/plain", "multipart/form-data"] {
            assert_eq!(token(kind, "logout_token=a"), None, "{kind}");
        }
    }

    #[test]
    fn only_what_may_succeed_later_is_no_error_of_the_request() {
        let status = |fault| match refused(fault, "why") {
            Reply::Json { status, body, .. } => (status.as_u16(), body.contains("why")),
            _ => panic!("no JSON"),
        };
        assert_eq!(status(Fault::Busy), (503, true));
        assert_eq!(status(TokenFault::NotReady.into()), (503, true));
        for fault in [Fault::NoToken, Fault::Replayed, TokenFault::BadSignature.into()] {
            assert_eq!(status(fault), (400, true));
        }
    }
}
