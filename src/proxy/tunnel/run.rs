//! Runs a WebSocket tunnel: bytes are copied in both directions until one side ends the tunnel.
//!
//! The proxy ends a tunnel with a close frame when the session ends or loses access (1008), when the
//! app stops, crashes or knows an outdated identity (1012), or when the appliance stops (1001).

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::Instant;

use super::close_reason::{CLOSE_SERVICE_RESTART, close_reason};
use super::relay::{BrokenSocket, End, Relay};
use crate::auth::Session;
use crate::proxy::phases::access::right::WatchedRight;
use crate::proxy::phases::record::RequestRecord;
use crate::proxy::phases::route::routed_app::RoutedApp;
use crate::proxy::socket::alarm::within;
use crate::proxy::socket::exchange::Takeover;
use crate::proxy::socket::stop_stage::StopStage;
use crate::proxy::socket::stream::Stream;
use crate::proxy::upstream::app_connection::AppConnection;

/// How long the current frame may take to its end, so that a close frame can follow.
const LAST_FRAME: Duration = Duration::from_millis(400);
/// How long both sides may take to read the close frame and close.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long to wait for a change of the app's phase after the app's connection ended without a close
/// frame.
const PHASE_DELAY: Duration = Duration::from_millis(300);

/// A tunnel whose 101 is not sent yet. It starts when hyper releases the client's socket.
#[derive(Debug)]
pub(crate) struct Tunnel {
    /// The connection to the app.
    pub connection: Box<AppConnection>,
    /// The app.
    pub app: Arc<RoutedApp>,
    /// The right of the handshake.
    pub right: WatchedRight,
    /// Written to the access log when the tunnel ends.
    pub record: Box<RequestRecord>,
    /// Changes when the appliance stops.
    pub stop: watch::Receiver<StopStage>,
    /// The read buffer that all connections of the thread share.
    pub scratch: Rc<RefCell<Vec<u8>>>,
}

/// The sockets of a running tunnel, and its two directions.
struct RunningTunnel {
    client: Stream,
    app: Stream,
    /// From the client to the app.
    up: Relay,
    /// From the app to the client.
    down: Relay,
    scratch: Rc<RefCell<Vec<u8>>>,
}

impl Takeover for Tunnel {
    fn run(self: Box<Self>, client: Stream, early: Bytes) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin((*self).relay(client, early))
    }
}

impl Tunnel {
    /// Copies bytes until the tunnel ends. `early` holds the bytes that the client sent right after
    /// its handshake.
    async fn relay(self, client: Stream, early: Bytes) {
        let Self { connection, app, right, mut record, stop, scratch } = self;
        let (app_stream, first) = connection.into_stream();
        // A suspended browser tab reads nothing, and its connection must survive that.
        client.set_user_timeout(Duration::ZERO);
        app_stream.enable_keep_alive();
        // Without a process the proxy cannot distinguish a crash of the app from the end of its
        // stream.
        let forward_end = app.runs_elsewhere();
        let mut tunnel = RunningTunnel {
            client,
            app: app_stream,
            up: Relay::new(early, true),
            down: Relay::new(first, forward_end),
            scratch,
        };
        let live_session = right.session();
        let closing = close_reason(&app, &right, stop);
        tokio::pin!(closing);
        loop {
            tokio::select! {
                biased;
                code = &mut closing => {
                    tunnel.close(code).await;
                    break;
                }
                outcome = tunnel.run(live_session, &app) => match outcome {
                    // A client whose connection broke cannot receive a close frame. The app sees
                    // the end of its stream, as with a client that closed.
                    Ok(End::Forwarded) | Err(BrokenPeer::Client) => break,
                    // A client that has said that it closes does not connect again. The app may answer
                    // with the end of the connection alone.
                    Ok(End::WithoutClose) if tunnel.up.closed => tunnel.down.forward_end = true,
                    Err(BrokenPeer::App) if tunnel.up.closed => break,
                    Ok(End::WithoutClose) => {
                        if let Some(code) = within(PHASE_DELAY, &mut closing).await {
                            tunnel.close(code).await;
                            break;
                        }
                        tunnel.down.forward_end = true;
                    }
                    Err(BrokenPeer::App) => {
                        tunnel.close(CLOSE_SERVICE_RESTART).await;
                        break;
                    }
                },
            }
        }
        record.bytes_in.set(tunnel.up.bytes);
        record.bytes_out = tunnel.down.bytes;
        record.complete = true;
    }
}

/// The side whose connection broke.
enum BrokenPeer {
    Client,
    App,
}

impl RunningTunnel {
    /// Copies bytes until both directions have ended, or the app's direction ends without a close
    /// frame.
    async fn run(&mut self, session: Option<&Session>, of: &RoutedApp) -> Result<End, BrokenPeer> {
        poll_fn(|cx| {
            let Self { client, app, up, down, scratch } = self;
            let mut scratch = scratch.borrow_mut();
            let upward = up.poll(cx, client, app, &mut scratch).map_err(|broken| match broken {
                BrokenSocket::Source => BrokenPeer::Client,
                BrokenSocket::Destination => BrokenPeer::App,
            })?;
            if std::mem::take(&mut up.active) {
                let now = Instant::now();
                if let Some(session) = session {
                    session.touch();
                    if !session.is_program() {
                        of.traffic.people.note(session, now);
                    }
                }
                if let Some(sleeper) = of.sleeper() {
                    sleeper.used(now);
                }
            }
            let downward =
                down.poll(cx, app, client, &mut scratch).map_err(|broken| match broken {
                    BrokenSocket::Source => BrokenPeer::App,
                    BrokenSocket::Destination => BrokenPeer::Client,
                })?;
            match (upward, downward) {
                (_, Poll::Ready(End::WithoutClose)) => Poll::Ready(Ok(End::WithoutClose)),
                (Poll::Ready(_), Poll::Ready(_)) => Poll::Ready(Ok(End::Forwarded)),
                _ => Poll::Pending,
            }
        })
        .await
    }

    /// Sends a close frame to both sides where the current frame can be completed, then closes.
    async fn close(&mut self, code: u16) {
        let Self { client, app, up, down, scratch } = self;
        let sent = poll_fn(|cx| {
            let mut scratch = scratch.borrow_mut();
            let downward = down.poll_close(cx, app, client, &mut scratch, (code, false));
            let upward = up.poll_close(cx, client, app, &mut scratch, (code, true));
            if downward.is_ready() && upward.is_ready() { Poll::Ready(()) } else { Poll::Pending }
        });
        within(LAST_FRAME, sent).await;
        // Bytes that arrive at a closed socket would reset the connection, and the close frame
        // would be lost with it.
        let closed = poll_fn(|cx| {
            let mut scratch = scratch.borrow_mut();
            let _ = (client.poll_close_write(cx), app.poll_close_write(cx));
            let client = client.poll_discard(cx, &mut scratch);
            let app = app.poll_discard(cx, &mut scratch);
            if client.is_ready() && app.is_ready() { Poll::Ready(()) } else { Poll::Pending }
        });
        within(CLOSE_TIMEOUT, closed).await;
    }
}
