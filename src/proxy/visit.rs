//! One request seen from outside: whatever happens inside, it gets one answer and one log line.
//!
//! Refusals become answers here and nowhere else, and a bug is a 500 that ends nothing but its
//! own request.

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

use super::answer::{self, Manner};
use super::body::{Answer, Content};
use super::caller;
use super::origin::{Origin, Peer};
use super::pipeline::{self, Opening, Reached};
use super::record::Record;
use super::refusal::Refusal;
use super::rewrite::REQUEST_ID;
use super::seat::Seat;
use super::tunnel::Tunnel;
use super::worker::Worker;

/// What all requests of one connection share.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub worker: Rc<Worker>,
    pub seat: Rc<Seat>,
    pub peer: Rc<Peer>,
}

/// What the phases find out about a request, which outlives them.
#[derive(Debug)]
pub(super) struct Course {
    pub record: Box<Record>,
    pub origin: Origin,
    /// A person reads the answer.
    pub page: bool,
    /// `Set-Cookie` values that go with whatever the answer is: a renewed session must not be
    /// lost because its app is down.
    pub cookies: Vec<HeaderValue>,
}

/// Answers one request, whatever happens.
///
/// Not an `async fn`, which would hold its arguments twice, and the phases are pinned where they
/// are: this future is moved to the heap for every request.
pub(super) fn answer(
    visit: Visit,
    request: Request<Incoming>,
) -> impl Future<Output = Result<Response<Answer>, Infallible>> {
    let (mut head, body) = request.into_parts();
    let mut course = begin(&visit, &head);
    async move {
        let reached = {
            let phases = pin!(pipeline::phases(&visit, &mut course, &mut head, body));
            AssertUnwindSafe(phases).catch_unwind().await
        };
        let reached = reached.unwrap_or_else(|_panic| {
            error!(request_id = course.record.id(), "a request met a bug");
            Err(Refusal::Internal)
        });
        Ok(conclude(visit, course, reached))
    }
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
    answer::set_cookies(response.headers_mut(), cookies);
    response.headers_mut().insert(REQUEST_ID, record.id.clone());
    if visit.seat.unread.get() {
        // Whoever answers before the body has come does not want the rest of it.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    if record.method == Method::HEAD && matches!(response.body(), Content::Own(_)) {
        // The length is in the head already.
        *response.body_mut() = Content::Empty;
    }
    record.status = Some(response.status().as_u16());
    let record = match opening {
        None => Some(record),
        Some(opening) => {
            let tunnel = Box::new(tunnel(&visit, opening, record));
            visit.seat.tunnel.replace(Some(tunnel));
            None
        }
    };
    response.map(|content| Answer::new(content, record, visit.seat))
}

fn begin(visit: &Visit, head: &Parts) -> Course {
    let proxy = &visit.worker.proxy;
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
        id: answer::request_id(),
        client_ip: origin.client,
        status: None,
        complete: false,
        broken: false,
        log: proxy.log.clone(),
    });
    Course { record, origin, page: caller::wants_page(&head.headers), cookies: Vec::new() }
}

fn refuse(visit: &Visit, course: &mut Course, refusal: &Refusal) -> Response<Content> {
    let record = &mut course.record;
    record.decision = refusal.decision();
    record.reason = Some(refusal.reason());
    if let Refusal::Upstream { app, why } = refusal {
        warn!(app, why = %why, request_id = record.id(), "an app gave no proper answer");
    }
    let pages = &visit.worker.proxy.pages;
    answer::refuse(refusal, Manner { pages, page: course.page, id: &record.id })
}

fn tunnel(visit: &Visit, opening: Opening, mut record: Box<Record>) -> Tunnel {
    record.detach();
    let Opening { link, target, rule, holder } = opening;
    let stop = visit.worker.stop.clone();
    let scratch = Rc::clone(&visit.worker.scratch);
    Tunnel { link, target, rule, holder, record, stop, scratch }
}
