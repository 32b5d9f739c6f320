//! A request's life, phase by phase, in this order:
//!
//! admit → own endpoints → route → readiness → authenticate → authorise → rewrite →
//! forward | tunnel → respond → record.
//!
//! Each phase is a plain function of its own file; here is only their order. [`super::visit`]
//! stands around them.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HOST};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::Proxy;
use super::admission::{self, Host};
use super::answer::Manner;
use super::body::{Content, Download};
use super::caller::{self, Caller};
use super::forward::{self, Answered};
use super::gate;
use super::handshake::{self, Outcome};
use super::link::Link;
use super::own::{self, Own, Question};
use super::refusal::Refusal;
use super::rewrite::{self, Facts};
use super::routes::{Policy, Target};
use super::tunnel::Holder;
use super::upload::Upload;
use super::visit::{Course, Visit};
use super::websocket;
use super::{cookies, hop, restore};
use crate::auth::Session;
use crate::config::Access;

/// What a request that was not refused leads to.
#[derive(Debug)]
pub(super) enum Reached {
    /// An answer.
    Answered(Response<Content>),
    /// A 101 and what comes after it.
    Opened(Response<Content>, Opening),
}

/// A tunnel that waits for its 101 to be sent.
#[derive(Debug)]
pub(super) struct Opening {
    pub link: Box<Link>,
    pub target: Arc<Target>,
    pub rule: Option<usize>,
    pub holder: Option<Holder>,
}

/// A request that was admitted.
struct Asked {
    path: PathAndQuery,
    host: Option<HeaderValue>,
    websocket: bool,
}

/// Takes a request through all phases.
pub(super) async fn phases(
    visit: &Visit,
    course: &mut Course,
    head: &mut Parts,
    body: Incoming,
) -> Result<Reached, Refusal> {
    let proxy = &*visit.worker.proxy;

    // admit
    let (host, asked) = admit(proxy, course, head, !body.is_end_stream())?;
    // own endpoints, route
    let target = match locate(proxy, host, &asked.path)? {
        Place::App(target) => target,
        // Boxed: rare and large, it would weigh on every other request.
        Place::Own(own) => return Box::pin(ask_us(proxy, own, course, head, &asked)).await,
    };
    course.record.app = Some(Arc::clone(&target));

    // readiness
    gate::readiness(&proxy.gate, &target)?;
    check(proxy, &target, head, asked.websocket)?;

    // authenticate
    let policy = target.policy(&head.method, asked.path.path());
    course.record.rule = policy.rule;
    let mut caller =
        caller::authenticate(proxy.auth.as_deref(), &head.headers, &target, policy).await?;
    course.cookies = std::mem::take(&mut caller.cookies);
    course.record.person.clone_from(&caller.person);

    // authorise
    let navigation = course.page && caller::is_safe(&head.method);
    caller::authorise(&caller, &target, policy, navigation, asked.path.as_str())?;
    if let Some(session) = &caller.session {
        session.touch();
    }

    // rewrite
    let accept = asked.websocket.then(|| websocket::accept_for(&head.headers));
    rewrite(proxy, head, &target, &caller, course, asked.websocket);

    // forward | tunnel
    let sent = send(visit, course, &target, head, body, &asked).await;
    let (response, link) = gate::starting_issuer(&target, sent)?;

    // respond
    let outcome =
        handshake::judge(response.status(), response.headers(), accept.as_deref(), &target)?;
    let (mut response, incoming) = respond(proxy, &target, &asked, response)?;
    if let (Outcome::Accepted, Some(accept)) = (outcome, accept) {
        handshake::confirm(response.headers_mut(), &accept);
        // Also where nobody has to be signed in: the app was told who it is, for as long as it lasts.
        let holder = caller.session.map(Holder::new);
        let rule = course.record.rule;
        return Ok(Reached::Opened(response, Opening { link, target, rule, holder }));
    }
    let pool = Rc::clone(&visit.worker.pool);
    let download = Download::new(incoming, link, pool, bound(policy, caller));
    *response.body_mut() = Content::App(download);
    Ok(Reached::Answered(response))
}

/// What the head asks for, once it is beyond doubt what that is.
fn admit<'h>(
    proxy: &Proxy,
    course: &mut Course,
    head: &'h Parts,
    has_body: bool,
) -> Result<(admission::Host<'h>, Asked), Refusal> {
    let (host, path) = admission::admit(head, proxy.max_header_bytes)?;
    course.record.target = Some(path.clone());
    let websocket = websocket::is_handshake(&head.method, head.version, &head.headers, has_body)?;
    course.page &= !websocket;
    Ok((host, Asked { path, host: course.record.host.clone(), websocket }))
}

/// Where a request goes.
enum Place {
    /// To ourselves.
    Own(Own),
    /// To an app.
    App(Arc<Target>),
}

