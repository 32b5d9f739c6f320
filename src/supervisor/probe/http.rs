//! The `http` probe: one `GET` on its own connection, with the headers that a browser's request through
//! the proxy would have.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::{CONNECTION, HOST, LOCATION, USER_AGENT};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

use super::connect::connect;
use super::question::Verdict;
use crate::config::{Dial, HttpQuestion, Upstream};
use crate::net;

/// How much of a response body is read at most, in bytes and in time.
const BODY: (usize, Duration) = (64 * 1024, Duration::from_millis(100));

/// Most characters of a `Location` that are reported.
const LOCATION_SHOWN: usize = 200;

pub(super) async fn http(at: &Upstream, question: &HttpQuestion) -> Verdict {
    let (place, path) = (at.dial.to_string(), &question.path);
    match answered(at, &place, question).await {
        Ok(Some(answered)) if question.status.contains(&answered.status) => Ok(()),
        Ok(Some(answered)) => {
            let wanted = alternatives(&question.status);
            Err(format!("{place}: GET {path} answered {answered}, not {wanted}"))
        }
        Ok(None) => Err(format!("{place}: GET {path} was not answered in HTTP")),
        Err(error) => Err(format!("{place}: {error}")),
    }
}

/// `200, 204 or 302`
fn alternatives(statuses: &[u16]) -> String {
    let texts: Vec<String> = statuses.iter().map(u16::to_string).collect();
    match texts.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// The part of a response that a probe judges and reports.
struct Answered {
    status: u16,
    location: Option<String>,
}

impl fmt::Display for Answered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.location {
            Some(location) => write!(f, "{} (redirect to {location})", self.status),
            None => write!(f, "{}", self.status),
        }
    }
}

async fn answered(
    at: &Upstream,
    place: &str,
    question: &HttpQuestion,
) -> io::Result<Option<Answered>> {
    let Some(request) = request(at, place, question) else { return Ok(None) };
    match &at.dial {
        Dial::Unix(socket) => Ok(get(socket.connect().await?, request).await),
        Dial::Tcp(host, _) if let Some(tls) = &at.tls => {
            let stream = connect(&at.dial).await?;
            Ok(get(net::secure(stream, tls.handshake(host)?).await?, request).await)
        }
        dial => Ok(get(connect(dial).await?, request).await),
    }
}

/// The request, as a request through the proxy would reach the app.
fn request(at: &Upstream, place: &str, question: &HttpQuestion) -> Option<Request<Empty<Bytes>>> {
    let mut request = Request::get(&question.path)
        .header(USER_AGENT, "appliance-probe")
        .header(CONNECTION, "close");
    let own = if matches!(at.dial, Dial::Unix(_)) { "localhost" } else { place };
    let seen = question.browser.as_ref().map(|browser| browser.host.as_str());
    // The proxy sends the `Host` of the address, too, if the address has one.
    request = request.header(HOST, at.host.as_deref().or(seen).unwrap_or(own));
    if let Some(browser) = &question.browser {
        request = request
            .header("x-forwarded-for", "127.0.0.1")
            .header("x-forwarded-proto", if browser.secure { "https" } else { "http" })
            .header("x-forwarded-host", &browser.host);
        if let Some(prefix) = &browser.stripped {
            request = request.header("x-forwarded-prefix", prefix);
        }
    }
    request.body(Empty::new()).ok()
}

/// The response to a `GET`. Reads the beginning of the body, so that the app does not see its
/// connection reset.
async fn get<S>(stream: S, request: Request<Empty<Bytes>>) -> Option<Answered>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let mut connection = std::pin::pin!(connection);
    let answered = async {
        let answer = sender.send_request(request).await.ok()?;
        let location = answer.headers().get(LOCATION).filter(|_| answer.status().is_redirection());
        let location = location.and_then(|value| value.to_str().ok());
        let location = location.map(|text| text.chars().take(LOCATION_SHOWN).collect());
        let answered = Answered { status: answer.status().as_u16(), location };
        let (mut body, mut read) = (answer.into_body(), 0);
        let reading = async {
            while let Some(Ok(frame)) = body.frame().await {
                read += frame.data_ref().map_or(0, Bytes::len);
                if read > BODY.0 {
                    break;
                }
            }
        };
        let _ = timeout(BODY.1, reading).await;
        Some(answered)
    };
    let mut answered = std::pin::pin!(answered);
    tokio::select! {
        biased;
        done = &mut answered => done,
        _ = &mut connection => answered.await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::BrowserView;
    use crate::config::ownership::app_socket::UnixSocket;

    fn asked(at: &Upstream, browser: Option<BrowserView>) -> Vec<String> {
        let question = HttpQuestion { path: "/x".into(), status: vec![200], browser };
        let request = request(at, &at.dial.to_string(), &question).unwrap();
        let names = ["host", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-prefix"];
        let value = |name| request.headers().get(name).map(|value| value.to_str().unwrap());
        names.iter().map(|name| value(*name).unwrap_or("-").to_owned()).collect()
    }

    #[test]
    fn the_request_is_like_a_browsers_through_the_proxy() {
        let at = |dial, host: Option<&str>| Upstream {
            host: host.map(Into::into),
            ..Upstream::new(dial)
        };
        let local = || Dial::Tcp("127.0.0.1".into(), 80);
        let view = |stripped: Option<&str>| {
            let stripped = stripped.map(Into::into);
            Some(BrowserView { host: "a.example:8443".into(), secure: true, stripped })
        };
        for (at, browser, expected) in [
            (at(local(), None), None, ["127.0.0.1:80", "-", "-", "-"]),
            (
                at(Dial::Unix(UnixSocket::new("/s".into())), None),
                None,
                ["localhost", "-", "-", "-"],
            ),
            (at(local(), None), view(None), ["a.example:8443", "https", "a.example:8443", "-"]),
            (
                at(Dial::Unix(UnixSocket::new("/s".into())), None),
                view(Some("/p")),
                ["a.example:8443", "https", "a.example:8443", "/p"],
            ),
            (
                at(local(), Some("own.example")),
                view(None),
                ["own.example", "https", "a.example:8443", "-"],
            ),
        ] {
            assert_eq!(asked(&at, browser), expected, "{at:?}");
        }
    }

    #[test]
    fn the_statuses_are_listed_for_people() {
        for (statuses, text) in [(&[200][..], "200"), (&[200, 204, 302], "200, 204 or 302")] {
            assert_eq!(alternatives(statuses), text);
        }
    }
}
