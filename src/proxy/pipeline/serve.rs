//! One request gets exactly one response and one access line, whatever happens inside.
//!
//! Refusals become responses only here. A panic in a phase is a 500 for its own request and affects
//! no other request.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::pin;
use std::rc::Rc;

use futures_util::FutureExt;
use http::header::{CONNECTION, HOST};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;
use tracing::{error, warn};

use super::body::{Answer, Content};
use super::context::{Course, Visit};
use super::order::{self, Opening, Reached};
use crate::proxy::answer::compose::{self, Manner};
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::answer::refuse;
use crate::proxy::answer::request_id::{REQUEST_ID, request_id};
use crate::proxy::phases::admit::browser;
use crate::proxy::phases::record::Record;
use crate::proxy::tunnel::run::Tunnel;

/// Answers one request.
///
/// Not an `async fn`: that would store its arguments twice. The phases are pinned in place, because
/// this future is moved to the heap for every request.
pub(crate) fn answer(
    visit: Visit,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Answer>, Infallible>> {
    let (mut head, body) = request.into_parts();
    let mut course = begin(&visit, &head);
    async move {
        let reached = {
            let phases = pin!(order::phases(&visit, &mut course, &mut head, body));
            AssertUnwindSafe(phases).catch_unwind().await
        };
        let reached = reached.unwrap_or_else(|_panic| {
            error!(request_id = course.record.id(), "a request met a bug");
            Err(Refusal::Internal)
        });
        Ok(conclude(visit, course, reached))
    }
}

fn begin(visit: &Visit, head: &Parts) -> Course {
    let proxy = &visit.shared.proxy;
    let origin = visit.peer.origin(&head.headers, &proxy.trusted);
    let record = Box::new(Record {
        started: Instant::now(),
        method: head.method.clone(),
        host: head.headers.get(HOST).cloned(),
        target: head.uri.path_and_query().cloned(),
        bytes_in: Rc::default(),
        bytes_out: 0,
        upstream: None,
        app: None,
        rule: None,
        person: None,
        decision: "allow",
        reason: None,
        id: request_id(),
        client_ip: origin.client,
        status: None,
        complete: false,
        broken: false,
        log: proxy.log.clone(),
    });
    Course { record, origin, page: browser::wants_page(&head.headers), cookies: Vec::new() }
}

fn conclude(
    visit: Visit,
    mut course: Course,
    reached: Result<Reached, Refusal>,
) -> Response<Answer> {
    let (mut response, opening) = match reached {
        Ok(Reached::Answered(response)) => (response, None),
        Ok(Reached::Opened(response, opening)) => (response, Some(opening)),
        Err(refusal) => (refuse(&visit, &mut course, &refusal), None),
    };
    let Course { mut record, cookies, .. } = course;
    compose::set_cookies(response.headers_mut(), cookies);
    response.headers_mut().insert(REQUEST_ID, record.id.clone());
    if visit.state.unread.get() {
        // The response comes before the whole request body: the rest of the body is not read.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if record.method == Method::HEAD && matches!(response.body(), Content::Own(_)) {
        // The head already states the length.
        *response.body_mut() = Content::EMPTY;
    }
    record.status = Some(response.status().as_u16());
    let record = match opening {
        None => Some(record),
        Some(opening) => {
            let tunnel = Box::new(tunnel(&visit, opening, record));
            visit.state.takeover.replace(Some(tunnel));
            None
        }
    };
    response.map(|content| Answer::new(content, record, visit.state))
}

fn refuse(visit: &Visit, course: &mut Course, refusal: &Refusal) -> Response<Content> {
    let record = &mut course.record;
    record.decision = refusal.decision();
    record.reason = Some(refusal.reason());
    if let Refusal::Upstream { app, .. } | Refusal::InterimAnswers { app } = refusal {
        let why = refusal.reason();
        warn!(app, why = %why, request_id = record.id(), "an app gave no proper answer");
    }
    let pages = &visit.shared.proxy.pages;
    let manner = Manner { pages, page: course.page, id: &record.id };
    refuse::refuse(refusal, manner).map(Content::Own)
}

fn tunnel(visit: &Visit, opening: Opening, mut record: Box<Record>) -> Tunnel {
    record.detach();
    let Opening { link, terms, holder } = opening;
    let stop = visit.shared.stop.clone();
    let scratch = Rc::clone(&visit.shared.scratch);
    Tunnel { link, terms, holder, record, stop, scratch }
}
