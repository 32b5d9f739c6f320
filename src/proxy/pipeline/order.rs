//! The order of the phases of a request:
//!
//! admit → own endpoints → route → readiness → authenticate → authorise → rewrite →
//! forward | tunnel → respond → record.
//!
//! Each phase is a plain function in a file of its own; this file only calls them in order.
//! [`super::serve`] wraps the whole.

use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::body::Content;
use super::context::{Course, Visit};
use crate::auth::Session;
use crate::config::Access;
use crate::proxy::Proxy;
use crate::proxy::answer::compose::Manner;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::own;
use crate::proxy::own::endpoints::{self, Own, Question};
use crate::proxy::phases::access::authenticate::{self, Caller};
use crate::proxy::phases::access::authorise;
use crate::proxy::phases::access::limits;
use crate::proxy::phases::access::shield;
use crate::proxy::phases::admit::host::Host;
use crate::proxy::phases::admit::{admission, browser};
use crate::proxy::phases::headers::rewrite::{self, Facts};
use crate::proxy::phases::headers::{cookies, hop_by_hop, stripped_prefix};
use crate::proxy::phases::route::readiness;
use crate::proxy::phases::route::target::{Policy, Target};
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
    pub target: Arc<Target>,
    pub rule: Option<usize>,
    pub holder: Option<Holder>,
}

/// What an admitted request asks for.
struct Asked {
    path: PathAndQuery,
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
    let target = match locate(proxy, host, &asked.path)? {
        Place::App(target) => target,
        // Boxed: this future is rare and large, and would enlarge the future of every request.
        Place::Own(own) => return Box::pin(serve_own(proxy, own, course, head, &asked)).await,
    };
    course.record.app = Some(Arc::clone(&target));

    shield::check(&target, asked.path.path(), &head.headers)?;

    // readiness
    readiness::readiness(&proxy.gate, &target)?;
    limits::check(&target, &head.headers, asked.websocket, proxy.public_origin())?;

    // authenticate
    let policy = target.policy(&head.method, asked.path.path());
    course.record.rule = policy.rule;
    let mut caller =
        authenticate::authenticate(proxy.auth.as_deref(), &head.headers, &target, policy).await?;
    course.cookies = std::mem::take(&mut caller.cookies);
    course.record.person.clone_from(&caller.person);

    // authorise
    let navigation = course.page && browser::is_safe(&head.method);
    authorise::authorise(&caller, &target, policy, navigation, asked.path.as_str())?;
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
        let rule = course.record.rule;
        return Ok(Reached::Opened(response, Opening { link, target, rule, holder }));
    }
    let pool = Rc::clone(&visit.shared.pool);
    let download = Download::new(incoming, link, pool, bound(policy, caller));
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
    course.record.target = Some(path.clone());
    let websocket = websocket::is_handshake(&head.method, head.version, &head.headers, has_body)?;
    course.page &= !websocket;
    Ok((host, Asked { path, host: course.record.host.clone(), websocket }))
}

/// Who answers a request.
enum Place {
    /// The appliance.
    Own(Own),
    /// An app.
    App(Arc<Target>),
}

/// Finds out who answers. The appliance's own endpoints come before the paths of apps.
fn locate(proxy: &Proxy, host: Host<'_>, path: &PathAndQuery) -> Result<Place, Refusal> {
    let path = path.path();
    let known = proxy.routes.knows(host);
    let own = endpoints::find(path);
    let issuers = known && proxy.routes.is_issuers(host);
    match own {
        Some(own) if issuers => return Ok(Place::Own(own.under_the_issuers_host())),
        Some(own) if own.is_served_under(host, known) => return Ok(Place::Own(own)),
        _ if !known => return Err(Refusal::UnknownHost),
        _ => {}
    }
    match proxy.routes.find(host, path) {
        Some(target) if target.is_exposed(path) => Ok(Place::App(Arc::clone(target))),
        _ if issuers && path == "/" => Ok(Place::Own(Own::Home)),
        // `/` is the portal unless an app claims it.
        None if path == "/" => Ok(Place::Own(Own::Portal)),
        _ => Err(proxy.gate.check().err().unwrap_or(Refusal::NotFound)),
    }
}

async fn serve_own(
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
        navigation: course.page && browser::is_safe(&head.method),
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
    *request.uri_mut() = upstream_uri(target, &asked.path)?;
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
    shield::seal(target, asked.path.path(), &mut head.headers);
    head.version = http::Version::HTTP_11;
    Ok((Response::from_parts(head, Content::EMPTY), body))
}

/// The session that a response body ends with: the caller's, unless the policy is public.
fn bound(policy: Policy<'_>, caller: Caller) -> Option<Arc<Session>> {
    let closed = policy.deny.is_some() || *policy.access != Access::Public;
    caller.session.filter(|_| closed)
}
