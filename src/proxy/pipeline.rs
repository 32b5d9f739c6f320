//! A request's life, phase by phase, in this order:
//!
//! admit → own endpoints → route → readiness → authenticate → authorise → rewrite →
//! forward | tunnel → respond → record.
//!
//! Each phase is a plain function of its own file. Whatever refuses ends here in one answer and
//! one log line; a bug is a 500 and ends nothing else.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::FutureExt;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;
use tracing::{error, warn};

use super::Proxy;
use super::admission::{self, Host};
use super::answer::{self, Manner};
use super::body::{Answer, Content, Download};
use super::caller::{self, Caller};
use super::forward::{self, Answered};
use super::gate;
use super::handshake::{self, Outcome};
use super::link::Link;
use super::origin::{Origin, Peer};
use super::own::{self, Question};
use super::record::Record;
use super::refusal::Refusal;
use super::rewrite::{self, Facts, REQUEST_ID};
use super::routes::{Policy, Target};
use super::seat::Seat;
use super::tunnel::{Holder, Tunnel};
use super::upload::Upload;
use super::websocket;
use super::worker::Worker;
use super::{cookies, hop, restore};

/// What all requests of one connection share.
#[derive(Debug, Clone)]
pub(super) struct Visit {
    pub worker: Rc<Worker>,
    pub seat: Rc<Seat>,
    pub peer: Rc<Peer>,
}

/// What a request that was not refused leads to.
enum Reached {
    Answered(Response<Content>),
    Opened(Response<Content>, Opening),
}

/// A tunnel that waits for its 101 to be sent.
struct Opening {
    link: Box<Link>,
    target: Arc<Target>,
    rule: Option<usize>,
    holder: Option<Holder>,
}

/// Answers one request, whatever happens.
pub(super) async fn answer(visit: Visit, request: Request<Incoming>) -> Response<Answer> {
    let (mut head, body) = request.into_parts();
    let origin = visit.peer.origin(&head.headers, &visit.worker.proxy.trusted);
    let mut record = begin(&visit, &head, &origin);
    let mut page = caller::wants_page(&head.headers);
    let phases = phases(&visit, &mut record, &mut page, &origin, &mut head, body);
    let reached = match AssertUnwindSafe(phases).catch_unwind().await {
        Ok(reached) => reached,
        Err(_panic) => {
            error!(request_id = record.id(), "a request met a bug");
            Err(Refusal::Internal)
        }
    };
    let (mut response, opening) = match reached {
        Ok(Reached::Answered(response)) => (response, None),
        Ok(Reached::Opened(response, opening)) => (response, Some(opening)),
        Err(refusal) => (refuse(&visit, &mut record, page, &refusal), None),
    };
    if record.method == Method::HEAD && matches!(response.body(), Content::Own(_)) {
        // The length is in the head already.
        *response.body_mut() = Content::Empty;
    }
    response.headers_mut().insert(REQUEST_ID, record.id.clone());
    record.status = Some(response.status().as_u16());
    let record = match opening {
        Some(opening) => {
            visit.seat.tunnel.replace(Some(Box::new(tunnel(&visit, opening, record))));
            None
        }
        None => Some(record),
    };
    response.map(|content| Answer::new(content, record, visit.seat))
}

fn begin(visit: &Visit, head: &Parts, origin: &Origin) -> Box<Record> {
    Box::new(Record {
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
        log: visit.worker.proxy.log.clone(),
    })
}

