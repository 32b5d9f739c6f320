//! Probes that ask an app repeatedly: `http`, `tcp` and `exec`.
//!
//! A probe asks one question at a time, each on a new connection, because an old connection could
//! lead to an earlier incarnation. It uses no proxy and follows no redirect. It asks often while
//! the app starts, then at every `interval`. If the appliance or the machine was frozen while an
//! answer was due, the probe asks again. A success counts only while the listener behind it belongs
//! to the app.

use std::future::Future;
use std::time::Duration;

use futures_util::future::{join_all, select_ok};
use tokio::time::{Instant, sleep, timeout};

use super::connect::{accepted, tcp};
use super::exec::exec;
use super::http::http;
use super::question::{Outcome, Target, Verdict, timed_out};
use crate::config::{Probe, ProbeKind, Upstream};
use crate::supervisor::life::event::Answer;
use crate::supervisor::port::owner::Owner;

/// First pause between two questions while the app starts.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// A timer that is late by more than this means that the process was frozen, not that it was busy.
pub(crate) const FREEZE: Duration = Duration::from_secs(1);

/// Pauses between questions until the first success; after it they are the interval.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// After the first question.
    pub(crate) first: Duration,
    /// How long the pauses stay as short as the first, before they grow up to the interval.
    pub(crate) eager_for: Duration,
}

impl Pace {
    /// The pauses grow with the age of the start, so readiness is seen at most a tenth of it late.
    pub(crate) const START: Self = Self { first: FIRST_PAUSE, eager_for: Duration::ZERO };
    /// For the issuer: nobody can sign in before its app is ready.
    pub(crate) const EAGER: Self = Self { eager_for: Duration::from_mins(2), ..Self::START };
}

/// Asks for ever and passes on every outcome.
pub(crate) async fn ask_repeatedly(
    probe: &Probe,
    pace: Pace,
    target: &Target<'_>,
    mut report: impl FnMut(Outcome) + Send,
) {
    let (began, mut pause) = (Instant::now(), pace.first.min(probe.interval));
    let mut succeeded = false;
    loop {
        let outcome = ask(probe, target, succeeded).await;
        let yes = outcome.answer == Answer::Yes;
        succeeded |= yes;
        report(outcome);
        sleep(pause).await;
        if yes {
            pause = probe.interval;
        } else if began.elapsed() >= pace.eager_for {
            pause = pause.mul_f32(1.1).min(probe.interval);
        }
    }
}

/// Asks once; asks again if the time for the answer ran out while the process was frozen.
/// `succeeded`: an earlier question to the same process had success.
pub(crate) async fn ask(probe: &Probe, target: &Target<'_>, succeeded: bool) -> Outcome {
    loop {
        let began = Instant::now();
        // Before the question, too: the check chooses the address that is asked.
        if let Some(Err(detail)) = target.of_owner(Owner::check_addresses).await {
            return Err(detail).into();
        }
        let outcome = match &probe.kind {
            ProbeKind::Http { question, at } => {
                asked(target, probe.timeout, succeeded, at, |one| http(one, question)).await
            }
            ProbeKind::Accepts(at) if !succeeded => {
                let outcome = within(probe.timeout, any_of(at, accepted)).await;
                not_accepted(outcome, at)
            }
            // An app that was ready once may be busy with another request.
            ProbeKind::Tcp(at) | ProbeKind::Accepts(at) => {
                asked(target, probe.timeout, succeeded, at, tcp).await
            }
            ProbeKind::Exec(command) => exec(command, probe.timeout, target).await,
            // These are not asked: the app reports its readiness itself.
            ProbeKind::Log(_) | ProbeKind::Notify(_) => std::future::pending().await,
        };
        if outcome.answer == Answer::Yes {
            let asked = probe.kind.asked().to_vec();
            let checked = target.of_owner(move |owner| owner.check_answer(&asked)).await;
            if let Some(Err(detail)) = checked {
                return Err(detail).into();
            }
        }
        let outcome = with_other_ports(outcome, target).await;
        if outcome.answer != Answer::Timeout || began.elapsed() < probe.timeout + FREEZE {
            return outcome;
        }
    }
}

