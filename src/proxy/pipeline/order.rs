//! The order of the phases of a request:
//!
//! admit → own endpoints → route → gate → authenticate → authorise → readiness → rewrite →
//! forward | tunnel → respond → record.
//!
//! Each phase is a plain function in a file of its own; this file only calls them in order.
//! [`super::serve`] wraps the whole.

use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::body::Content;
use super::context::{Course, Visit};
use crate::auth::Session;
use crate::proxy::Proxy;
use crate::proxy::answer::compose::Manner;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::own;
use crate::proxy::own::endpoints::{self, Own, Question};
use crate::proxy::phases::access::authenticate::{self, Caller};
use crate::proxy::phases::access::authorise;
use crate::proxy::phases::access::{limits, page_origin};
use crate::proxy::phases::admit::host::Host;
use crate::proxy::phases::admit::path::AdmittedPath;
use crate::proxy::phases::admit::{admission, browser};
use crate::proxy::phases::headers::rewrite::{self, Facts};
use crate::proxy::phases::headers::{
    cookie_scope, cookies, hop_by_hop, origin_wide, stripped_prefix,
};
use crate::proxy::phases::route::readiness;
use crate::proxy::phases::route::target::Target;
use crate::proxy::phases::route::terms::Terms;
use crate::proxy::tunnel::ending::Holder;
use crate::proxy::tunnel::handshake::{self, Outcome};
use crate::proxy::tunnel::websocket;
use crate::proxy::upstream::download::Download;
use crate::proxy::upstream::forward::{self, Answered};
use crate::proxy::upstream::link::Link;
use crate::proxy::upstream::upload::Upload;

/// The result of a request that was not refused.
#[derive(Debug)]
pub(super) enum Reached {
    /// A response.
    Answered(Response<Content>),
    /// A 101 and the tunnel that follows it.
    Opened(Response<Content>, Opening),
}

/// A tunnel that starts once its 101 is sent.
#[derive(Debug)]
pub(super) struct Opening {
    pub link: Box<Link>,
    pub terms: Terms,
    pub holder: Option<Holder>,
}

/// What an admitted request asks for.
struct Asked {
    path: AdmittedPath,
    host: Option<HeaderValue>,
    websocket: bool,
}

/// Takes a request through all phases.
pub(crate) async fn phases(
    visit: &Visit,
    course: &mut Course,
    head: &mut Parts,
    body: Incoming,
) -> Result<Reached, Refusal> {
    let proxy = &*visit.shared.proxy;

    // admit
    let (host, asked) = admit(proxy, course, head, !body.is_end_stream())?;
    // own endpoints, route
    let terms = match locate(proxy, host, &head.method, &asked.path)? {
        Place::App(terms) => terms,
        // Boxed: this future is rare and large, and would enlarge the future of every request.
        Place::Own(own) => {
            let known = proxy.routes.knows(host);
            return Box::pin(serve_own(visit, own, course, head, &asked, known)).await;
        }
    };
    let target = Arc::clone(terms.target());
    course.record.app = Some(Arc::clone(&target));
    course.record.rule = terms.rule();

    // gate
    readiness::opened(&proxy.gate, &target)?;
    limits::check(&target, &head.headers)?;
    if asked.websocket {
        page_origin::check_handshake(&target, &head.headers, proxy.public_origin())?;
    }

    // authenticate
    let auth = proxy.auth.as_deref();
    let mut caller = authenticate::authenticate(auth, &head.headers, &terms).await?;
    course.cookies = std::mem::take(&mut caller.cookies);
    course.record.person.clone_from(&caller.person);

    // authorise
    let navigation = course.page && browser::is_safe(&head.method);
    authorise::authorise(&caller, &terms, navigation, asked.path.sent().as_str())?;
    if caller.session.is_some() {
        let public = proxy.public_origin();
        page_origin::check_unsafe(&target, &head.method, &head.headers, public)?;
    }

    // readiness
    readiness::ready(&target)?;
    if let Some(session) = &caller.session {
        session.touch();
    }

    // rewrite
    let accept = rewrite(proxy, head, &target, &caller, course, asked.websocket);

    // forward | tunnel
    let sent = send(visit, course, &target, head, body, &asked).await;
    let (response, link) = readiness::starting_issuer(&target, sent)?;

    // respond
    let outcome =
        handshake::judge(response.status(), response.headers(), accept.as_deref(), &target)?;
    let (mut response, incoming) = respond(proxy, &target, &asked, response)?;
    if let (Outcome::Accepted, Some(accept)) = (outcome, accept) {
        handshake::confirm(response.headers_mut(), &accept);
        // Also for a public app: it was told the person's identity for the life of the tunnel.
        let holder = caller.session.map(Holder::new);
        return Ok(Reached::Opened(response, Opening { link, terms, holder }));
    }
    let pool = Rc::clone(&visit.shared.pool);
    let download = Download::new(incoming, link, pool, bound(&terms, caller));
    *response.body_mut() = Content::App(download);
    Ok(Reached::Answered(response))
}

