//! A request to an endpoint of the appliance: what the endpoint needs of it, and its body if the endpoint
//! reads one.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{Method, Response};
use http_body::Body as _;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;

use super::context::{ConnectionContext, RequestContext};
use super::log_body::{self, LogBody};
use super::response_body::BodySource;
use crate::proxy::answer::compose::ResponseFormat;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::own;
use crate::proxy::own::console::serve::sealed;
use crate::proxy::own::endpoints::{Endpoint, EndpointRequest};
use crate::proxy::phases::admit::browser;
use crate::proxy::socket::alarm::within;

/// The longest body of a request to an endpoint, bytes. A logout token of Keycloak has 900.
const LONGEST_FORM: usize = 16 * 1024;

/// How long the body of such a request may take as a whole: strangers may send one.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Serves the request. `known_host`: its `Host` is that of `public_url` or of an app.
pub(super) async fn serve(
    context: &ConnectionContext,
    endpoint: Endpoint,
    request: &mut RequestContext,
    (head, body): (&Parts, Incoming),
    target: &PathAndQuery,
    known_host: bool,
) -> Result<Response<BodySource>, Refusal> {
    let proxy = &*context.worker.proxy;
    let form = if endpoint.reads_form() && endpoint.allows(&head.method) {
        read_form(context, request, body).await?
    } else {
        Bytes::new()
    };
    let languages = request.accept_language.as_ref();
    let format = ResponseFormat::of(&proxy.pages, request.page, &request.record.id, languages);
    let endpoint_request = EndpointRequest {
        method: &head.method,
        headers: &head.headers,
        raw_path: head.uri.path(),
        client: request.record.client_ip,
        path_and_query: target.as_str(),
        query: target.query().unwrap_or_default(),
        navigation: request.page && browser::can_sign_in(&head.method, &head.headers),
        local: context.peer.is_local(&head.headers),
        known_host,
        format,
        form: &form,
    };
    if endpoint == Endpoint::Log {
        let log = own::serve::open_log(proxy, endpoint_request, &mut request.cookies).await?;
        let response = sealed(log_body::head());
        if head.method == Method::HEAD {
            return Ok(response.map(BodySource::Appliance));
        }
        let (stop, state) = (context.worker.stop.clone(), Rc::clone(&context.state));
        let body = LogBody::new(log, stop, state);
        return Ok(response.map(|_| BodySource::Log(Box::new(body))));
    }
    let response = own::serve::serve(proxy, endpoint, endpoint_request, &mut request.cookies).await;
    response.map(|response| response.map(BodySource::Appliance))
}

/// The whole body of a request.
async fn read_form(
    context: &ConnectionContext,
    request: &RequestContext,
    body: Incoming,
) -> Result<Bytes, Refusal> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    let whole = Limited::new(body, LONGEST_FORM).collect();
    let longest = context.worker.proxy.body_timeout.min(LONGEST_WAIT);
    let read = within(longest, whole).await;
    let read = read.ok_or(Refusal::BodyTimeout)?.map_err(|error| {
        if error.is::<LengthLimitError>() {
            Refusal::BodyTooLarge
        } else {
            Refusal::Malformed("the body is not complete")
        }
    })?;
    context.state.unread.set(false);
    let form = read.to_bytes();
    request.record.bytes_in.set(form.len() as u64);
    Ok(form)
}