fn refuse(visit: &Visit, record: &mut Record, page: bool, refusal: &Refusal) -> Response<Content> {
    record.decision = refusal.decision();
    record.reason = Some(refusal.reason());
    if let Refusal::Upstream { app, why } = refusal {
        warn!(app, why = %why, request_id = record.id(), "an app gave no proper answer");
    }
    let pages = &visit.worker.proxy.pages;
    let mut response = answer::refuse(refusal, Manner { pages, page, id: &record.id });
    if visit.seat.unread.get() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn phases(
    visit: &Visit,
    record: &mut Record,
    page: &mut bool,
    origin: &Origin,
    head: &mut Parts,
    body: Incoming,
) -> Result<Reached, Refusal> {
    let proxy = &*visit.worker.proxy;

    // admit
    let (host, path) = admission::admit(head, proxy.max_header_bytes)?;
    record.target = Some(path.clone());
    let has_body = !body.is_end_stream();
    let websocket = websocket::is_handshake(&head.method, head.version, &head.headers, has_body)?;
    *page &= !websocket;

    // own endpoints
    let known = proxy.routes.knows(host);
    let own = own::find(path.path());
    if !known && !own.is_some_and(|own| own.is_served_under(host, known)) {
        return Err(Refusal::UnknownHost);
    }
    let question = Question {
        method: &head.method,
        headers: &head.headers,
        path_and_query: path.as_str(),
        query: path.query().unwrap_or_default(),
        navigation: *page && caller::is_safe(&head.method),
        manner: Manner { pages: &proxy.pages, page: *page, id: &record.id },
    };
    if let Some(own) = own {
        // Boxed: rare and large, it would weigh on every other request.
        let response = Box::pin(own::serve(proxy, own, question)).await?;
        record.decision = "own";
        return Ok(Reached::Answered(response));
    }

    // route
    let Some(target) = route(proxy, host, &path)? else {
        record.decision = "own";
        return Box::pin(own::portal(proxy, question)).await.map(Reached::Answered);
    };
    record.app = Some(Arc::clone(&target));

    // readiness
    gate::readiness(&proxy.gate, &target)?;
    check_size(&target, head)?;
    if websocket {
        check_origin(proxy, &target, head)?;
    }

    // authenticate
    let policy = target.policy(&head.method, path.path());
    record.rule = policy.rule;
    let caller =
        caller::authenticate(proxy.auth.as_deref(), &head.headers, &target, policy).await?;
    record.person.clone_from(&caller.person);

    // authorise
    caller::authorise(&caller, &target, policy, question.navigation, path.as_str())?;
    if let Some(session) = &caller.session {
        session.touch();
    }

    // rewrite
    let asked = Asked { host: record.host.clone(), path, websocket, origin };
    let accept = websocket.then(|| websocket::accept_for(&head.headers));
    rewrite(proxy, head, &target, &caller, &asked, &record.id);

    // forward | tunnel
    let (response, link) = send(visit, record, &target, head, body, &asked).await?;

    // respond
    let outcome =
        handshake::judge(response.status(), response.headers(), accept.as_deref(), &target)?;
    let (mut response, incoming) = respond(proxy, &target, &asked, response, &caller)?;
    if let (Outcome::Accepted, Some(accept)) = (outcome, accept) {
        handshake::confirm(response.headers_mut(), &accept);
        let holder = holder(policy, caller);
        let rule = record.rule;
        return Ok(Reached::Opened(response, Opening { link, target, rule, holder }));
    }
    let download = Download::new(incoming, link, Rc::clone(&visit.worker.pool));
    *response.body_mut() = Content::App(download);
    Ok(Reached::Answered(response))
}

/// What was asked for, as far as the answer needs to know.
struct Asked<'a> {
    host: Option<HeaderValue>,
    path: PathAndQuery,
    websocket: bool,
    origin: &'a Origin,
}

/// The app; `None` is our portal, which has `/` unless an app claims it.
fn route(
    proxy: &Proxy,
    host: Host<'_>,
    path: &PathAndQuery,
) -> Result<Option<Arc<Target>>, Refusal> {
    match proxy.routes.find(host, path.path()) {
        Some(target) if target.is_exposed(path.path()) => Ok(Some(Arc::clone(target))),
        None if path.path() == "/" => proxy.gate.check().map(|()| None),
        _ => Err(proxy.gate.check().err().unwrap_or(Refusal::NotFound)),
    }
}

fn check_size(target: &Target, head: &Parts) -> Result<(), Refusal> {
    let Some(limit) = target.route.max_body else { return Ok(()) };
    let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match length.and_then(|digits| digits.parse::<u64>().ok()) {
        Some(length) if length > limit => Err(Refusal::BodyTooLarge),
        _ => Ok(()),
    }
}

