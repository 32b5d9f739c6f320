//! Sends a request to its app and receives the head of the response.
//!
//! A request is sent once. On a connection from the pool, which the app may have closed, a failed
//! request is sent a second time if no byte of it was sent, or if it is a GET or HEAD without a body that
//! the app has not read. An app that has read it may have ended because of it. Only of an app that runs
//! elsewhere it is not known which of its programs ended, and the request is sent again in any case.

use std::io;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::header::{CONNECTION, HOST};
use http::{HeaderMap, HeaderValue, Method, Request, Response};
use hyper::body::Incoming;
use tokio::time::Instant;
use tracing::{info, warn};

use super::app_connection::{AppConnection, SendResult};
use super::pool::Pool;
use super::upload::{Progress, Upload, UploadError};
use crate::config::{ListenerCheck, Upstream};
use crate::net;
use crate::net::is_exhaustion;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::access::right::Right;
use crate::proxy::phases::headers::rewrite;
use crate::proxy::phases::route::routed_app::RoutedApp;
use crate::proxy::socket::alarm::within;

/// The longest time for connecting to the address of an app.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The same for an address beside others, which can take the request.
const CONNECT_TIMEOUT_OF_SEVERAL: Duration = Duration::from_secs(3);

/// A response of an app and the connection that carries its body.
pub(crate) type AppResponse = (Response<Incoming>, Box<AppConnection>);

/// A request without a response.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The answer to the client.
    pub refusal: Refusal,
    /// The request, if it was kept and the app has not answered it.
    pub request: Option<Box<Request<Upload>>>,
    /// The app may have read the request.
    pub sent: bool,
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, request: None, sent: true }
    }
}

/// How long the wait for a response may last before its session is kept refreshed.
const SHORT: Duration = Duration::from_secs(1);

const CLOSE: HeaderValue = HeaderValue::from_static("close");

/// Why there is no response.
enum SendError {
    Timeout,
    /// The app sent interim responses without end.
    HeadTooLong,
    /// The error, and the request if no byte of it was sent.
    Broken(hyper::Error, Option<Box<Request<Upload>>>),
}

impl SendError {
    fn refusal(&self, app: &RoutedApp) -> Refusal {
        let app = app.title.clone();
        match self {
            Self::Timeout => Refusal::UpstreamTimeout { app },
            Self::HeadTooLong => Refusal::InterimResponses { app },
            Self::Broken(error, _) => Refusal::upstream(&app, reason(error)),
        }
    }
}

/// Sends a request to an app. The `timeout` of the app limits the time from the last sent piece of
/// the request body to the head of the response. `keep`: a failure returns the request, which is a GET
/// or HEAD without a body.
pub(crate) async fn forward(
    pool: &Rc<Pool>,
    app: &RoutedApp,
    mut request: Request<Upload>,
    progress: Option<&Progress>,
    right: &Right,
    keep: bool,
) -> Result<AppResponse, Failure> {
    let timeout = app.route.timeout;
    let client_host = client_host(app, &request);
    let alone = has_body(&request);
    let idle = if alone { None } else { idle(pool, app) };
    let mut connection = match idle {
        Some(connection) => connection,
        None => match Box::pin(connect(pool, app)).await {
            Ok(connection) => connection,
            Err(refusal) => return Err(unsent(refusal, request, keep)),
        },
    };
    if alone {
        close_after(&mut request, &mut connection);
    }
    loop {
        check_again(app, right, request.headers_mut())?;
        let host = connection.upstream.host.as_deref();
        rewrite::set_host(request.headers_mut(), host, client_host.as_ref());
        let method = request.method().clone();
        let keeps = (connection.reused || keep) && is_repeatable(&request);
        let response = pin!(connection.send(request, keeps));
        let waiting = wait(&mut connection, response, progress, timeout, right);
        let (error, not_sent) = match waiting.await {
            Ok(response) => {
                connection.end_head(&method, &response);
                note_success(app, &connection.upstream);
                return Ok((response, connection));
            }
            Err(SendError::Broken(error, not_sent)) => (error, not_sent),
            Err(other) => return Err(other.refusal(app).into()),
        };
        // A response that cannot be parsed is still a response: the connection was not stale.
        let spare = if error.is_parse() { None } else { connection.sent_request() };
        let (reused, upstream) = (connection.reused, Rc::clone(&connection.upstream));
        // Closes the connection: a request holds one descriptor at a time.
        let was_reset = connection.was_reset();
        let mut sent = not_sent.is_none() && !was_unread(&error) && !was_reset;
        let again = not_sent.map(|unsent| *unsent).or(spare);
        request = match again.map(|again| with_host(again, client_host.as_ref())) {
            Some(again) if reused && (!sent || app.runs_elsewhere()) => again,
            again => {
                let request = again.filter(|_| keep).map(Box::new);
                let refusal = broken(app, &upstream, &error, progress);
                return Err(Failure { refusal, request, sent });
            }
        };
        sent &= !app.runs_elsewhere();
        connection = match Box::pin(connect(pool, app)).await {
            Ok(connection) => connection,
            Err(refusal) => return Err(Failure { sent, ..unsent(refusal, request, keep) }),
        };
    }
}

