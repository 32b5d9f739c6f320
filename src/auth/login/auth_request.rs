//! `/oauth2/auth`: the answer to the `auth_request` of a proxy in front (nginx, Traefik, Caddy).

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::Reply;
use crate::auth::authentication::Authentication;
use crate::auth::person::{Person, policy};
use crate::config::Constraints;

/// `Retry-After` while the issuer does not answer, seconds.
const RETRY_SECONDS: HeaderValue = HeaderValue::from_static("5");

const USER: HeaderName = HeaderName::from_static("x-auth-request-user");
const EMAIL: HeaderName = HeaderName::from_static("x-auth-request-email");
const GROUPS: HeaderName = HeaderName::from_static("x-auth-request-groups");
const PREFERRED_USERNAME: HeaderName = HeaderName::from_static("x-auth-request-preferred-username");

/// Whether the person of a request may pass the constraints in `query`: 202 with identity headers,
/// 401 without a session, 403 if a constraint is not met, 503 if the issuer does not answer.
pub(crate) fn auth_request(query: &str, authentication: Authentication) -> Reply {
    let empty = |status| Reply::Empty { status, headers: HeaderMap::new() };
    let (session, set_cookie) = match authentication {
        Authentication::SignedIn { session, set_cookie } => (session, set_cookie),
        Authentication::Anonymous { clear, .. } => {
            let reply = empty(StatusCode::UNAUTHORIZED);
            return clear.into_iter().fold(reply, Reply::with_cookie);
        }
        Authentication::Unavailable => {
            let headers = [(RETRY_AFTER, RETRY_SECONDS)].into_iter().collect();
            return Reply::Empty { status: StatusCode::SERVICE_UNAVAILABLE, headers };
        }
    };
    let person = session.person();
    let reply = if policy::missing(&constraints(query), &person).is_some() {
        empty(StatusCode::FORBIDDEN)
    } else {
        Reply::Empty { status: StatusCode::ACCEPTED, headers: identity_headers(&person) }
    };
    set_cookie.into_iter().fold(reply, Reply::with_cookie)
}

/// Reads `allowed_groups`, `allowed_emails` and `allowed_email_domains`: lists separated by commas,
/// which may be repeated. An empty list is no constraint.
fn constraints(query: &str) -> Constraints {
    let mut constraints = Constraints::default();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let list = match &*name {
            "allowed_groups" => &mut constraints.groups,
            "allowed_emails" => &mut constraints.emails,
            "allowed_email_domains" => &mut constraints.email_domains,
            _ => continue,
        };
        list.extend(value.split(',').filter(|item| !item.is_empty()).map(str::to_owned));
    }
    constraints
}

fn identity_headers(person: &Person) -> HeaderMap {
    let named = [
        (USER, &person.headers.user),
        (EMAIL, &person.headers.email),
        (GROUPS, &person.headers.groups),
        (PREFERRED_USERNAME, &person.headers.preferred_username),
    ];
    let present = |(name, value): (HeaderName, &Option<HeaderValue>)| Some((name, value.clone()?));
    named.into_iter().filter_map(present).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_separated_by_commas_or_repeated() {
        let found = constraints("allowed_groups=a,b&allowed_groups=c%2Cd&x=y&allowed_emails=");
        assert_eq!(found.groups, ["a", "b", "c", "d"]);
        assert!(found.emails.is_empty() && found.email_domains.is_empty());
    }
}
