//! Questions that are asked of an app again and again: `http`, `tcp` and `exec`.
//!
//! One question at a time, each on a fresh connection: an old one could lead to an incarnation
//! that has gone. No proxy, no redirect. Fast while the app starts, then every `interval`. When
//! we, or the machine, were frozen while an answer was due, the question is asked again.

use std::future::Future;
use std::io;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::select_ok;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::life::Answer;
use super::reaper::Reaper;
use super::spawn::{self, Spec};
use crate::config::{App, Dial, Probe, ProbeKind, Upstream};

/// First pause between two questions to an app that starts.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// A timer that is late by more than this was not late by load: nothing of us ran.
pub(super) const FROZEN: Duration = Duration::from_secs(1);
/// Of an answer's body, at most so many bytes are read, and for so long.
const BODY: (usize, Duration) = (64 * 1024, Duration::from_millis(100));
/// For the group of an `exec` probe to go after it was killed.
const LAST_BREATH: Duration = Duration::from_secs(2);

/// How TLS is spoken to an app that runs elsewhere: as the requests to it do.
pub type Tls = fn() -> Result<Arc<ClientConfig>, &'static String>;

/// Whom a probe asks.
#[derive(Debug)]
pub(super) struct Asked<'a> {
    pub(super) app: &'a App,
    pub(super) state_dir: &'a std::path::Path,
    pub(super) reaper: &'a Reaper,
    pub(super) tls: Tls,
}

/// An answer, and for people what it was unless it was a yes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Heard {
    pub(super) answer: Answer,
    pub(super) words: String,
}

/// Asks for ever and tells every answer. `first`: the pause after the first question, from where
/// pauses grow up to the interval until there is a yes.
pub(super) async fn ask_on(
    probe: &Probe,
    first: Duration,
    asked: &Asked<'_>,
    mut tell: impl FnMut(Heard) + Send,
) {
    let mut pause = first.min(probe.interval);
    loop {
        let heard = ask(probe, asked).await;
        let yes = heard.answer == Answer::Yes;
        tell(heard);
        sleep(pause).await;
        // In step with the age of the start: the answer is a tenth of it late at most.
        pause = if yes { probe.interval } else { pause.mul_f32(1.1) };
        pause = pause.min(probe.interval);
    }
}

/// Asks once; again when the time for it ran out while nothing of us ran.
pub(super) async fn ask(probe: &Probe, asked: &Asked<'_>) -> Heard {
    loop {
        let began = Instant::now();
        let heard = match &probe.kind {
            ProbeKind::Http { path, status, at } => {
                let ask = |one| http(one, path, *status, asked.tls);
                within(probe.timeout, any(at, ask)).await
            }
            ProbeKind::Tcp(at) => within(probe.timeout, any(at, tcp)).await,
            ProbeKind::Exec(command) => exec(command, probe.timeout, asked).await,
            // These are not asked: the app says so by itself.
            ProbeKind::Log(_) | ProbeKind::Notify(_) => std::future::pending().await,
        };
        if heard.answer != Answer::Silence || began.elapsed() < probe.timeout + FROZEN {
            return heard;
        }
    }
}

/// A yes, or what was heard instead of one.
type Told = Result<(), String>;

async fn within(limit: Duration, question: impl Future<Output = Told> + Send) -> Heard {
    match timeout(limit, question).await {
        Ok(told) => told.into(),
        Err(_) => silence(limit),
    }
}

fn silence(limit: Duration) -> Heard {
    let words = format!("no answer within {}", humantime::format_duration(limit));
    Heard { answer: Answer::Silence, words }
}

impl From<Told> for Heard {
    fn from(told: Told) -> Self {
        match told {
            Ok(()) => Self { answer: Answer::Yes, words: String::new() },
            Err(words) => Self { answer: Answer::No, words },
        }
    }
}

