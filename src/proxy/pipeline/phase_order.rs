//! The order of the phases of a request:
//!
//! admit → own endpoints → route → readiness → authenticate → authorise → rewrite →
//! forward | tunnel → respond → record.
//!
//! Each phase is a plain function in its own file; this file only calls the phases in order.
//! [`super::serve`] turns their result into a response and writes the access record.

use std::rc::Rc;
use std::sync::Arc;

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Request, Response, Uri};
use http_body::Body;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::context::{ConnectionContext, RequestContext};
use super::response_body::BodySource;
use crate::auth::Session;
use crate::config::Access;
use crate::proxy::Proxy;
use crate::proxy::answer::compose::ResponseFormat;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::own;
use crate::proxy::own::endpoints::{self, Endpoint, EndpointRequest};
use crate::proxy::phases::access::authenticate::{self, Caller};
use crate::proxy::phases::access::authorise;
use crate::proxy::phases::access::limits;
use crate::proxy::phases::admit::host::Host;
use crate::proxy::phases::admit::{admission, browser};
use crate::proxy::phases::headers::rewrite::{self, HeaderSources};
use crate::proxy::phases::headers::{cookies, hop_by_hop, stripped_prefix};
use crate::proxy::phases::route::readiness;
use crate::proxy::phases::route::routed_app::{Policy, RoutedApp};
use crate::proxy::tunnel::close_reason::TunnelSession;
use crate::proxy::tunnel::handshake::{self, HandshakeResult};
use crate::proxy::tunnel::websocket;
use crate::proxy::upstream::app_connection::AppConnection;
use crate::proxy::upstream::download::Download;
use crate::proxy::upstream::forward::{self, AppResponse};
use crate::proxy::upstream::upload::Upload;

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
    /// The number of the access rule that allowed the handshake; `None` is the app's own access.
    pub rule: Option<usize>,
    /// The session of the caller, if there is one.
    pub session: Option<TunnelSession>,
}

impl AcceptedUpgrade {
    fn new(
        connection: Box<AppConnection>,
        app: Arc<RoutedApp>,
        rule: Option<usize>,
        caller: Caller,
    ) -> Self {
        // The tunnel is bound to the session for a public app, too: the app received the person's
        // identity for the life of the tunnel.
        let session = caller.session.map(TunnelSession::new);
        Self { connection, app, rule, session }
    }
}

/// A request whose head is valid.
struct Admitted {
    /// The canonical path, and the query.
    path: PathAndQuery,
    /// The `Host` header as sent.
    host: Option<HeaderValue>,
    /// The request is a WebSocket handshake.
    websocket: bool,
}

/// Takes a request through all phases.
pub(super) async fn run_phases(
    context: &ConnectionContext,
    request: &mut RequestContext,
    head: &mut Parts,
    body: Incoming,
) -> Result<Served, Refusal> {
    let proxy = &*context.worker.proxy;

    // admit
    let (host, admitted) = admit(proxy, request, head, !body.is_end_stream())?;
    // own endpoints, route
    let app = match find_destination(context, host, &admitted.path)? {
        Destination::App(app) => app,
        // Boxed: this future is rare and large, and would enlarge the future of every request.
        Destination::Endpoint(endpoint) => {
            return Box::pin(serve_endpoint(proxy, endpoint, request, head, &admitted)).await;
        }
    };
    request.record.app = Some(Arc::clone(&app));

    // readiness
    readiness::check(&proxy.gate, &app)?;
    limits::check(&app, &head.headers, admitted.websocket, proxy.public_origin())?;

    // authenticate
    let policy = app.policy(&head.method, admitted.path.path());
    request.record.rule = policy.rule;
    let mut caller =
        authenticate::authenticate(proxy.auth.as_deref(), &head.headers, &app, policy).await?;
    request.cookies = std::mem::take(&mut caller.cookies);
    request.record.person.clone_from(&caller.person);

    // authorise
    let navigation = request.page && browser::is_safe(&head.method);
    authorise::authorise(&caller, &app, policy, navigation, admitted.path.as_str())?;
    if let Some(session) = &caller.session {
        session.touch();
    }

    // rewrite
    let accept = rewrite(proxy, head, &app, &caller, request, admitted.websocket);

    // forward | tunnel
    let sent = send(context, request, &app, head, body, &admitted).await;
    let (response, connection) = readiness::replace_response_of_starting_issuer(&app, sent)?;

    // respond
    let (status, headers) = (response.status(), response.headers());
    let handshake = handshake::check_response(status, headers, accept.as_deref(), &app)?;
    let (mut response, incoming) = respond(proxy, &app, &admitted, response)?;
    if let (HandshakeResult::Accepted, Some(accept)) = (handshake, accept) {
        handshake::confirm(response.headers_mut(), &accept);
        let rule = request.record.rule;
        return Ok(Served::Upgrade(response, AcceptedUpgrade::new(connection, app, rule, caller)));
    }
    let pool = Rc::clone(&context.worker.pool);
    let download = Download::new(incoming, connection, pool, required_session(policy, caller));
    *response.body_mut() = BodySource::App(download);
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
    request.record.target = Some(path.clone());
    let websocket = websocket::is_handshake(&head.method, head.version, &head.headers, has_body)?;
    request.page &= !websocket;
    Ok((host, Admitted { path, host: request.record.host.clone(), websocket }))
}

