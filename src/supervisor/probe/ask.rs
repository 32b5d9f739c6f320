//! Questions that are asked of an app again and again: `http`, `tcp` and `exec`.
//!
//! One question at a time, each on a fresh connection: an old one could lead to an incarnation
//! that has gone. No proxy, no redirect. Fast while the app starts, then every `interval`. When
//! we, or the machine, were frozen while an answer was due, the question is asked again.
//! A yes counts only while the listener behind it is the app's own.

use std::future::Future;
use std::time::Duration;

use futures_util::future::select_ok;
use tokio::time::{Instant, sleep, timeout};

use super::connect::tcp;
use super::exec::exec;
use super::http::http;
use super::question::{Outcome, Target, Verdict, silence};
use crate::config::{Probe, ProbeKind, Upstream};
use crate::supervisor::life::event::Answer;
use crate::supervisor::port::owner::Owner;

/// First pause between two questions to an app that starts.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// A timer that is late by more than this was not late by load: nothing of us ran.
pub(crate) const FROZEN: Duration = Duration::from_secs(1);

/// The pauses between questions until there is a yes; then they are the interval.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pace {
    /// After the first question.
    pub(crate) first: Duration,
    /// So long pauses stay as short as the first; then they grow up to the interval.
    pub(crate) eager_for: Duration,
}

impl Pace {
    /// In step with the age of a start: the answer is a tenth of it late at most.
    pub(crate) const START: Self = Self { first: FIRST_PAUSE, eager_for: Duration::ZERO };
    /// For an app that people wait for before they can sign in.
    pub(crate) const EAGER: Self = Self { eager_for: Duration::from_mins(2), ..Self::START };
}

/// Asks for ever and tells every answer.
pub(crate) async fn ask_on(
    probe: &Probe,
    pace: Pace,
    target: &Target<'_>,
    mut tell: impl FnMut(Outcome) + Send,
) {
    let (began, mut pause) = (Instant::now(), pace.first.min(probe.interval));
    loop {
        let heard = ask(probe, target).await;
        let yes = heard.answer == Answer::Yes;
        tell(heard);
        sleep(pause).await;
        if yes {
            pause = probe.interval;
        } else if began.elapsed() >= pace.eager_for {
            pause = pause.mul_f32(1.1).min(probe.interval);
        }
    }
}

/// Asks once; again when the time for it ran out while nothing of us ran.
pub(crate) async fn ask(probe: &Probe, target: &Target<'_>) -> Outcome {
    loop {
        let began = Instant::now();
        let heard = match &probe.kind {
            ProbeKind::Http { path, status, at } => {
                let ask = |one| http(one, path, *status, target.tls);
                within(probe.timeout, any(at, ask)).await
            }
            ProbeKind::Tcp(at) => within(probe.timeout, any(at, tcp)).await,
            ProbeKind::Exec(command) => exec(command, probe.timeout, target).await,
            // These are not asked: the app says so by itself.
            ProbeKind::Log(_) | ProbeKind::Notify(_) => std::future::pending().await,
        };
        if heard.answer == Answer::Yes
            && let Some(Err(words)) = target.owner.map(Owner::check)
        {
            return Err(words).into();
        }
        if heard.answer != Answer::Silence || began.elapsed() < probe.timeout + FROZEN {
            return heard;
        }
    }
}

async fn within(limit: Duration, question: impl Future<Output = Verdict> + Send) -> Outcome {
    match timeout(limit, question).await {
        Ok(told) => told.into(),
        Err(_) => silence(limit),
    }
}

