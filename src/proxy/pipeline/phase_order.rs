//! The order of the phases of a request:
//!
//! admit → own endpoints → route → gate → authenticate → authorise → readiness → place → rewrite →
//! forward | tunnel → respond → record.
//!
//! Each phase is a plain function in its own file; this file and [`super::permit`] only call the phases
//! in order.
//! [`super::serve`] turns their result into a response and writes the access record.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, StatusCode, Uri};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::context::{ConnectionContext, RequestContext};
use super::destination::{self, Destination, Way};
use super::granted::Granted;
use super::own_endpoint;
use super::permit::{Kind, permit};
use super::response_body::BodySource;
use super::send_again::Again;
use super::shortcuts;
use super::site;
use crate::proxy::Proxy;
use crate::proxy::answer::compose;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::compression::{self, Plain};
use crate::proxy::own::endpoints::{self, Endpoint};
use crate::proxy::phases::access::authenticate::Caller;
use crate::proxy::phases::access::authorise;
use crate::proxy::phases::access::right::WatchedRight;
use crate::proxy::phases::access::shield;
use crate::proxy::phases::admit::host::Host;
use crate::proxy::phases::admit::path::AdmittedPath;
use crate::proxy::phases::admit::rate::Purpose;
use crate::proxy::phases::admit::{admission, browser};
use crate::proxy::phases::headers::rewrite::{self, HeaderSources};
use crate::proxy::phases::headers::{
    caching, cookie_scope, cookies, hop_by_hop, origin_wide, own_location, stripped_prefix,
    token_handle,
};
use crate::proxy::phases::route::public_address;
use crate::proxy::phases::route::requirements::Act;
use crate::proxy::phases::route::routed_app::RoutedApp;
use crate::proxy::phases::route::second_path::{Naming, SecondPaths};
use crate::proxy::phases::route::several::choice::Guest;
use crate::proxy::phases::route::trailing_slash;
use crate::proxy::phases::route::{hold, readiness};
use crate::proxy::tunnel::handshake::{self, HandshakeResult};
use crate::proxy::tunnel::websocket;
use crate::proxy::upstream::app_connection::AppConnection;
use crate::proxy::upstream::download::Download;
use crate::proxy::upstream::forward::{self, AppResponse};
use crate::proxy::upstream::lasting::Bond;
use crate::proxy::upstream::upload::{Progress, Upload};

/// The result of a request that was not refused.
#[derive(Debug)]
pub(super) enum Served {
    /// A response.
    Response(Response<BodySource>),
    /// A 101, and the tunnel that follows it.
    Upgrade(Response<BodySource>, AcceptedUpgrade),
}

/// A WebSocket handshake that the app has accepted. The tunnel starts when the 101 is sent.
#[derive(Debug)]
pub(super) struct AcceptedUpgrade {
    /// The connection to the app.
    pub connection: Box<AppConnection>,
    pub app: Arc<RoutedApp>,
    /// The right of the caller. A tunnel to a public app is bound to it, too: the app received the
    /// person's identity for the life of the tunnel, and a reload can make the app less public.
    pub right: WatchedRight,
}

/// A request whose head is valid.
struct Admitted {
    path: AdmittedPath,
    /// The `Host` header as sent.
    host: Option<HeaderValue>,
    /// The browser uses https.
    secure: bool,
    /// The request is a WebSocket handshake.
    websocket: bool,
    /// The request may wait for an app that restarts, and be sent again.
    may_wait: bool,
}

