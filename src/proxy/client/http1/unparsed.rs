//! The responses to bytes of which hyper made no request.

use bytes::Bytes;
use http::header::ACCEPT_LANGUAGE;
use http::{Method, StatusCode};

use crate::proxy::answer::clear_cookies;
use crate::proxy::answer::compose::ResponseFormat;
use crate::proxy::answer::raw_response::{raw_response, serialize};
use crate::proxy::answer::refuse::refuse;
use crate::proxy::answer::request_id::request_id;
use crate::proxy::phases::admit::{browser, oversized};
use crate::proxy::pipeline::context::ConnectionContext;

/// The response, and the reason for the log if the status does not say enough. `start` holds the
/// received bytes: hyper gives up on a head that does not fit into its buffer, but a person still has
/// to learn which header is too large.
pub(super) fn respond(
    status: StatusCode,
    start: &[u8],
    context: &ConnectionContext,
) -> (Bytes, Option<String>) {
    let head = (status == StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE)
        .then(|| oversized::parse_start(start))
        .flatten();
    let Some((method, target, headers)) = head else { return (raw_response(status), None) };
    let (id, proxy) = (request_id(), &context.worker.proxy);
    let secure = context.is_secure(&context.peer.source_of(&headers, &proxy.trusted));
    let max = proxy.max_header_bytes;
    if oversized::asks_to_clear_cookies(&method, &target, &headers, secure, max) {
        let response = clear_cookies::respond(&oversized::cookie_jar(&target, &headers, secure));
        return (serialize(response, id), Some("a person deletes the cookies".to_owned()));
    }
    let refusal = oversized::refusal(&headers);
    let (page, languages) = (browser::wants_page(&headers), headers.get(ACCEPT_LANGUAGE));
    let format = ResponseFormat::of(&proxy.pages, page, &id, languages);
    let mut response = refuse(&refusal, format);
    if method == Method::HEAD {
        *response.body_mut() = Bytes::new();
    }
    (serialize(response, id.clone()), Some(refusal.reason().into_owned()))
}
