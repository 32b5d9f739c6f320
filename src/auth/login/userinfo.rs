//! `/oauth2/userinfo`: who is signed in, as JSON.

use std::collections::BTreeMap;

use http::StatusCode;
use serde_json::json;

use super::Reply;
use crate::auth::authentication::Authentication;
use crate::auth::person::Person;
use crate::auth::person::policy::Reason;

/// The person of a request: 200, 401 without a session, 503 if the issuer does not answer. `reasons`
/// says of each app why it is open or shut to the person.
pub(crate) fn userinfo<'a>(
    authentication: Authentication,
    reasons: impl FnOnce(&Person) -> BTreeMap<&'a str, Reason>,
) -> Reply {
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
    let reasons = reasons(&person).into_iter().map(|(app, reason)| (app, reason.as_str()));
    let body = json!({
        "user": person.user,
        "email": person.email.known(),
        "groups": person.told_groups(),
        "preferredUsername": person.preferred_username,
        "reasons": reasons.collect::<BTreeMap<_, _>>(),
    });
    Reply::Json { status: StatusCode::OK, body: body.to_string(), cookies }
}
