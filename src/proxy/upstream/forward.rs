//! A request to its app, and the head of the answer back.
//!
//! Tried once. Once more only when it was never sent, or when it is a GET or HEAD without a body
//! that met a connection from the pool which the app had closed.

use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use http::header::HOST;
use http::{Method, Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use tokio::time::Instant;

use super::link::Link;
use super::pool::Pool;
use super::upload::{Fault, Progress, Upload};
use crate::config::Upstream;
use crate::proxy::answer::refusal::Refusal;
use crate::proxy::phases::headers::rewrite;
use crate::proxy::phases::route::target::Target;
use crate::proxy::socket::alarm::within;

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// An answer and the connection that it comes over.
pub(crate) type Answered = (Response<Incoming>, Box<Link>);

/// What hyper's sending comes to.
type Sent = Result<Response<Incoming>, TrySendError<Request<Upload>>>;

/// Why a connection gave no answer.
enum Failed {
    Timeout,
    /// The app sent interim answers without end.
    Flooded,
    /// With the request, when not a byte of it was sent.
    Broken(hyper::Error, Option<Box<Request<Upload>>>),
}

/// Sends a request to an app. `timeout` is for the first byte of the answer, counted from the
/// last byte of the request that moved.
pub(crate) async fn forward(
    pool: &Rc<Pool>,
    target: &Target,
    mut request: Request<Upload>,
    progress: Option<&Progress>,
    timeout: Duration,
) -> Result<Answered, Refusal> {
    let upstreams = target.upstreams();
    // A single address never has to give it back.
    let several = target.route.upstreams.len() > 1;
    let theirs = request.headers().get(HOST).filter(|_| several).cloned();
    let mut link = match upstreams.clone().next().and_then(|first| pool.take(first)) {
        Some(link) => link,
        None => Box::pin(connect(target, upstreams.clone(), timeout)).await?,
    };
    loop {
        let host = link.upstream.host.as_deref();
        rewrite::set_host(request.headers_mut(), host, theirs.as_ref());
        let spare = if link.reused { repeatable(&request) } else { None };
        let method = request.method().clone();
        let answer = pin!(link.sender.try_send_request(request));
        match wait(&mut link, answer, progress, timeout).await {
            Ok(response) => {
                link.end_head(&method, response.status());
                return Ok((response, link));
            }
            Err(Failed::Timeout) => {
                return Err(Refusal::UpstreamTimeout { app: target.title.clone() });
            }
            Err(Failed::Flooded) => {
                return Err(Refusal::InterimAnswers { app: target.title.clone() });
            }
            Err(Failed::Broken(error, unsent)) => {
                // What cannot be read is an answer, if a bad one: that connection was not stale.
                let spare = spare.filter(|_| !error.is_parse());
                let again = unsent.map(|unsent| *unsent).or(spare).filter(|_| link.reused);
                let Some(again) = again else { return Err(broken(target, &error, progress)) };
                request = again;
                link = Box::pin(connect(target, upstreams.clone(), timeout)).await?;
            }
        }
    }
}

/// Dials one address after the other until one can be reached.
async fn connect<'a>(
    target: &Target,
    upstreams: impl Iterator<Item = &'a Upstream>,
    timeout: Duration,
) -> Result<Box<Link>, Refusal> {
    let mut refusal = Refusal::upstream(&target.title, "the app has no address");
    for upstream in upstreams {
        refusal = match within(CONNECT.min(timeout), Link::open(upstream)).await {
            Some(Ok(link)) => return Ok(link),
            Some(Err(error)) => {
                Refusal::upstream(&target.title, format!("cannot connect: {error}"))
            }
            None => Refusal::UpstreamTimeout { app: target.title.clone() },
        };
    }
    Err(refusal)
}

/// A copy of a request that may be sent twice.
fn repeatable(request: &Request<Upload>) -> Option<Request<Upload>> {
    use http_body::Body;
    let safe = matches!(*request.method(), Method::GET | Method::HEAD);
    if !safe || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Upload::none());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Drives the connection until it has an answer.
async fn wait(
    link: &mut Link,
    mut answer: Pin<&mut impl Future<Output = Sent>>,
    progress: Option<&Progress>,
    timeout: Duration,
) -> Result<Response<Incoming>, Failed> {
    link.begin(timeout);
    std::future::poll_fn(|cx| {
        // Its end is told by the answer, too.
        let _ = link.poll_drive(cx);
        if let Poll::Ready(result) = answer.as_mut().poll(cx) {
            return Poll::Ready(result.map_err(|mut error| {
                if link.is_flooded() {
                    return Failed::Flooded;
                }
                let unsent = error.take_message().map(Box::new);
                Failed::Broken(error.into_error(), unsent)
            }));
        }
        while link.poll_deadline(cx).is_ready() {
            // The app has not been given everything yet: its time begins with the last byte.
            let more = progress.map_or(Duration::ZERO, |progress| {
                (progress.moved() + timeout).saturating_duration_since(Instant::now())
            });
            if more.is_zero() {
                return Poll::Ready(Err(Failed::Timeout));
            }
            link.set_deadline(more);
        }
        Poll::Pending
    })
    .await
}

fn broken(target: &Target, error: &hyper::Error, progress: Option<&Progress>) -> Refusal {
    match progress.and_then(Progress::fault) {
        Some(Fault::TooLarge) => Refusal::BodyTooLarge,
        Some(Fault::Stalled) => Refusal::BodyTimeout,
        Some(Fault::Broken) => Refusal::Malformed("the request body is broken"),
        None => Refusal::upstream(&target.title, reason(error)),
    }
}

fn reason(error: &hyper::Error) -> String {
    use std::error::Error;
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