/// Adds to the reason of a refused connection where the app listens instead.
async fn with_other_ports(outcome: Outcome, target: &Target<'_>) -> Outcome {
    if outcome.answer != Answer::No {
        return outcome;
    }
    let found = target.of_owner(Owner::elsewhere).await.unwrap_or_default();
    let found: Vec<String> = found.iter().map(ToString::to_string).collect();
    if found.is_empty() {
        return outcome;
    }
    let detail = format!("{}; the app listens on {}", outcome.detail, found.join(", "));
    Outcome { detail, ..outcome }
}

fn not_accepted(outcome: Outcome, at: &[Upstream]) -> Outcome {
    if outcome.answer != Answer::Timeout {
        return outcome;
    }
    let places: Vec<String> = at.iter().map(|one| one.dial.to_string()).collect();
    let detail =
        format!("{} is open, but the app does not accept connections yet", places.join(", "));
    Outcome { detail, ..outcome }
}

async fn within(limit: Duration, question: impl Future<Output = Verdict> + Send) -> Outcome {
    match timeout(limit, question).await {
        Ok(verdict) => verdict.into(),
        Err(_) => timed_out(limit),
    }
}

/// Asks the addresses. The proxy leaves out single ones of an app that runs elsewhere, while they do not
/// answer as they should. Until the first success, that success is all that matters.
async fn asked<'a, Q>(
    target: &Target<'_>,
    limit: Duration,
    succeeded: bool,
    at: &'a [Upstream],
    ask: impl Fn(&'a Upstream) -> Q + Send + Sync,
) -> Outcome
where
    Q: Future<Output = Verdict> + Send,
{
    if target.owner.is_some() || at.len() < 2 || !succeeded {
        return within(limit, any_of(at, ask)).await;
    }
    let outcomes = join_all(at.iter().map(|one| Box::pin(within(limit, ask(one))))).await;
    for (one, outcome) in at.iter().zip(&outcomes) {
        one.standing.answer(outcome.answer == Answer::Yes);
    }
    // The best answer: one that timed out may be due to a freeze.
    let rank = |outcome: &Outcome| match outcome.answer {
        Answer::Yes => 0,
        Answer::Timeout => 1,
        Answer::No => 2,
    };
    let best = outcomes.into_iter().min_by_key(rank);
    best.unwrap_or_else(|| Err("the app has no address".to_owned()).into())
}