/// Takes a request through all phases.
pub(super) async fn run_phases(
    context: &ConnectionContext,
    request: &mut RequestContext,
    head: &mut Parts,
    body: Incoming,
) -> Result<Served, Refusal> {
    let proxy = &*context.worker.proxy;

    let early = shortcuts::before_admission(context, &request.source, head);
    if let Some(response) = counted_if_over(proxy, request, early, Option::is_some)? {
        return Ok(answered(request, response));
    }
    // admit
    if let Some(host) = public_address::restore_host(&proxy.routes, &request.source, head) {
        request.record.host = Some(host);
    }
    let admitted = admit(proxy, request, head, !body.is_end_stream());
    let (host, admitted) = counted_if_over(proxy, request, admitted, |_| false)?;
    if let Some(redirect) = redirected(context, request, head, host, &admitted) {
        return Ok(redirect);
    }
    // own endpoints, route
    let destination = find_destination(context, host, &head.method, &admitted);
    let purpose = destination.as_ref().map_or(Purpose::Other, Destination::purpose);
    proxy.rates.count(request.source.client, purpose)?;
    let requirements = match destination? {
        Destination::App(requirements) => requirements,
        Destination::Resource(app) => return Ok(describe(context, request, &app)),
        // Boxed: this future is rare and large, and would enlarge the future of every request.
        Destination::Endpoint(endpoint) => {
            let known_host = proxy.routes.knows(host) && !is_for_another(context, host);
            let (message, target) = ((&*head, body), admitted.path.sent());
            let serving =
                own_endpoint::serve(context, endpoint, request, message, target, known_host);
            let response = Box::pin(serving).await?;
            request.record.decision = "own";
            return Ok(Served::Response(response));
        }
    };
    let second = SecondPaths::of(&head.headers, host)?;
    let naming = Naming { host, method: &head.method, path: &admitted.path };
    let requirements = second.require(&proxy.routes, naming, requirements)?;
    requirements.app().warn_of_lost_upgrade(&head.headers);
    // gate, authenticate, authorise, readiness
    let navigation = request.page && browser::can_sign_in(&head.method, &head.headers);
    let Admitted { websocket, may_wait, .. } = admitted;
    let kind = Kind { websocket, navigation, may_wait };
    let host = admitted.host.as_ref();
    let asked = Rc::new(proxy.asked(head, host, &admitted.path, second, websocket));
    let (caller, requirements) = permit(proxy, request, head, requirements, kind, &asked).await?;
    let app = Arc::clone(requirements.app());
    note_use(request, &app, &caller);
    if let Some(location) = trailing_slash::location(&app, &head.method, &admitted.path, websocket)
    {
        return Ok(moved(&location));
    }
    if let Some(site) = &app.site {
        let granted = Granted::new(caller, requirements, asked, request.page);
        // Boxed: the future would enlarge that of every request to an app.
        let serving = site::serve(context, request, head, &admitted.path, site, &granted, kind);
        return Box::pin(serving).await.map(Served::Response);
    }

    // place, rewrite
    let mut guest = Guest::new(&app, caller.session.as_ref(), &head.headers, request.page);
    let chosen = guest.choose(&app, &[], &mut request.cookies)?;
    let mut app = request.serve_at(chosen, app);
    let accept = rewrite(proxy, head, &app, &caller, request, websocket);
    let granted = Granted::new(caller, requirements, asked, request.page);

    // forward | tunnel
    let compression = compression::Asked::of(proxy.compression, &head.method, &head.headers);
    let message = message(context, request, &app, head, body, &admitted, &granted)?;
    let sent = send(context, request, &mut app, &mut guest, message, &admitted, &granted).await;
    let sent = readiness::replace_response_of_starting_issuer(&app, sent);
    if let Some((right, loss)) = granted.lost() {
        return Err(authorise::lost(loss, right, navigation, admitted.path.sent().as_str()));
    }

    // respond
    deliver(context, app, &admitted, accept.as_deref(), granted, compression, sent?)
}

/// A request that is answered before its destination is known counts for the limit of its client, too.
fn counted_if_over<T>(
    proxy: &Proxy,
    request: &RequestContext,
    outcome: Result<T, Refusal>,
    is_answer: impl Fn(&T) -> bool,
) -> Result<T, Refusal> {
    if outcome.as_ref().map_or(true, is_answer) {
        proxy.rates.count(request.source.client, Purpose::Other)?;
    }
    outcome
}

fn describe(context: &ConnectionContext, request: &mut RequestContext, app: &RoutedApp) -> Served {
    let origin = context.origin(&request.source, app, request.record.host.as_ref());
    let resources = context.worker.proxy.resources.as_ref();
    let response = resources.map(|all| all.describe(app, &origin, &request.record.method));
    answered(request, response.unwrap_or_else(|| compose::empty(StatusCode::NOT_FOUND)))
}

fn note_use(request: &mut RequestContext, app: &RoutedApp, caller: &Caller) {
    request.record.reaches_app();
    if let Some(session) = caller.session.as_ref().filter(|one| !one.is_program()) {
        app.traffic.people.note(session, request.record.started);
    }
}

/// A response of the appliance.
fn answered(request: &mut RequestContext, response: Response<Bytes>) -> Served {
    request.record.decision = "own";
    Served::Response(response.map(BodySource::Appliance))
}

fn moved(location: &str) -> Served {
    Served::Response(compose::moved_permanently(location).map(BodySource::Appliance))
}