/// Whether the request has a body. An app may leave one unread: most servers do so when a handler refuses a
/// request. On a connection that goes on, the body would be the next request, with headers that the client
/// has chosen and perhaps for another person. Such a request gets a connection of its own, after which a
/// server must not read on (RFC 9112 section 9.6).
fn has_body(request: &Request<Upload>) -> bool {
    use http_body::Body;
    !request.body().is_end_stream()
}

fn close_after(request: &mut Request<Upload>, connection: &mut AppConnection) {
    request.headers_mut().insert(CONNECTION, CLOSE);
    connection.carry_no_more();
}

/// The `Host` of the client, if an address of the app replaces it: another one may need it.
fn client_host(app: &RoutedApp, request: &Request<Upload>) -> Option<HeaderValue> {
    let is_replaced = app.route.upstreams.iter().any(|upstream| upstream.host.is_some());
    request.headers().get(HOST).filter(|_| is_replaced).cloned()
}

fn with_host(mut request: Request<Upload>, host: Option<&HeaderValue>) -> Request<Upload> {
    rewrite::set_host(request.headers_mut(), None, host);
    request
}

fn idle(pool: &Pool, app: &RoutedApp) -> Option<Box<AppConnection>> {
    let incarnation = app.listener.as_deref().map_or(0, ListenerCheck::incarnation);
    pool.take(app.route.upstreams.first()?, incarnation)
}

/// Looks at the right once more when the request is about to be sent: while it waited for its session, for
/// the app or for a connection, a reload may have taken the right, and the session may have ended. A
/// public app then receives no identity.
fn check_again(app: &RoutedApp, right: &Right, headers: &mut HeaderMap) -> Result<(), Failure> {
    if right.loss().is_some() {
        // The caller knows what was lost, and answers accordingly.
        let refusal = Refusal::SignIn { login: None };
        return Err(Failure { refusal, request: None, sent: false });
    }
    if right.is_session_over() {
        for (name, _) in &app.identity {
            headers.remove(name);
        }
    }
    Ok(())
}

/// The failure of a connection, before the request was sent.
fn unsent(refusal: Refusal, request: Request<Upload>, keep: bool) -> Failure {
    let refused =
        keep && matches!(refusal, Refusal::Upstream { .. } | Refusal::UpstreamTimeout { .. });
    Failure { refusal, request: refused.then(|| Box::new(request)), sent: false }
}

/// Connects to one address after the other until one can be reached. An app with several has only one
/// here, unless each of its processes has several.
async fn connect(pool: &Pool, app: &RoutedApp) -> Result<Box<AppConnection>, Refusal> {
    let mut refusal = Refusal::upstream(&app.title, "the app has no address");
    let longest = if app.is_one_address { CONNECT_TIMEOUT_OF_SEVERAL } else { CONNECT_TIMEOUT };
    for upstream in &app.route.upstreams {
        let opened = within(longest.min(app.route.timeout), open(pool, app, upstream)).await;
        let (failed, why) = match opened {
            Some(Ok(connection)) => {
                note_success(app, upstream);
                return Ok(connection);
            }
            Some(Err(error)) => {
                let why = format!("cannot connect to {upstream}: {error}");
                (Refusal::upstream(&app.title, why.clone()), why)
            }
            None => {
                let refusal = Refusal::UpstreamTimeout { app: app.title.clone() };
                (refusal, format!("cannot connect to {upstream}: no answer"))
            }
        };
        note_failure(app, upstream, &why);
        refusal = failed;
    }
    Err(refusal)
}