/// What a host and a path lead to.
enum Destination {
    /// An endpoint of the appliance.
    Endpoint(Endpoint),
    /// An app.
    App(Arc<RoutedApp>),
}

/// Finds the destination of a request. The appliance's own endpoints come before the paths of apps.
fn find_destination(
    context: &ConnectionContext,
    host: Host<'_>,
    path: &PathAndQuery,
) -> Result<Destination, Refusal> {
    let (proxy, path) = (&*context.worker.proxy, path.path());
    let known = proxy.routes.knows(host);
    match endpoints::find(path) {
        Some(endpoint)
            if endpoint.is_served_under(host, known)
                && (endpoint.is_always_open() || !context.over_limit) =>
        {
            return Ok(Destination::Endpoint(endpoint));
        }
        _ if !known => return Err(Refusal::UnknownHost),
        _ if context.over_limit => return Err(Refusal::TooManyConnections),
        _ => {}
    }
    match proxy.routes.find(host, path) {
        Some(app) if app.is_exposed(path) => Ok(Destination::App(Arc::clone(app))),
        // `/` is the portal unless an app claims it.
        None if path == "/" => Ok(Destination::Endpoint(Endpoint::Portal)),
        _ => Err(proxy.gate.check().err().unwrap_or(Refusal::NotFound)),
    }
}

async fn serve_endpoint(
    proxy: &Proxy,
    endpoint: Endpoint,
    request: &mut RequestContext,
    head: &Parts,
    admitted: &Admitted,
) -> Result<Served, Refusal> {
    let endpoint_request = EndpointRequest {
        method: &head.method,
        headers: &head.headers,
        path_and_query: admitted.path.as_str(),
        query: admitted.path.query().unwrap_or_default(),
        navigation: request.page && browser::is_safe(&head.method),
        format: ResponseFormat { pages: &proxy.pages, page: request.page, id: &request.record.id },
    };
    let cookies = &mut request.cookies;
    let response = own::serve::serve(proxy, endpoint, endpoint_request, cookies).await?;
    request.record.decision = "own";
    Ok(Served::Response(response.map(BodySource::Appliance)))
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
    let sources = HeaderSources {
        client: &request.source,
        secure: proxy.secure,
        id: &request.record.id,
        person: caller.person.as_deref(),
        session: caller.session.as_deref(),
    };
    let is_own_cookie = |name: &str| proxy.owns_cookie(name);
    rewrite::rewrite(&mut head.headers, &proxy.spoofed_headers, is_own_cookie, app, &sources);
    if websocket {
        handshake::set_upgrade(&mut head.headers);
    }
    accept
}

async fn send(
    context: &ConnectionContext,
    request: &mut RequestContext,
    app: &RoutedApp,
    head: &mut Parts,
    body: Incoming,
    admitted: &Admitted,
) -> Result<AppResponse, Refusal> {
    let (upload, progress) = if body.is_end_stream() {
        (Upload::none(), None)
    } else {
        let limit = app.route.max_body.unwrap_or(u64::MAX);
        let longest_pause = context.worker.proxy.body_timeout;
        let bytes = Rc::clone(&request.record.bytes_in);
        let state = Rc::clone(&context.state);
        let (upload, progress) = Upload::new(body, state, bytes, limit, longest_pause);
        (upload, Some(progress))
    };
    let mut upstream = Request::new(upload);
    *upstream.method_mut() = head.method.clone();
    *upstream.uri_mut() = upstream_uri(app, &admitted.path)?;
    *upstream.headers_mut() = std::mem::take(&mut head.headers);
    let timeout = if admitted.websocket { handshake::TIMEOUT } else { app.route.timeout };
    let sent_at = Instant::now();
    let pool = &context.worker.pool;
    let response = forward::forward(pool, app, upstream, progress.as_deref(), timeout).await;
    request.record.upstream = Some(sent_at.elapsed());
    response
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
    if app.route.strip_prefix {
        let host = admitted.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default();
        stripped_prefix::restore_prefix(&mut head.headers, &app.route.path, host);
    }
    head.version = http::Version::HTTP_11;
    Ok((Response::from_parts(head, BodySource::EMPTY), body))
}

/// The session whose end also ends the response body: the caller's, unless the policy is public.
fn required_session(policy: Policy<'_>, caller: Caller) -> Option<Arc<Session>> {
    let closed = policy.deny.is_some() || *policy.access != Access::Public;
    caller.session.filter(|_| closed)
}