/// Asks all addresses at once: one success is enough.
async fn any_of<'a, Q>(at: &'a [Upstream], ask: impl Fn(&'a Upstream) -> Q + Send) -> Verdict
where
    Q: Future<Output = Verdict> + Send,
{
    // Each in a box, also a single one: with TLS, the future is large.
    select_ok(at.iter().map(|one| Box::pin(ask(one)))).await.map(drop)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::ownership::app_socket::UnixSocket;
    use crate::config::{App, Dial, HttpQuestion};
    use crate::one_process::alone;
    use crate::supervisor::process::reaper::Reaper;
    use crate::supervisor::sample_apps::{app, probe};

    /// A server that answers every request with the same bytes; returns its port.
    async fn serves(bytes: &'static [u8], endless: bool) -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(bytes).await;
                    while endless && stream.write_all(&[b'x'; 4096]).await.is_ok() {}
                    if bytes.is_empty() {
                        std::future::pending::<()>().await;
                    }
                });
            }
        });
        port
    }

    async fn answer_of(kind: ProbeKind) -> Answer {
        answer_with(&Reaper::unstarted(), kind).await
    }

    async fn answer_with(reaper: &Reaper, kind: ProbeKind) -> Answer {
        let app = app("a", &["true"]);
        ask(&probe(kind), &asked(&app, reaper), false).await.answer
    }

    fn asked<'a>(app: &App, reaper: &'a Reaper) -> Target<'a> {
        Target {
            app: Arc::new(app.clone()),
            state_dir: std::path::Path::new("/nowhere").into(),
            reaper,
            files: crate::supervisor::process::child::files::Files::new(
                reaper,
                &crate::threads::Turn::default(),
            ),
            owner: None,
        }
    }

    fn local(port: u16) -> Upstream {
        Upstream::new(Dial::Tcp("127.0.0.1".into(), port))
    }

    fn http_on(port: u16) -> ProbeKind {
        http_at("/health?x=1", vec![local(port)])
    }

    fn http_at(path: &str, at: Vec<Upstream>) -> ProbeKind {
        let question = HttpQuestion { path: path.into(), status: vec![200], browser: None };
        ProbeKind::Http { question, at }
    }

    #[tokio::test]
    async fn http_compares_the_status_alone() {
        for (bytes, endless, expected) in [
            (&b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"[..], false, Answer::Yes),
            (b"HTTP/1.1 200 OK\r\n\r\n", true, Answer::Yes),
            (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", false, Answer::Yes),
            (b"HTTP/1.1 204 No Content\r\n\r\n", false, Answer::No),
            (
                b"HTTP/1.1 302 Found\r\nLocation: /ok\r\nContent-Length: 0\r\n\r\n",
                false,
                Answer::No,
            ),
            (b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", false, Answer::No),
            (b"SSH-2.0-OpenSSH\r\n", false, Answer::No),
            (b"", false, Answer::Timeout),
        ] {
            let port = serves(bytes, endless).await;
            assert_eq!(
                answer_of(http_on(port)).await,
                expected,
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
    }

    #[tokio::test]
    async fn a_failed_probe_has_a_reason() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let app = app("a", &["true"]);
        let asked = asked(&app, &reaper);
        let port = serves(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", false).await;
        let place = format!("127.0.0.1:{port}");
        let failing = ProbeKind::Exec(["/bin/sh", "-c", "exit 3"].map(str::to_owned).to_vec());
        for (kind, detail) in [
            (http_on(port), format!("{place}: GET /health?x=1 answered 503, not 200")),
            (http_on(serves(b"", false).await), "no answer within ".to_owned()),
            (http_on(1), "127.0.0.1:1: Connection refused".to_owned()),
            (failing, "/bin/sh: exit 3".to_owned()),
        ] {
            let outcome = ask(&probe(kind), &asked, false).await.detail;
            assert!(outcome.starts_with(&detail), "{outcome}");
        }
    }

    #[tokio::test]
    async fn tcp_needs_a_listener() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = vec![local(listener.local_addr().unwrap().port())];
        assert_eq!(answer_of(ProbeKind::Tcp(at.clone())).await, Answer::Yes);
        drop(listener);
        assert_eq!(answer_of(ProbeKind::Tcp(at)).await, Answer::No);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let at = vec![Upstream { dial: Dial::Unix(UnixSocket::new(path.clone())), ..local(0) }];
        assert_eq!(answer_of(ProbeKind::Tcp(at.clone())).await, Answer::No);
        let _listener = tokio::net::UnixListener::bind(&path).unwrap();
        assert_eq!(answer_of(ProbeKind::Tcp(at)).await, Answer::Yes);
    }

    #[tokio::test]
    async fn an_open_port_is_not_an_app_that_accepts() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(16).unwrap();
        let at = vec![local(listener.local_addr().unwrap().port())];
        let reaper = Reaper::unstarted();
        let app = app("a", &["true"]);
        let asked = asked(&app, &reaper);
        let outcome = async |kind, succeeded| ask(&probe(kind), &asked, succeeded).await;
        assert_eq!(outcome(ProbeKind::Tcp(at.clone()), false).await.answer, Answer::Yes);
        let mute = outcome(ProbeKind::Accepts(at.clone()), false).await;
        assert_eq!(mute.answer, Answer::Timeout);
        assert!(mute.detail.ends_with("the app does not accept connections yet"), "{mute:?}");
        assert_eq!(outcome(ProbeKind::Accepts(at.clone()), true).await.answer, Answer::Yes);
        // The app takes each connection and says nothing.
        tokio::spawn(async move {
            let mut kept = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                kept.push(stream);
            }
        });
        assert_eq!(outcome(ProbeKind::Accepts(at), false).await.answer, Answer::Yes);
        assert_eq!(outcome(ProbeKind::Accepts(vec![local(1)]), false).await.answer, Answer::No);
    }

    #[tokio::test]
    async fn one_of_several_addresses_is_enough() {
        let (mute, good) =
            (serves(b"", false).await, serves(b"HTTP/1.1 200 OK\r\n\r\n", false).await);
        for (ports, expected) in [
            (vec![1, good], Answer::Yes),
            (vec![mute, good, 1], Answer::Yes),
            (vec![mute, 1], Answer::Timeout),
            (vec![1, 1], Answer::No),
        ] {
            let at: Vec<_> = ports.iter().map(|port| local(*port)).collect();
            let http = http_at("/", at);
            assert_eq!(answer_of(http).await, expected, "{ports:?}");
        }
    }

    #[tokio::test]
    async fn an_https_address_is_not_asked_in_clear() {
        let port = serves(b"HTTP/1.1 200 OK\r\n\r\n", false).await;
        let at = vec![Upstream { tls: Some(Arc::default()), ..local(port) }];
        let http = http_at("/", at);
        assert_eq!(answer_of(http).await, Answer::No);
    }

    #[tokio::test]
    async fn exec_takes_the_exit_code_and_leaves_no_process() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        for (script, expected) in [
            ("exit 0", Answer::Yes),
            ("exit 1", Answer::No),
            ("kill -KILL $$", Answer::No),
            ("sleep 100 & exit 0", Answer::Yes),
            ("sleep 100 & sleep 100", Answer::Timeout),
        ] {
            let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
            assert_eq!(answer_with(&reaper, ProbeKind::Exec(command)).await, expected, "{script}");
            assert!(!reaper.has_children(), "{script}");
        }
        let missing = ProbeKind::Exec(vec!["/nowhere/program".into()]);
        assert_eq!(answer_with(&reaper, missing).await, Answer::No);
    }

    #[tokio::test(start_paused = true)]
    async fn the_live_probe_keeps_its_interval_from_the_beginning() {
        let probe = Probe { interval: Duration::from_secs(1), ..probe(http_on(1)) };
        let reaper = Reaper::unstarted();
        let app = app("a", &["true"]);
        let asked = asked(&app, &reaper);
        let mut times = Vec::new();
        let asking =
            ask_repeatedly(&probe, Pace { first: probe.interval, ..Pace::START }, &asked, |_| {
                times.push(Instant::now());
            });
        let _ = timeout(Duration::from_millis(3500), asking).await;
        assert_eq!(times.len(), 4, "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_ready_probe_slows_down_while_the_start_takes_longer() {
        let probe = Probe { interval: Duration::from_secs(1), ..probe(http_on(1)) };
        let reaper = Reaper::unstarted();
        let app = app("a", &["true"]);
        let asked = asked(&app, &reaper);
        let mut times = Vec::new();
        let asking = ask_repeatedly(&probe, Pace::START, &asked, |_| times.push(Instant::now()));
        let _ = timeout(Duration::from_secs(20), asking).await;
        assert!(times[1] - times[0] < Duration::from_millis(60), "{times:?}");
        let last = times.len() - 1;
        assert!(times[last] - times[last - 1] >= Duration::from_secs(1), "{times:?}");
        assert!(times.len() > 30 && times.len() < 60, "{}", times.len());
    }

    #[tokio::test(start_paused = true)]
    async fn the_issuer_is_asked_at_short_pauses_for_two_minutes() {
        let probe = Probe { interval: Duration::from_secs(1), ..probe(http_on(1)) };
        let reaper = Reaper::unstarted();
        let app = app("a", &["true"]);
        let asked = asked(&app, &reaper);
        let mut times = Vec::new();
        let asking = ask_repeatedly(&probe, Pace::EAGER, &asked, |_| times.push(Instant::now()));
        let _ = timeout(Duration::from_mins(3), asking).await;
        let longest = |from: usize, to: usize| {
            times[from..to].windows(2).map(|two| two[1] - two[0]).max().unwrap()
        };
        assert!(longest(0, 2000) < Duration::from_millis(60), "{:?}", longest(0, 2000));
        assert!(longest(0, times.len()) >= Duration::from_secs(1), "{}", times.len());
    }
}
