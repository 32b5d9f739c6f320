//! `/oauth2/userinfo`: who is signed in, as JSON.

use http::StatusCode;
use serde_json::json;

use super::Reply;
use crate::auth::authentication::Authentication;

/// The person of a request: 200, 401 without a session, 503 if the issuer does not answer.
pub(crate) fn userinfo(authentication: Authentication) -> Reply {
    let (person, cookies) = match authentication {
        Authentication::SignedIn { session, set_cookie } => {
            (session.person(), set_cookie.into_iter().collect())
        }
        Authentication::Anonymous { clear, .. } => {
            let body = json!("You are not signed in.").to_string();
            return Reply::Json { status: StatusCode::UNAUTHORIZED, body, cookies: clear };
        }
        Authentication::Unavailable => return Reply::unavailable(),
    };
    let body = json!({
        "user": person.user,
        "email": person.email.known(),
        "groups": person.told_groups(),
        "preferredUsername": person.preferred_username,
    });
    Reply::Json { status: StatusCode::OK, body: body.to_string(), cookies }
}