/// One of several addresses is left out while it cannot be reached.
fn note_failure(app: &RoutedApp, upstream: &Upstream, why: &str) {
    if app.is_one_address && upstream.standing.fail(Instant::now()) {
        warn!(app = %app.name, %upstream, why, "an upstream is left out");
    }
}

fn note_success(app: &RoutedApp, upstream: &Upstream) {
    if app.is_one_address && upstream.standing.work() {
        info!(app = %app.name, %upstream, "an upstream is used again");
    }
}

/// Opens a connection. If the process has no descriptor left, the idle connections are closed first.
async fn open(pool: &Pool, app: &RoutedApp, upstream: &Upstream) -> io::Result<Box<AppConnection>> {
    let listener = app.listener.as_deref();
    match AppConnection::open(upstream, listener).await {
        Err(error) if is_exhaustion(&error) => {
            pool.empty_all().await;
            AppConnection::open(upstream, listener).await
        }
        opened => opened,
    }
}

/// Whether a request may be sent twice.
fn is_repeatable(request: &Request<Upload>) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD) && !has_body(request)
}

/// Polls the connection until the response arrives or the time is over. A wait longer than [`SHORT`] keeps
/// the session refreshed: its end is then known when the response arrives.
async fn wait(
    connection: &mut AppConnection,
    mut response: Pin<&mut impl Future<Output = SendResult>>,
    progress: Option<&Progress>,
    timeout: Duration,
    right: &Right,
) -> Result<Response<Incoming>, SendError> {
    let mut after_short = timeout.checked_sub(SHORT);
    let mut guard = None;
    connection.begin_head(timeout.min(SHORT));
    let head = std::future::poll_fn(|cx| {
        // The response also reports the end of the connection.
        let _ = connection.poll_drive(cx);
        if let Poll::Ready(result) = response.as_mut().poll(cx) {
            return Poll::Ready(result.map_err(|mut error| {
                if connection.is_head_too_long() {
                    return SendError::HeadTooLong;
                }
                let unsent = error.take_message().map(Box::new);
                SendError::Broken(error.into_error(), unsent)
            }));
        }
        while connection.poll_deadline(cx).is_ready() {
            if let Some(rest) = after_short.take() {
                guard = right.keep_refreshed();
                connection.set_deadline(rest);
                continue;
            }
            // A client that stalls is no fault of the app; `body_timeout` limits its pause.
            if progress.is_some_and(Progress::waits_for_client) {
                connection.set_deadline(timeout);
                continue;
            }
            // The time begins again with each sent piece of the request body.
            let more = progress.map_or(Duration::ZERO, |progress| {
                (progress.moved() + timeout).saturating_duration_since(Instant::now())
            });
            if more.is_zero() {
                return Poll::Ready(Err(SendError::Timeout));
            }
            connection.set_deadline(more);
        }
        Poll::Pending
    })
    .await;
    drop(guard);
    head
}

fn broken(
    app: &RoutedApp,
    upstream: &Upstream,
    error: &hyper::Error,
    progress: Option<&Progress>,
) -> Refusal {
    match progress.and_then(Progress::error) {
        Some(UploadError::TooLarge) => Refusal::BodyTooLarge,
        Some(UploadError::Stalled) => Refusal::BodyTimeout,
        Some(UploadError::Revoked) => Refusal::SignIn { login: None },
        Some(UploadError::Broken) => Refusal::Malformed("the request body is broken"),
        None if app.runs_elsewhere() => {
            Refusal::upstream(&app.title, format!("{upstream}: {}", reason(error)))
        }
        None => Refusal::upstream(&app.title, reason(error)),
    }
}

/// Whether the app has ended without reading the whole request: the kernel then resets the connection
/// (RFC 1122 section 4.2.2.13). After a request that was read, it closes the connection in order. See also
/// [`AppConnection::was_reset`].
fn was_unread(error: &hyper::Error) -> bool {
    use std::error::Error;
    let source = error.source().and_then(|source| source.downcast_ref::<std::io::Error>());
    source.is_some_and(|source| source.kind() == std::io::ErrorKind::ConnectionReset)
}

fn reason(error: &hyper::Error) -> String {
    use std::error::Error;
    let Some(source) = error.source() else { return error.to_string() };
    // An app may refuse a client certificate after the handshake (RFC 8446 section 4.4.2.4).
    match source.downcast_ref().and_then(net::tls_fault) {
        Some(fault) => fault,
        None => format!("{error}: {source}"),
    }
}
