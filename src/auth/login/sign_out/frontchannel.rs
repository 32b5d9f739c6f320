//! `/oauth2/frontchannel_logout`: a page of the issuer loads this address in a frame when a session has
//! ended there (OpenID Connect Front-Channel Logout 1.0 §2).
//!
//! The request has no cookie of the appliance, because the frame is on a page of another site. The
//! issuer's name for its session (`sid`) is what it has. A stranger cannot guess it; a program that gets
//! tokens of this session can read it there, and end the session with it, but no more. Nothing is
//! remembered for a `sid` that no session in force has, so a stranger leaves no trace.

use http::{HeaderMap, StatusCode};

use super::backchannel::end_all;
use crate::auth::login::reply::Reply;
use crate::auth::login::start::parameter;
use crate::auth::session::renewal::Grants;
use crate::auth::session::store::{SessionStore as _, Which};

/// Answers one request. `query` must have `iss`, the issuer, and `sid`.
pub(crate) async fn serve(grants: &Grants, query: &str) -> Reply {
    let empty = |status| Reply::Empty { status, headers: HeaderMap::new() };
    let Some((iss, sid)) = names(query) else {
        return empty(StatusCode::BAD_REQUEST);
    };
    let which = Which::OfIssuerSession { sid: &sid, subject: None };
    if iss == grants.issuer.url() && !grants.sessions.list(which).await.is_empty() {
        end_all(grants, which).await;
    }
    empty(StatusCode::OK)
}

/// `iss` and `sid`, if the query has each of them once.
fn names(query: &str) -> Option<(String, String)> {
    let one = |name| parameter(query, name).filter(|value| !value.is_empty());
    Some((one("iss")?, one("sid")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_names_issuer_and_session_once() {
        let (iss, sid) = names("iss=https%3A%2F%2Fid.test%2Fr&sid=a-1&x=y").unwrap();
        assert_eq!((&*iss, &*sid), ("https://id.test/r", "a-1"));
        for bad in ["", "iss=a", "sid=a", "iss=&sid=a", "iss=a&sid=", "iss=a&sid=b&sid=c"] {
            assert_eq!(names(bad), None, "{bad}");
        }
    }
}