/// Passes an app's response on to the client, or opens the tunnel that the response accepts.
fn deliver(
    context: &ConnectionContext,
    app: Arc<RoutedApp>,
    admitted: &Admitted,
    accept: Option<&str>,
    granted: Granted,
    compression: compression::Asked,
    (response, connection): AppResponse,
) -> Result<Served, Refusal> {
    let (status, headers) = (response.status(), response.headers());
    let handshake = handshake::check_response(status, headers, accept, &app)?;
    let (mut response, incoming) = respond(&context.worker.proxy, &app, admitted, response)?;
    if let (HandshakeResult::Accepted, Some(accept)) = (handshake, accept) {
        handshake::confirm(response.headers_mut(), accept);
        let right = granted.right.binding_identity().served_by(&connection.upstream).watch();
        return Ok(Served::Upgrade(response, AcceptedUpgrade { connection, app, right }));
    }
    if granted.page && granted.right.has_session() {
        caching::keep_out_of_caches(response.headers_mut());
    }
    let events = is_event_stream(response.headers());
    // An event stream of a public app has an identity as well, which must not outlive its session.
    let right = if events { granted.right.binding_identity() } else { granted.right };
    let right = right.served_by(&connection.upstream);
    let bond = Bond::new(right, events, Rc::clone(&context.state));
    let pool = Rc::clone(&context.worker.pool);
    let download = Download::new(incoming, connection, pool, bond);
    let (status, store) = (response.status(), &context.worker.proxy.compressed);
    let delivery = compression.deliver(status, response.headers_mut(), Plain::App(download), store);
    *response.body_mut() = BodySource::of(delivery);
    Ok(Served::Response(response))
}

/// Checks the grammar of the head and reads from it what is requested.
fn admit<'h>(
    proxy: &Proxy,
    request: &mut RequestContext,
    head: &'h Parts,
    has_body: bool,
) -> Result<(Host<'h>, Admitted), Refusal> {
    let (host, path) = admission::admit(head, proxy.max_header_bytes)?;
    request.record.target = Some(path.sent().clone());
    let websocket = websocket::is_handshake(&head.method, head.version, &head.headers, has_body)?;
    request.page &= !websocket;
    let secure = proxy.is_secure(&request.source);
    let may_wait = hold::may_wait(&head.method, websocket, !has_body);
    Ok((host, Admitted { path, host: request.record.host.clone(), secure, websocket, may_wait }))
}

/// The redirect of a browser that belongs to another address, whatever it asks for.
fn redirected(
    context: &ConnectionContext,
    request: &mut RequestContext,
    head: &Parts,
    host: Host<'_>,
    admitted: &Admitted,
) -> Option<Served> {
    if let Some(location) = secure_location(context, request, &head.method, host, admitted) {
        return Some(moved(&location));
    }
    let (proxy, target) = (&context.worker.proxy, admitted.path.sent());
    let response = shortcuts::return_from_sign_out(proxy, head, target)?;
    Some(answered(request, response))
}

/// The https address of a page that the browser requests by http. Probes get their answer by http, too.
fn secure_location(
    context: &ConnectionContext,
    request: &RequestContext,
    method: &Method,
    host: Host<'_>,
    admitted: &Admitted,
) -> Option<String> {
    let path = &admitted.path;
    if !request.page
        || context.over_limit
        || endpoints::find(path.decoded()).is_some_and(Endpoint::is_always_open)
    {
        return None;
    }
    let routes = &context.worker.proxy.routes;
    public_address::secure_location(routes, &request.source, method, host, path.sent())
}

/// Whether the client has asked for another host in its TLS handshake. A proxy in front may do so.
fn is_for_another(context: &ConnectionContext, host: Host<'_>) -> bool {
    !context.peer.is_trusted() && context.entrance.is_for_another(host.name)
}

/// Finds the destination of a request. While the gate is shut, nobody learns which paths lead nowhere.
fn find_destination(
    context: &ConnectionContext,
    host: Host<'_>,
    method: &Method,
    Admitted { path, websocket, .. }: &Admitted,
) -> Result<Destination, Refusal> {
    let proxy = &*context.worker.proxy;
    let act = Act { method, websocket: *websocket };
    let way = Way { other_name: is_for_another(context, host), over_limit: context.over_limit };
    destination::find(&proxy.routes, way, host, act, path).map_err(|refusal| match refusal {
        Refusal::NotFound => proxy.gate.check().err().unwrap_or(Refusal::NotFound),
        other => other,
    })
}

/// Rewrites the head for the app. Returns the `Sec-WebSocket-Accept` that the app must send in its
/// response to a handshake.
fn rewrite(
    proxy: &Proxy,
    head: &mut Parts,
    app: &RoutedApp,
    caller: &Caller,
    request: &RequestContext,
    websocket: bool,
) -> Option<String> {
    let accept = websocket.then(|| websocket::accept_for(&head.headers));
    let (auth, session) = (proxy.auth.as_deref(), caller.session.as_deref());
    let sources = HeaderSources {
        client: &request.source,
        secure: proxy.secure,
        id: &request.record.id,
        trace: &request.record.trace,
        person: caller.person.as_deref(),
        session,
        token_handle: token_handle::of(auth, app, session, head, websocket),
    };
    let is_own_cookie = |name: &str| proxy.owns_cookie(name);
    rewrite::rewrite(&mut head.headers, &proxy.spoofed_headers, is_own_cookie, app, &sources);
    if websocket {
        handshake::set_upgrade(&mut head.headers);
    }
    accept
}

