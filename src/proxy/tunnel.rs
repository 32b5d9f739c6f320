//! A WebSocket after its handshake: two pumps, and whoever may end it.
//!
//! It ends when its sides end it, and with a proper close frame when the session ends or loses
//! its right (1008), when the app goes away (1012), or when we stop (1001).

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::link::Link;
use super::pump::{End, Lost, Pump};
use super::record::Record;
use super::routes::Target;
use super::stream::Stream;
use super::worker::Stop;
use crate::auth::policy::{Verdict, decide};
use crate::auth::{Session, SessionState, TunnelGuard};
use crate::config::{Access, Phase};

const GOING_AWAY: u16 = 1001;
const POLICY: u16 = 1008;
const RESTART: u16 = 1012;

/// For the frame under way to end, so that a close frame can follow.
const LAST_FRAME: Duration = Duration::from_millis(400);
/// For both sides to take the close frame and go.
const GOODBYE: Duration = Duration::from_secs(1);
/// After an app went without a word: for its process to be noticed dead.
const NOTICE: Duration = Duration::from_millis(300);

/// What a tunnel needs beside its two sockets.
#[derive(Debug)]
pub(super) struct Tunnel {
    /// The app's side.
    pub link: Box<Link>,
    pub target: Arc<Target>,
    /// Which rule let it in; `None` is the app's own access.
    pub rule: Option<usize>,
    /// The session it belongs to, when there is one.
    pub holder: Option<Holder>,
    pub record: Box<Record>,
    pub stop: watch::Receiver<Stop>,
    pub scratch: Rc<RefCell<Vec<u8>>>,
}

/// The session of a tunnel.
#[derive(Debug)]
pub(super) struct Holder {
    session: Arc<Session>,
    changes: watch::Receiver<SessionState>,
    /// While it lives, the session is renewed without being asked.
    _guard: TunnelGuard,
}

impl Holder {
    /// Registers a tunnel with its session.
    pub(super) fn new(session: Arc<Session>) -> Self {
        let (guard, changes) = session.tunnel();
        Self { session, changes, _guard: guard }
    }
}

struct Sides {
    client: Stream,
    app: Stream,
    up: Pump,
    down: Pump,
    scratch: Rc<RefCell<Vec<u8>>>,
}

impl Tunnel {
    /// Runs to the end. `early` is what the client sent right behind its handshake.
    pub(super) async fn run(self, client: Stream, early: Bytes) {
        let Self { link, target, rule, holder, mut record, stop, scratch } = self;
        let (app, first) = link.into_stream();
        // A tab that sleeps reads nothing, and its socket is none the worse for it.
        client.expect_taken_within(Duration::ZERO);
        client.keep_alive();
        app.keep_alive();
        // Only of an app with a process can its death be told from an end.
        let frank = target.phase.is_none();
        let mut sides = Sides {
            client,
            app,
            up: Pump::new(early, true),
            down: Pump::new(first, frank),
            scratch,
        };
        let session = holder.as_ref().map(|holder| &*holder.session);
        let ended = ending(&target, rule, holder.as_ref(), stop);
        tokio::pin!(ended);
        loop {
            tokio::select! {
                biased;
                code = &mut ended => {
                    sides.close(code).await;
                    break;
                }
                outcome = sides.run(session) => match outcome {
                    // Of a client that broke nobody is left to say goodbye to, and the app hears
                    // an end as of one that hung up.
                    Ok(End::Passed) | Err(Broken::Client) => break,
                    Ok(End::Unannounced) => {
                        if let Ok(code) = tokio::time::timeout(NOTICE, &mut ended).await {
                            sides.close(code).await;
                            break;
                        }
                        sides.down.frank = true;
                    }
                    Err(Broken::App) => {
                        sides.close(RESTART).await;
                        break;
                    }
                },
            }
        }
        record.bytes_in.set(sides.up.bytes);
        record.bytes_out = sides.down.bytes;
        record.complete = true;
    }
}

/// Whose socket broke.
enum Broken {
    Client,
    App,
}

impl Sides {
    /// Pumps until both directions are over or the app's ends without a word.
    async fn run(&mut self, session: Option<&Session>) -> Result<End, Broken> {
        poll_fn(|cx| {
            let Self { client, app, up, down, scratch } = self;
            let mut scratch = scratch.borrow_mut();
            let upward = up.poll(cx, client, app, &mut scratch).map_err(|lost| match lost {
                Lost::Source => Broken::Client,
                Lost::Destination => Broken::App,
            })?;
            if std::mem::take(&mut up.active)
                && let Some(session) = session
            {
                session.touch();
            }
            let downward = down.poll(cx, app, client, &mut scratch).map_err(|lost| match lost {
                Lost::Source => Broken::App,
                Lost::Destination => Broken::Client,
            })?;
            match (upward, downward) {
                (_, Poll::Ready(End::Unannounced)) => Poll::Ready(Ok(End::Unannounced)),
                (Poll::Ready(_), Poll::Ready(_)) => Poll::Ready(Ok(End::Passed)),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Says goodbye to both, properly where a frame can be ended.
    async fn close(&mut self, code: u16) {
        let Self { client, app, up, down, scratch } = self;
        let sent = poll_fn(|cx| {
            let mut scratch = scratch.borrow_mut();
            let downward = down.poll_close(cx, app, client, &mut scratch, (code, false));
            let upward = up.poll_close(cx, client, app, &mut scratch, (code, true));
            if downward.is_ready() && upward.is_ready() { Poll::Ready(()) } else { Poll::Pending }
        });
        let _ = tokio::time::timeout(LAST_FRAME, sent).await;
        // Closed at once, what they still send would reset the connection and the goodbye with it.
        let gone = poll_fn(|cx| {
            let mut scratch = scratch.borrow_mut();
            let _ = (client.poll_end(cx), app.poll_end(cx));
            let client = client.poll_drain(cx, &mut scratch);
            let app = app.poll_drain(cx, &mut scratch);
            if client.is_ready() && app.is_ready() { Poll::Ready(()) } else { Poll::Pending }
        });
        let _ = tokio::time::timeout(GOODBYE, gone).await;
    }
}

/// Waits for whatever ends a tunnel from outside; returns the close code.
async fn ending(
    target: &Target,
    rule: Option<usize>,
    holder: Option<&Holder>,
    mut stop: watch::Receiver<Stop>,
) -> u16 {
    tokio::select! {
        () = right_lost(target, rule, holder) => POLICY,
        () = app_gone(target) => RESTART,
        _ = stop.wait_for(|stop| *stop != Stop::No) => GOING_AWAY,
    }
}

async fn right_lost(target: &Target, rule: Option<usize>, holder: Option<&Holder>) {
    let Some(holder) = holder else { return std::future::pending().await };
    let access = access(target, rule);
    let deny = target.route.deny.as_ref();
    let mut changes = holder.changes.clone();
    // The sender lives in the session: gone means over.
    let _ = changes
        .wait_for(|state| match state {
            SessionState::Live(person) => decide(access, deny, Some(person)) != Verdict::Allow,
            SessionState::Ended => true,
        })
        .await;
}

fn access(target: &Target, rule: Option<usize>) -> &Access {
    rule.and_then(|rule| target.route.rules.get(rule))
        .map_or(&target.route.access, |rule| &rule.access)
}

async fn app_gone(target: &Target) {
    let Some(phase) = &target.phase else { return std::future::pending().await };
    let serves = |phase: &Phase| phase.is_ready() || *phase == Phase::Unready;
    let _ = phase.clone().wait_for(|phase| !serves(phase)).await;
}
