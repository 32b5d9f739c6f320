//! The response to a request for an access token.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tracing::debug;

use crate::auth::Credential;
use crate::proxy::{AppToken, NoToken, Proxy};

/// In front of the name of the app.
pub(super) const PREFIX: &str = "/token/";

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
/// RFC 6750 §3.1: without a credential, and with one that is not good.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer");
const BAD_TOKEN: HeaderValue = HeaderValue::from_static("Bearer error=\"invalid_token\"");

/// Answers a request of a client.
pub(super) async fn answer(
    head: &Parts,
    client: SocketAddr,
    proxy: &Proxy,
) -> Response<Full<Bytes>> {
    if !Proxy::names_one_host(head) {
        return refusal(StatusCode::BAD_REQUEST, "one valid Host");
    }
    // A page of another site whose name leads to this machine, or a proxy in front.
    if !Proxy::is_on_this_machine(client, head) {
        let why = "only for programs on this machine, under the address of APPLIANCE_TOKEN_URL";
        return refusal(StatusCode::MISDIRECTED_REQUEST, why);
    }
    let Some(app) = head.uri.path().strip_prefix(PREFIX) else {
        return no_token(NoToken::UnknownApp);
    };
    if head.method != Method::GET {
        return with(refusal(StatusCode::METHOD_NOT_ALLOWED, "GET"), ALLOW, "GET".parse().ok());
    }
    let handle = match Credential::of(&head.headers) {
        Credential::Token(handle) => handle,
        Credential::Unreadable | Credential::None => {
            let why = "the handle is missing: send it as Authorization: Bearer";
            return with(refusal(StatusCode::UNAUTHORIZED, why), WWW_AUTHENTICATE, Some(CHALLENGE));
        }
    };
    let found = proxy.app_token(app, handle).await;
    match &found {
        Ok(_) => debug!(app, "an app gets an access token"),
        // The name may be anything.
        Err(NoToken::UnknownApp) => {}
        Err(why) => debug!(app, ?why, "an app gets no access token"),
    }
    found.map_or_else(no_token, |token| give(&token))
}

fn give(AppToken { token, left }: &AppToken) -> Response<Full<Bytes>> {
    let token = String::from_utf8_lossy(token.as_bytes());
    let body = json!({ "access_token": token, "expires_in": left.as_secs() });
    response(StatusCode::OK, &body)
}

fn no_token(why: NoToken) -> Response<Full<Bytes>> {
    match why {
        NoToken::UnknownApp => {
            refusal(StatusCode::NOT_FOUND, "no app of this name asks for access tokens")
        }
        NoToken::NoSession => unauthorized("the handle is not one of a session in force"),
        NoToken::Expired => unauthorized(
            "the access token has expired, and the issuer has given no refresh token: the person \
             has to sign in again",
        ),
        NoToken::Denied => refusal(StatusCode::FORBIDDEN, "the person has no access to the app"),
        NoToken::IssuerDown { again } => {
            let why = "the access token has expired, and the issuer does not answer";
            let again = HeaderValue::from(seconds(again));
            with(refusal(StatusCode::SERVICE_UNAVAILABLE, why), RETRY_AFTER, Some(again))
        }
    }
}

/// Whole seconds, at least one.
fn seconds(pause: Duration) -> u64 {
    (pause + Duration::from_millis(999)).as_secs().max(1)
}

fn unauthorized(why: &str) -> Response<Full<Bytes>> {
    with(refusal(StatusCode::UNAUTHORIZED, why), WWW_AUTHENTICATE, Some(BAD_TOKEN))
}

fn refusal(status: StatusCode, why: &str) -> Response<Full<Bytes>> {
    response(status, &Value::from(why))
}

fn with(
    mut response: Response<Full<Bytes>>,
    name: HeaderName,
    value: Option<HeaderValue>,
) -> Response<Full<Bytes>> {
    response.headers_mut().extend(value.map(|value| (name, value)));
    response
}

fn response(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_string()));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, JSON);
    headers.insert(CACHE_CONTROL, NO_STORE);
    headers.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_its_status_and_what_to_do_now() {
        let down = |again| NoToken::IssuerDown { again: Duration::from_millis(again) };
        for (why, status, header) in [
            (NoToken::UnknownApp, 404, None),
            (NoToken::NoSession, 401, Some((WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""))),
            (NoToken::Expired, 401, Some((WWW_AUTHENTICATE, "Bearer error=\"invalid_token\""))),
            (NoToken::Denied, 403, None),
            (down(0), 503, Some((RETRY_AFTER, "1"))),
            (down(1001), 503, Some((RETRY_AFTER, "2"))),
        ] {
            let response = no_token(why);
            assert_eq!(response.status(), status, "{why:?}");
            assert_eq!(response.headers()[CACHE_CONTROL], "no-store", "{why:?}");
            assert_eq!(response.headers()[CONTENT_TYPE], "application/json", "{why:?}");
            if let Some((name, value)) = header {
                assert_eq!(response.headers()[name], value, "{why:?}");
            }
        }
    }
}