/// A request to an app, and the progress of its body if it has one.
type Message = (Request<Upload>, Option<Rc<Progress>>);

fn message(
    context: &ConnectionContext,
    request: &RequestContext,
    app: &RoutedApp,
    head: &mut Parts,
    body: Incoming,
    admitted: &Admitted,
    granted: &Granted,
) -> Result<Message, Refusal> {
    let (upload, progress) = upload(context, request, app, body, granted);
    Ok((upstream_request(app, head, upload, admitted)?, progress))
}

/// Sends a request. `app` becomes the process that has answered it.
async fn send(
    context: &ConnectionContext,
    request: &mut RequestContext,
    app: &mut Arc<RoutedApp>,
    guest: &mut Guest,
    (upstream, progress): Message,
    admitted: &Admitted,
    granted: &Granted,
) -> Result<AppResponse, Refusal> {
    let several = granted.right.app().several.is_some();
    let (pool, keep) = (&context.worker.pool, admitted.may_wait || several);
    let sent_at = Instant::now();
    let (right, moved) = (&granted.right, progress.as_deref());
    let response = match forward::forward(pool, app, upstream, moved, right, keep).await {
        Ok(response) => Ok(response),
        Err(failure) => {
            let again = Again { context, granted, guest, progress, may_wait: admitted.may_wait };
            Box::pin(again.send(request, app, failure)).await
        }
    };
    request.record.upstream = Some(sent_at.elapsed());
    response
}

/// The body of a request, and its progress if there is a body.
fn upload(
    context: &ConnectionContext,
    request: &RequestContext,
    app: &RoutedApp,
    body: Incoming,
    granted: &Granted,
) -> (Upload, Option<Rc<Progress>>) {
    if body.is_end_stream() {
        return (Upload::none(), None);
    }
    let limit = app.route.max_body.unwrap_or(u64::MAX);
    let longest_pause = context.worker.proxy.body_timeout;
    let bytes = Rc::clone(&request.record.bytes_in);
    let state = Rc::clone(&context.state);
    let right = granted.right.clone();
    let (upload, progress) = Upload::new(body, state, bytes, limit, longest_pause, right);
    (upload, Some(progress))
}

fn upstream_request(
    app: &RoutedApp,
    head: &mut Parts,
    upload: Upload,
    admitted: &Admitted,
) -> Result<Request<Upload>, Refusal> {
    let mut upstream = Request::new(upload);
    *upstream.method_mut() = head.method.clone();
    *upstream.uri_mut() = upstream_uri(app, admitted.path.sent())?;
    *upstream.headers_mut() = std::mem::take(&mut head.headers);
    Ok(upstream)
}

fn upstream_uri(app: &RoutedApp, path: &PathAndQuery) -> Result<Uri, Refusal> {
    let stripped = app.upstream_path(path.path());
    if stripped.len() == path.path().len() {
        return Ok(Uri::from(path.clone()));
    }
    let text = match path.query() {
        Some(query) => format!("{stripped}?{query}"),
        None => stripped.to_owned(),
    };
    text.parse().map_err(|_| Refusal::Malformed("the request target is not a path"))
}

/// Prepares an app's response for the client.
fn respond(
    proxy: &Proxy,
    app: &RoutedApp,
    admitted: &Admitted,
    response: Response<Incoming>,
) -> Result<(Response<BodySource>, Incoming), Refusal> {
    let (mut head, body) = response.into_parts();
    hop_by_hop::strip_response(&mut head.headers)
        .map_err(|why| Refusal::upstream(&app.title, why))?;
    cookies::drop_reserved(&mut head.headers, |name| proxy.owns_cookie(name));
    let host = admitted.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
    own_location::set_scheme(&mut head.headers, host, admitted.secure);
    if app.route.strip_prefix {
        stripped_prefix::restore_prefix(&mut head.headers, &app.route.path, host);
    }
    let path = admitted.path.sent().path();
    cookie_scope::confine(&mut head.headers, &app.neighbours, path);
    origin_wide::drop_commands(&mut head.headers);
    origin_wide::confine(&mut head.headers, &app.neighbours, path);
    shield::seal(app, admitted.path.decoded(), &mut head.headers);
    if let Some(embedding) = &app.embedding {
        embedding.allow(&mut head.headers);
    }
    head.version = http::Version::HTTP_11;
    Ok((Response::from_parts(head, BodySource::EMPTY), body))
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|value| {
        let kind = value.as_bytes().split(|&byte| byte == b';').next().unwrap_or_default();
        kind.trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
    })
}