fn check_origin(proxy: &Proxy, target: &Target, head: &Parts) -> Result<(), Refusal> {
    let own = match (&target.route.host, head.headers.get(HOST)) {
        (Some(_), Some(host)) => {
            let scheme = if proxy.secure { "https" } else { "http" };
            format!("{scheme}://{}", host.to_str().unwrap_or_default()).into()
        }
        _ => std::borrow::Cow::Borrowed(proxy.public.as_str()),
    };
    if websocket::foreign_origin(&head.headers, &own, &target.route.origins) {
        Err(Refusal::CrossSite)
    } else {
        Ok(())
    }
}

fn rewrite(
    proxy: &Proxy,
    head: &mut Parts,
    target: &Target,
    caller: &Caller,
    asked: &Asked<'_>,
    id: &HeaderValue,
) {
    let facts = Facts {
        origin: asked.origin,
        secure: proxy.secure,
        id,
        person: caller.person.as_deref(),
        session: caller.session.as_deref(),
    };
    rewrite::rewrite(
        &mut head.headers,
        &proxy.scrub,
        |name| proxy.owns_cookie(name),
        target,
        &facts,
    );
    if asked.websocket {
        handshake::ask(&mut head.headers);
    }
}

async fn send(
    visit: &Visit,
    record: &mut Record,
    target: &Target,
    head: &mut Parts,
    body: Incoming,
    asked: &Asked<'_>,
) -> Result<Answered, Refusal> {
    let (upload, progress) = if body.is_end_stream() {
        (Upload::none(), None)
    } else {
        let limit = target.route.max_body.unwrap_or(u64::MAX);
        let pause = visit.worker.proxy.body_timeout;
        let bytes = Rc::clone(&record.bytes_in);
        let (upload, progress) = Upload::new(body, Rc::clone(&visit.seat), bytes, limit, pause);
        (upload, Some(progress))
    };
    let mut request = Request::new(upload);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = upstream_uri(target, &asked.path)?;
    *request.headers_mut() = std::mem::take(&mut head.headers);
    let timeout = if asked.websocket { handshake::TIMEOUT } else { target.route.timeout };
    let asked_at = Instant::now();
    let pool = &visit.worker.pool;
    let answered = forward::forward(pool, target, request, progress.as_deref(), timeout).await;
    record.upstream = Some(asked_at.elapsed());
    answered
}

fn upstream_uri(target: &Target, path: &PathAndQuery) -> Result<Uri, Refusal> {
    let stripped = target.upstream_path(path.path());
    if stripped.len() == path.path().len() {
        return Ok(Uri::from(path.clone()));
    }
    let text = match path.query() {
        Some(query) => format!("{stripped}?{query}"),
        None => stripped.to_owned(),
    };
    text.parse().map_err(|_| Refusal::Malformed("the request target is no path"))
}

/// An app's answer as the client gets it.
fn respond(
    proxy: &Proxy,
    target: &Target,
    asked: &Asked<'_>,
    response: Response<Incoming>,
    caller: &Caller,
) -> Result<(Response<Content>, Incoming), Refusal> {
    let (mut head, body) = response.into_parts();
    hop::strip_answer(&mut head.headers).map_err(|why| Refusal::upstream(&target.title, why))?;
    cookies::keep_names(&mut head.headers, |name| proxy.owns_cookie(name));
    if target.route.strip_prefix {
        let host = asked.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
        restore::restore_prefix(&mut head.headers, &target.route.path, host);
    }
    head.version = http::Version::HTTP_11;
    let mut response = Response::from_parts(head, Content::Empty);
    answer::set_cookies(response.headers_mut(), caller.cookies.clone());
    Ok((response, body))
}

/// A tunnel is bound to its session wherever somebody has to be signed in.
fn holder(policy: Policy<'_>, caller: Caller) -> Option<Holder> {
    let bound = policy.deny.is_some() || *policy.access != crate::config::Access::Public;
    caller.session.filter(|_| bound).map(Holder::new)
}

fn tunnel(visit: &Visit, opening: Opening, mut record: Box<Record>) -> Tunnel {
    record.detach();
    let Opening { link, target, rule, holder } = opening;
    let stop = visit.worker.stop.clone();
    let scratch = Rc::clone(&visit.worker.scratch);
    Tunnel { link, target, rule, holder, record, stop, scratch }
}