/// Asks all at once: a yes of one is enough.
async fn any<'a, Q>(at: &'a [Upstream], ask: impl Fn(&'a Upstream) -> Q) -> Verdict
where
    Q: Future<Output = Verdict> + Send,
{
    // In a box each, also a single one: with TLS in it, it is large.
    select_ok(at.iter().map(|one| Box::pin(ask(one)))).await.map(drop)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::config::{App, Dial};
    use crate::supervisor::process::reaper::Reaper;
    use crate::supervisor::sample_apps::{alone, app, no_tls, probe};

    /// A server that gives every request the same bytes; its port.
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

    async fn heard(kind: ProbeKind) -> Answer {
        heard_by(&Reaper::unstarted(), kind).await
    }

    async fn heard_by(reaper: &Reaper, kind: ProbeKind) -> Answer {
        let app = app("a", &["true"]);
        ask(&probe(kind), &asked(&app, reaper)).await.answer
    }

    fn asked<'a>(app: &'a App, reaper: &'a Reaper) -> Target<'a> {
        Target {
            app,
            state_dir: std::path::Path::new("/nowhere"),
            reaper,
            tls: no_tls,
            owner: None,
        }
    }

    fn local(port: u16) -> Upstream {
        Upstream { dial: Dial::Tcp("127.0.0.1".into(), port), tls: false, host: None }
    }

    fn http_on(port: u16) -> ProbeKind {
        ProbeKind::Http { path: "/health?x=1".into(), status: 200, at: vec![local(port)] }
    }

    #[tokio::test]
    async fn http_hears_the_status_and_nothing_else() {
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
            (b"", false, Answer::Silence),
        ] {
            let port = serves(bytes, endless).await;
            assert_eq!(heard(http_on(port)).await, expected, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[tokio::test]
    async fn an_answer_that_is_no_yes_is_told_in_words() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let app = app("a", &["true"]);
        let asked = asked(&app, &reaper);
        let port = serves(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", false).await;
        let place = format!("127.0.0.1:{port}");
        let failing = ProbeKind::Exec(["/bin/sh", "-c", "exit 3"].map(str::to_owned).to_vec());
        for (kind, words) in [
            (http_on(port), format!("{place}: GET /health?x=1 answers 503, not 200")),
            (http_on(serves(b"", false).await), "no answer within ".to_owned()),
            (http_on(1), "127.0.0.1:1: Connection refused".to_owned()),
            (failing, "/bin/sh: exit 3".to_owned()),
        ] {
            let heard = ask(&probe(kind), &asked).await.words;
            assert!(heard.starts_with(&words), "{heard}");
        }
    }

    #[tokio::test]
    async fn tcp_asks_whether_somebody_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = vec![local(listener.local_addr().unwrap().port())];
        assert_eq!(heard(ProbeKind::Tcp(at.clone())).await, Answer::Yes);
        drop(listener);
        assert_eq!(heard(ProbeKind::Tcp(at)).await, Answer::No);

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let at = vec![Upstream { dial: Dial::Unix(path.clone()), ..local(0) }];
        assert_eq!(heard(ProbeKind::Tcp(at.clone())).await, Answer::No);
        let _listener = tokio::net::UnixListener::bind(&path).unwrap();
        assert_eq!(heard(ProbeKind::Tcp(at)).await, Answer::Yes);
    }

    #[tokio::test]
    async fn of_several_addresses_one_is_enough() {
        let (mute, good) =
            (serves(b"", false).await, serves(b"HTTP/1.1 200 OK\r\n\r\n", false).await);
        for (ports, expected) in [
            (vec![1, good], Answer::Yes),
            (vec![mute, good, 1], Answer::Yes),
            (vec![mute, 1], Answer::Silence),
            (vec![1, 1], Answer::No),
        ] {
            let at: Vec<_> = ports.iter().map(|port| local(*port)).collect();
            let http = ProbeKind::Http { path: "/".into(), status: 200, at };
            assert_eq!(heard(http).await, expected, "{ports:?}");
        }
    }

    #[tokio::test]
    async fn an_https_address_is_not_asked_in_clear() {
        let port = serves(b"HTTP/1.1 200 OK\r\n\r\n", false).await;
        let at = vec![Upstream { tls: true, ..local(port) }];
        let http = ProbeKind::Http { path: "/".into(), status: 200, at };
        assert_eq!(heard(http).await, Answer::No);
    }

    #[tokio::test]
    async fn exec_hears_the_exit_and_leaves_nothing_behind() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        for (script, expected) in [
            ("exit 0", Answer::Yes),
            ("exit 1", Answer::No),
            ("kill -KILL $$", Answer::No),
            ("sleep 100 & exit 0", Answer::Yes),
            ("sleep 100 & sleep 100", Answer::Silence),
        ] {
            let command = ["/bin/sh", "-c", script].map(str::to_owned).to_vec();
            assert_eq!(heard_by(&reaper, ProbeKind::Exec(command)).await, expected, "{script}");
            assert!(!reaper.has_children(), "{script}");
        }
        let missing = ProbeKind::Exec(vec!["/nowhere/program".into()]);
        assert_eq!(heard_by(&reaper, missing).await, Answer::No);
    }

    #[tokio::test(start_paused = true)]
    async fn without_haste_the_interval_is_kept_from_the_first_question_on() {
        let probe = Probe { interval: Duration::from_secs(1), ..probe(http_on(1)) };
        let reaper = Reaper::unstarted();
        let app = app("a", &["true"]);
        let asked = asked(&app, &reaper);
        let mut times = Vec::new();
        let asking = ask_on(&probe, Pace { first: probe.interval, ..Pace::START }, &asked, |_| {
            times.push(Instant::now())
        });
        let _ = timeout(Duration::from_millis(3500), asking).await;
        assert_eq!(times.len(), 4, "{times:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn questions_become_rarer_while_the_start_takes_longer() {
        let probe = Probe { interval: Duration::from_secs(1), ..probe(http_on(1)) };
        let reaper = Reaper::unstarted();
        let app = app("a", &["true"]);
        let asked = asked(&app, &reaper);
        let mut times = Vec::new();
        let asking = ask_on(&probe, Pace::START, &asked, |_| times.push(Instant::now()));
        let _ = timeout(Duration::from_secs(20), asking).await;
        assert!(times[1] - times[0] < Duration::from_millis(60), "{times:?}");
        let last = times.len() - 1;
        assert!(times[last] - times[last - 1] >= Duration::from_secs(1), "{times:?}");
        assert!(times.len() > 30 && times.len() < 60, "{}", times.len());
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_that_people_wait_for_is_asked_without_pause_for_growth() {
        let probe = Probe { interval: Duration::from_secs(1), ..probe(http_on(1)) };
        let reaper = Reaper::unstarted();
        let app = app("a", &["true"]);
        let asked = asked(&app, &reaper);
        let mut times = Vec::new();
        let asking = ask_on(&probe, Pace::EAGER, &asked, |_| times.push(Instant::now()));
        let _ = timeout(Duration::from_mins(3), asking).await;
        let longest = |from: usize, to: usize| {
            times[from..to].windows(2).map(|two| two[1] - two[0]).max().unwrap()
        };
        assert!(longest(0, 2000) < Duration::from_millis(60), "{:?}", longest(0, 2000));
        assert!(longest(0, times.len()) >= Duration::from_secs(1), "{}", times.len());
    }
}
