//! Serves one request: exactly one response and one access line, also after a refusal or a panic.
//!
//! Only this file turns refusals into responses. A panic in a phase becomes a 500 for its own request
//! and affects no other request.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header::{
    ACCEPT_LANGUAGE, CONNECTION, HOST, STRICT_TRANSPORT_SECURITY, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::Instant;
use tracing::{error, warn};

use super::context::{ConnectionContext, RequestContext};
use super::phase_order::{self, AcceptedUpgrade, Served};
use super::response_body::{BodySource, ResponseBody};
use crate::proxy::answer::cause::Cause;
use crate::proxy::answer::compose::{self, ResponseFormat};
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::answer::request_id::{REQUEST_ID, request_id};
use crate::proxy::answer::{challenge, refuse};
use crate::proxy::embedding::Embedding;
use crate::proxy::phases::admit::browser::{self, PageFrame};
use crate::proxy::phases::headers::trace_context::TraceContext;
use crate::proxy::phases::record::{RequestRecord, Stage};
use crate::proxy::phases::route::routed_app::RoutedApp;
use crate::proxy::tunnel::run::Tunnel;
use crate::telemetry::Span;

/// Serves one request.
///
/// Not an `async fn`: that would store its arguments twice. The phases are pinned in place, because
/// this future is moved to the heap for every request.
pub(crate) fn serve(
    context: ConnectionContext,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<ResponseBody>, Infallible>> {
    let (mut head, body) = request.into_parts();
    let mut request = begin(&context, &head);
    async move {
        let served = {
            let span = request.record.span.clone();
            let phases = pin!(phase_order::run_phases(&context, &mut request, &mut head, body));
            AssertUnwindSafe(span.run(phases)).catch_unwind().await
        };
        let served = served.unwrap_or_else(|_panic| {
            error!(request_id = request.record.id(), "a bug stopped a request");
            Err(Refusal::Internal)
        });
        Ok(finish(context, request, served))
    }
}

fn begin(context: &ConnectionContext, head: &Parts) -> RequestContext {
    let proxy = &context.worker.proxy;
    let source = context.peer.source_of(&head.headers, &proxy.trusted);
    let trace = TraceContext::of(&head.headers);
    let span = Span::request(|| trace.sent_by_client());
    let record = Box::new(RequestRecord {
        started: Instant::now(),
        method: head.method.clone(),
        host: head.headers.get(HOST).cloned(),
        target: head.uri.path_and_query().cloned(),
        bytes_in: Rc::default(),
        bytes_out: 0,
        upstream: None,
        app: None,
        in_flight: None,
        rule: None,
        person: None,
        is_program: false,
        decision: "allow",
        cause: None,
        id: request_id(),
        trace: trace.continued_by(span.traceparent()),
        span,
        client_ip: source.client,
        status: None,
        stage: Stage::Apart,
        complete: false,
        broken: false,
        log: proxy.log.clone(),
        refused: None,
    });
    let page = browser::wants_page(&head.headers);
    let accept_language = if page { head.headers.get(ACCEPT_LANGUAGE).cloned() } else { None };
    let frame = if page { browser::page_frame(&head.headers) } else { PageFrame::None };
    let refresh =
        page && head.method == Method::GET && browser::is_refresh(&head.headers, &head.uri);
    RequestContext { record, source, page, accept_language, frame, refresh, cookies: Vec::new() }
}

fn finish(
    context: ConnectionContext,
    mut request: RequestContext,
    served: Result<Served, Refusal>,
) -> Response<ResponseBody> {
    let (mut response, upgrade) = match served {
        Ok(Served::Response(response)) => (response, None),
        Ok(Served::Upgrade(response, upgrade)) => (response, Some(upgrade)),
        Err(Refusal::SignIn { login: Some(login) })
            if request.frame == PageFrame::OfAnotherSite || embedded(&request).is_some() =>
        {
            let app = embedded(&request).map(|(app, _)| (app.name.clone(), app.title.clone()));
            let refusal = Refusal::Framed { address: own_address(&request, login), embedded: app };
            (refuse(&context, &mut request, &refusal), None)
        }
        Err(refusal) => (refuse(&context, &mut request, &refusal), None),
    };
    let secure = context.is_secure(&request.source);
    let RequestContext { mut record, cookies, .. } = request;
    compose::set_cookies(response.headers_mut(), cookies);
    response.headers_mut().insert(REQUEST_ID, record.id.clone());
    let proxy = &context.worker.proxy;
    if let Some(hsts) = proxy.hsts.as_ref().filter(|_| secure) {
        response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
    // The response comes before the whole request body, and the rest of the body is not read; or nobody may
    // come in any more as the client has. A tunnel lives on.
    let is_last = context.state.unread.get() || (context.passage.is_shut() && upgrade.is_none());
    if is_last && !context.state.is_multiplexed {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if record.method == Method::HEAD && matches!(response.body(), BodySource::Appliance(_)) {
        // The head already states the length.
        *response.body_mut() = BodySource::EMPTY;
    }
    context.state.is_own.set(matches!(response.body(), BodySource::Appliance(_)));
    record.status = Some(response.status().as_u16());
    if record.app.is_none() {
        let own = &context.worker.proxy.own_traffic;
        own.count(response.status().as_u16(), record.started.elapsed());
    }
    let record = match upgrade {
        None => Some(record),
        Some(upgrade) => {
            let tunnel = Box::new(tunnel(&context, upgrade, record));
            context.state.takeover.replace(Some(tunnel));
            None
        }
    };
    response.map(|source| ResponseBody::new(source, record, context.state))
}

/// The app with `embed` in whose frame a page comes.
fn embedded(request: &RequestContext) -> Option<(&RoutedApp, &Embedding)> {
    let app = request.record.app.as_deref().filter(|_| request.frame != PageFrame::None)?;
    Some((app, app.embedding.as_ref()?))
}

/// The address of the request, for a link. One that begins with two slashes would lead to another
/// host: there, the login leads back.
fn own_address(request: &RequestContext, login: String) -> String {
    let target = request.record.target.as_ref().map(PathAndQuery::as_str);
    target.filter(|target| !target.starts_with("//")).map_or(login, str::to_owned)
}

fn refuse(
    context: &ConnectionContext,
    request: &mut RequestContext,
    refusal: &Refusal,
) -> Response<BodySource> {
    let record = &mut request.record;
    record.decision = refusal.decision();
    record.cause = Some(Cause::of(refusal));
    if matches!(refusal.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
        record.refused = Some(Arc::clone(&context.worker.proxy.console.refusals));
    }
    if request.refresh && refusal.is_repeated() {
        // An open tab asks every two seconds: its lines would hide those that matter.
        record.log = None;
    }
    if let Refusal::Upstream { app, .. } | Refusal::InterimResponses { app } = refusal {
        // Any app can cause one with each request to itself.
        let bad_responses = &context.worker.proxy.bad_responses;
        if let Some(left_out) = bad_responses.note(app, std::time::Instant::now()) {
            let (why, request_id) = (refusal.reason(), record.id());
            warn!(app, %why, request_id, left_out, "an app sent no valid response");
        }
    }
    let proxy = &context.worker.proxy;
    let languages = request.accept_language.as_ref();
    let embedding = embedded(request).map(|(_, embedding)| embedding);
    let id = &request.record.id;
    let format = ResponseFormat {
        embedded: embedding.is_some(),
        ..ResponseFormat::of(&proxy.pages, request.page, id, languages)
    };
    let mut response = refuse::refuse(refusal, format);
    if let Some(embedding) = embedding {
        embedding.allow_page(response.headers_mut());
    }
    let record = &request.record;
    if let Some(app) = record.app.as_ref().filter(|app| app.route.bearer) {
        let origin = context.origin(&request.source, app, record.host.as_ref());
        let challenge = challenge::of(refusal, record.is_program, &origin, &app.route.path);
        response.headers_mut().extend(challenge.map(|challenge| (WWW_AUTHENTICATE, challenge)));
    }
    response.map(BodySource::Appliance)
}

fn tunnel(
    context: &ConnectionContext,
    upgrade: AcceptedUpgrade,
    mut record: Box<RequestRecord>,
) -> Tunnel {
    record.detach();
    let AcceptedUpgrade { connection, app, right } = upgrade;
    let stop = context.worker.stop.clone();
    let scratch = Rc::clone(&context.worker.scratch);
    Tunnel { connection, app, right, record, stop, scratch }
}