/// Checks the grammar of the head and finds out what it asks for.
fn admit<'h>(
    proxy: &Proxy,
    course: &mut Course,
    head: &'h Parts,
    has_body: bool,
) -> Result<(Host<'h>, Asked), Refusal> {
    let (host, path) = admission::admit(head, proxy.max_header_bytes)?;
    course.record.target = Some(path.sent().clone());
    let websocket = websocket::is_handshake(&head.method, head.version, &head.headers, has_body)?;
    course.page &= !websocket;
    Ok((host, Asked { path, host: course.record.host.clone(), websocket }))
}

/// Who answers a request.
enum Place {
    /// The appliance.
    Own(Own),
    /// An app, and what a request to it must meet.
    App(Terms),
}

/// Finds out who answers. The appliance's own endpoints come before the paths of apps.
fn locate(
    proxy: &Proxy,
    host: Host<'_>,
    method: &Method,
    path: &AdmittedPath,
) -> Result<Place, Refusal> {
    let decoded = path.decoded();
    let known = proxy.routes.knows(host);
    match endpoints::find(decoded) {
        Some(own) if own.is_served_under(known) => return Ok(Place::Own(own)),
        _ if !known => return Err(Refusal::UnknownHost),
        _ => {}
    }
    let found = proxy.routes.find(host, decoded);
    match found.map(|found| Terms::new(found, method, path)) {
        Some(Some(terms)) => Ok(Place::App(terms)),
        // `/` is the portal unless an app claims it.
        None if decoded == b"/" => Ok(Place::Own(Own::Portal)),
        _ => Err(proxy.gate.check().err().unwrap_or(Refusal::NotFound)),
    }
}

async fn serve_own(
    visit: &Visit,
    own: Own,
    course: &mut Course,
    head: &Parts,
    asked: &Asked,
    known_host: bool,
) -> Result<Reached, Refusal> {
    let proxy = &*visit.shared.proxy;
    let target = asked.path.sent();
    let question = Question {
        method: &head.method,
        headers: &head.headers,
        path_and_query: target.as_str(),
        query: target.query().unwrap_or_default(),
        navigation: course.page && browser::is_safe(&head.method),
        local: visit.peer.is_local(&head.headers),
        known_host,
        manner: Manner { pages: &proxy.pages, page: course.page, id: &course.record.id },
    };
    let response = own::serve::serve(proxy, own, question, &mut course.cookies).await?;
    course.record.decision = "own";
    Ok(Reached::Answered(response.map(Content::Own)))
}

/// Rewrites the head for the app. Returns the `Sec-WebSocket-Accept` that the app must answer a
/// handshake with.
fn rewrite(
    proxy: &Proxy,
    head: &mut Parts,
    target: &Target,
    caller: &Caller,
    course: &Course,
    websocket: bool,
) -> Option<String> {
    let accept = websocket.then(|| websocket::accept_for(&head.headers));
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
    accept
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
        let pause = visit.shared.proxy.body_timeout;
        let bytes = Rc::clone(&course.record.bytes_in);
        let (upload, progress) = Upload::new(body, Rc::clone(&visit.state), bytes, limit, pause);
        (upload, Some(progress))
    };
    let mut request = Request::new(upload);
    *request.method_mut() = head.method.clone();
    *request.uri_mut() = upstream_uri(target, asked.path.sent())?;
    *request.headers_mut() = std::mem::take(&mut head.headers);
    let timeout = if asked.websocket { handshake::TIMEOUT } else { target.route.timeout };
    let asked_at = Instant::now();
    let pool = &visit.shared.pool;
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

/// An app's response as the client receives it.
fn respond(
    proxy: &Proxy,
    target: &Target,
    asked: &Asked,
    response: Response<Incoming>,
) -> Result<(Response<Content>, Incoming), Refusal> {
    let (mut head, body) = response.into_parts();
    hop_by_hop::strip_answer(&mut head.headers)
        .map_err(|why| Refusal::upstream(&target.title, why))?;
    cookies::keep_names(&mut head.headers, |name| proxy.owns_cookie(name));
    if target.route.strip_prefix {
        let host = asked.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
        stripped_prefix::restore_prefix(&mut head.headers, &target.route.path, host);
    }
    let path = asked.path.sent().path();
    cookie_scope::confine(&mut head.headers, &target.neighbours, path);
    origin_wide::confine(&mut head.headers, &target.neighbours, path);
    head.version = http::Version::HTTP_11;
    Ok((Response::from_parts(head, Content::EMPTY), body))
}

/// The session that a response body ends with: the caller's, unless the request is public.
fn bound(terms: &Terms, caller: Caller) -> Option<Arc<Session>> {
    caller.session.filter(|_| !terms.is_public())
}
