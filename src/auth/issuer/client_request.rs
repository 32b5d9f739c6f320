//! Requests that the appliance makes to the issuer as its client, with a form and its secret
//! (RFC 6749 §2.3.1).
//!
//! They are built here because `openidconnect` refuses to send them over plain HTTP, which is what
//! direct calls to an issuer on loopback use.

use base64::Engine as _;
use http::{Request, header};

use super::provider::{Provider, Registration};

/// A POST of `form` with the credentials of the client; `None` if `url` is not valid.
pub(super) fn post(
    url: &str,
    form: &[(&str, &str)],
    provider: &Provider,
    registration: &Registration,
) -> Option<Request<Vec<u8>>> {
    let id = registration.client_id.as_str();
    let secret = registration.client_secret.secret();
    let mut body = form_urlencoded::Serializer::new(String::new());
    body.extend_pairs(form);
    let mut request = Request::post(url)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(header::ACCEPT, "application/json");
    if provider.metadata.wants_secret_in_body() {
        body.append_pair("client_id", id).append_pair("client_secret", secret);
    } else {
        let encode =
            |text: &str| -> String { form_urlencoded::byte_serialize(text.as_bytes()).collect() };
        let pair = format!("{}:{}", encode(id), encode(secret));
        let pair = base64::prelude::BASE64_STANDARD.encode(pair);
        request = request.header(header::AUTHORIZATION, format!("Basic {pair}"));
    }
    request.body(body.finish().into_bytes()).ok()
}