/// Asks all at once: a yes of one is enough.
async fn any<'a, Q>(at: &'a [Upstream], ask: impl Fn(&'a Upstream) -> Q) -> Told
where
    Q: Future<Output = Told> + Send,
{
    // In a box each, also a single one: with TLS in it, it is large.
    select_ok(at.iter().map(|one| Box::pin(ask(one)))).await.map(drop)
}

async fn tcp(at: &Upstream) -> Told {
    let connected = match &at.dial {
        Dial::Tcp(host, port) => connect(host, *port).await.map(drop),
        Dial::Unix(path) => UnixStream::connect(path).await.map(drop),
    };
    connected.map_err(|error| format!("{}: {error}", place(&at.dial)))
}

/// As people and `Host` write it.
fn place(dial: &Dial) -> String {
    match dial {
        Dial::Tcp(host, port) if host.contains(':') => format!("[{host}]:{port}"),
        Dial::Tcp(host, port) => format!("{host}:{port}"),
        Dial::Unix(path) => path.display().to_string(),
    }
}

async fn secure(stream: TcpStream, host: &str, tls: Tls) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let config = tls().map_err(|why| io::Error::other(why.as_str()))?;
    TlsConnector::from(config).connect(name, stream).await
}

async fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((host, port)).await?;
    // With nobody listening on a port of the ephemeral range, the kernel may choose it as our
    // own and connect us to ourselves.
    if stream.local_addr()? == stream.peer_addr()? {
        return Err(io::ErrorKind::ConnectionRefused.into());
    }
    Ok(stream)
}

async fn http(at: &Upstream, path: &str, status: u16, tls: Tls) -> Told {
    let place = place(&at.dial);
    match answered(at, &place, path, tls).await {
        Ok(Some(answered)) if answered == status => Ok(()),
        Ok(Some(answered)) => Err(format!("{place}: GET {path} answers {answered}, not {status}")),
        Ok(None) => Err(format!("{place}: GET {path} is not answered in HTTP")),
        Err(error) => Err(format!("{place}: {error}")),
    }
}

async fn answered(at: &Upstream, place: &str, path: &str, tls: Tls) -> io::Result<Option<u16>> {
    let (host, port) = match &at.dial {
        Dial::Tcp(host, port) => (host, *port),
        Dial::Unix(socket) => {
            return Ok(get(UnixStream::connect(socket).await?, "localhost", path).await);
        }
    };
    let stream = connect(host, port).await?;
    let named = at.host.as_deref().unwrap_or(place);
    if at.tls {
        Ok(get(secure(stream, host, tls).await?, named, path).await)
    } else {
        Ok(get(stream, named, path).await)
    }
}

/// The status of a `GET`, after a look at the body: an app must not see us hang up on it.
async fn get<S>(stream: S, host: &str, path: &str) -> Option<u16>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = http::Request::get(path)
        .header(http::header::HOST, host)
        .header(http::header::USER_AGENT, "appliance-probe")
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.ok()?;
    let mut connection = std::pin::pin!(connection);
    let answered = async {
        let answer = sender.send_request(request).await.ok()?;
        let status = answer.status().as_u16();
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
        Some(status)
    };
    let mut answered = std::pin::pin!(answered);
    tokio::select! {
        biased;
        status = &mut answered => status,
        _ = &mut connection => answered.await,
    }
}

async fn exec(command: &[String], limit: Duration, asked: &Asked<'_>) -> Heard {
    let Some(run) = &asked.app.run else { return Err("it has no process".to_owned()).into() };
    let spawned = Spec::of(asked.app, run, asked.state_dir).and_then(|spec| {
        let spec = Spec { command, ..spec };
        spawn::spawn(asked.reaper, &spec, Stdio::null(), Stdio::null())
    });
    let mut process = match spawned {
        Ok(process) => process,
        Err(error) => return Err(error.to_string()).into(),
    };
    let program = command.first().map(String::as_str).unwrap_or_default();
    let heard = match timeout(limit, &mut process.ended).await {
        Ok(Ok(ended)) if ended.exit == super::Exit::Code(0) => Ok(()).into(),
        Ok(Ok(ended)) => Err(format!("{program}: {}", ended.exit)).into(),
        Ok(Err(_)) => Err(format!("{program}: its end was missed")).into(),
        Err(_) => silence(limit),
    };
    // The next one may not meet what this one left behind.
    process.kill(asked.reaper);
    let _ = timeout(LAST_BREATH, &mut process.gone).await;
    heard
}

#[cfg(test)]
#[path = "../../tests/unit/probe.rs"]
mod tests;
