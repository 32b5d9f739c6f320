//! The endpoints that only ask who is there.

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::json;

use crate::auth::Auth;
use crate::auth::Authentication;
use crate::auth::Person;
use crate::auth::Reply;
use crate::auth::login::return_path as way_back;
use crate::auth::person::policy;
use crate::auth::rd;
use crate::config::Constraints;

/// Seconds after which asking again makes sense.
const SOON: HeaderValue = HeaderValue::from_static("5");

const USER: HeaderName = HeaderName::from_static("x-auth-request-user");
const EMAIL: HeaderName = HeaderName::from_static("x-auth-request-email");
const GROUPS: HeaderName = HeaderName::from_static("x-auth-request-groups");
const PREFERRED_USERNAME: HeaderName = HeaderName::from_static("x-auth-request-preferred-username");

impl Auth {
    /// `/oauth2/sign_in`: a page with one button.
    pub fn sign_in(&self, query: &str, headers: &HeaderMap) -> Reply {
        let back = self.way_back(&rd(query), headers);
        Reply::page(StatusCode::OK, "Sign in", "Sign in to open the apps that are here for you.")
            .with_action("Sign in", way_back::login_path(&back))
    }

    /// `/oauth2/jwks`: the public keys of assertions as a JWK set (RFC 7517 §5).
    pub fn assertion_keys(&self) -> &str {
        &self.signer.keys
    }

    /// `/oauth2/userinfo`
    pub async fn userinfo(&self, headers: &HeaderMap) -> Reply {
        let (person, cookies) = match self.authenticate(headers).await {
            Authentication::SignedIn { session, set_cookie } => {
                (session.person(), set_cookie.into_iter().collect())
            }
            Authentication::Anonymous { clear } => {
                let body = json!("You are not signed in.").to_string();
                return Reply::Json { status: StatusCode::UNAUTHORIZED, body, cookies: clear };
            }
            Authentication::Unavailable => return Reply::unavailable(),
        };
        let body = json!({
            "user": person.user,
            "email": person.email.known(),
            "groups": person.groups,
            "preferredUsername": person.preferred_username,
        });
        Reply::Json { status: StatusCode::OK, body: body.to_string(), cookies }
    }

    /// `/oauth2/auth`: 202, 401 or 403 for `auth_request`.
    pub async fn auth_request(&self, query: &str, headers: &HeaderMap) -> Reply {
        let empty = |status| Reply::Empty { status, headers: HeaderMap::new() };
        let (session, set_cookie) = match self.authenticate(headers).await {
            Authentication::SignedIn { session, set_cookie } => (session, set_cookie),
            Authentication::Anonymous { clear } => {
                let reply = empty(StatusCode::UNAUTHORIZED);
                return clear.into_iter().fold(reply, Reply::with_cookie);
            }
            Authentication::Unavailable => {
                let later = [(RETRY_AFTER, SOON)].into_iter().collect();
                return Reply::Empty { status: StatusCode::SERVICE_UNAVAILABLE, headers: later };
            }
        };
        let person = session.person();
        let reply = if policy::missing(&constraints(query), &person).is_some() {
            empty(StatusCode::FORBIDDEN)
        } else {
            Reply::Empty { status: StatusCode::ACCEPTED, headers: who(&person) }
        };
        set_cookie.into_iter().fold(reply, Reply::with_cookie)
    }
}

/// Lists by comma and by repetition; an empty one does not constrain.
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

fn who(person: &Person) -> HeaderMap {
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
    fn lists_come_by_comma_and_by_repetition() {
        let found = constraints("allowed_groups=a,b&allowed_groups=c%2Cd&x=y&allowed_emails=");
        assert_eq!(found.groups, ["a", "b", "c", "d"]);
        assert!(found.emails.is_empty() && found.email_domains.is_empty());
    }
}