/// Finds it: our own endpoints first, whatever apps claim.
fn locate(proxy: &Proxy, host: Host<'_>, path: &PathAndQuery) -> Result<Place, Refusal> {
    let path = path.path();
    let known = proxy.routes.knows(host);
    match own::find(path) {
        Some(own) if own.is_served_under(host, known) => return Ok(Place::Own(own)),
        _ if !known => return Err(Refusal::UnknownHost),
        _ => {}
    }
    match proxy.routes.find(host, path) {
        Some(target) if target.is_exposed(path) => Ok(Place::App(Arc::clone(target))),
        // `/` is the portal unless an app claims it.
        None if path == "/" => Ok(Place::Own(Own::Portal)),
        _ => Err(proxy.gate.check().err().unwrap_or(Refusal::NotFound)),
    }
}

async fn ask_us(
    proxy: &Proxy,
    own: Own,
    course: &mut Course,
    head: &Parts,
    asked: &Asked,
) -> Result<Reached, Refusal> {
    let question = Question {
        method: &head.method,
        headers: &head.headers,
        path_and_query: asked.path.as_str(),
        query: asked.path.query().unwrap_or_default(),
        navigation: course.page && caller::is_safe(&head.method),
        manner: Manner { pages: &proxy.pages, page: course.page, id: &course.record.id },
    };
    let response = own::serve(proxy, own, question, &mut course.cookies).await?;
    course.record.decision = "own";
    Ok(Reached::Answered(response))
}

/// What the app's own limits refuse, whoever asks.
fn check(proxy: &Proxy, target: &Target, head: &Parts, websocket: bool) -> Result<(), Refusal> {
    check_size(target, head)?;
    check_origin(proxy, target, head, websocket)
}

fn check_size(target: &Target, head: &Parts) -> Result<(), Refusal> {
    let Some(limit) = target.route.max_body else { return Ok(()) };
    let length = head.headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    match length.and_then(|digits| digits.parse::<u64>().ok()) {
        Some(length) if length > limit => Err(Refusal::BodyTooLarge),
        _ => Ok(()),
    }
}

fn check_origin(
    proxy: &Proxy,
    target: &Target,
    head: &Parts,
    websocket: bool,
) -> Result<(), Refusal> {
    if !websocket {
        return Ok(());
    }
    let own = match (&target.route.host, head.headers.get(HOST)) {
        (Some(_), Some(host)) => {
            let scheme = if proxy.secure { "https" } else { "http" };
            format!("{scheme}://{}", host.to_str().unwrap_or_default()).into()
        }
        _ => Cow::Borrowed(proxy.public.as_str()),
    };
    let allowed = match target.route.origins.as_slice() {
        [] => std::slice::from_ref(&proxy.public),
        named => named,
    };
    if websocket::foreign_origin(&head.headers, &own, allowed) {
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
    course: &Course,
    websocket: bool,
) {
    let facts = Facts {
        origin: &course.origin,
        secure: proxy.secure,
        id: &course.record.id,
        person: caller.person.as_deref(),
        session: caller.session.as_deref(),
    };
    let is_ours = |name: &str| proxy.owns_cookie(name);
    rewrite::rewrite(&mut head.headers, &proxy.scrub, is_ours, target, &facts);
    if websocket {
        handshake::ask(&mut head.headers);
    }
}

async fn send(
    visit: &Visit,
    course: &mut Course,
    target: &Target,
    head: &mut Parts,
    body: Incoming,
    asked: &Asked,
) -> Result<Answered, Refusal> {
    let (upload, progress) = if body.is_end_stream() {
        (Upload::none(), None)
    } else {
        let limit = target.route.max_body.unwrap_or(u64::MAX);
        let pause = visit.worker.proxy.body_timeout;
        let bytes = Rc::clone(&course.record.bytes_in);
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
    course.record.upstream = Some(asked_at.elapsed());
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
    asked: &Asked,
    response: Response<Incoming>,
) -> Result<(Response<Content>, Incoming), Refusal> {
    let (mut head, body) = response.into_parts();
    hop::strip_answer(&mut head.headers).map_err(|why| Refusal::upstream(&target.title, why))?;
    cookies::keep_names(&mut head.headers, |name| proxy.owns_cookie(name));
    if target.route.strip_prefix {
        let host = asked.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
        restore::restore_prefix(&mut head.headers, &target.route.path, host);
    }
    head.version = http::Version::HTTP_11;
    Ok((Response::from_parts(head, Content::Empty), body))
}

/// What is sent is bound to its session wherever somebody has to be signed in.
fn bound(policy: Policy<'_>, caller: Caller) -> Option<Arc<Session>> {
    let closed = policy.deny.is_some() || *policy.access != Access::Public;
    caller.session.filter(|_| closed)
}
