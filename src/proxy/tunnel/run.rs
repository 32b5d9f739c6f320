//! A WebSocket after its handshake: bytes are pumped in both directions until one side ends it.
//!
//! The proxy ends a tunnel with a close frame when the session ends or loses its right (1008),
//! when the app goes away (1012), or when the appliance stops (1001).

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use super::ending::{Holder, RESTART, ending};
use super::pump::{End, Lost, Pump};
use crate::auth::Session;
use crate::proxy::phases::record::Record;
use crate::proxy::phases::route::terms::Terms;
use crate::proxy::socket::alarm::within;
use crate::proxy::socket::connection_state::Takeover;
use crate::proxy::socket::stop::Stop;
use crate::proxy::socket::stream::Stream;
use crate::proxy::upstream::link::Link;

/// How long the frame that is being sent may take to end, so that a close frame can follow.
const LAST_FRAME: Duration = Duration::from_millis(400);
/// How long both sides may take to read the close frame and close.
const GOODBYE: Duration = Duration::from_secs(1);
/// How long to wait for news of the app's process after its connection ended without a close frame.
const NOTICE: Duration = Duration::from_millis(300);

/// A tunnel that waits for the client's socket.
#[derive(Debug)]
pub(crate) struct Tunnel {
    /// The connection to the app.
    pub link: Box<Link>,
    /// The app, and the policies that allowed the handshake.
    pub terms: Terms,
    /// The session that the tunnel belongs to, if there is one.
    pub holder: Option<Holder>,
    /// Written to the access log when the tunnel ends.
    pub record: Box<Record>,
    /// Changes when the appliance stops.
    pub stop: watch::Receiver<Stop>,
    /// The read buffer that all connections of the thread share.
    pub scratch: Rc<RefCell<Vec<u8>>>,
}

struct Sides {
    client: Stream,
    app: Stream,
    up: Pump,
    down: Pump,
    scratch: Rc<RefCell<Vec<u8>>>,
}

impl Takeover for Tunnel {
    fn run(self: Box<Self>, client: Stream, early: Bytes) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin((*self).pump(client, early))
    }
}

impl Tunnel {
    /// Pumps until the tunnel is over. `early` is what the client sent right after its handshake.
    async fn pump(self, client: Stream, early: Bytes) {
        let Self { link, terms, holder, mut record, stop, scratch } = self;
        let (app, first) = link.into_stream();
        // A browser tab that sleeps reads nothing, and its connection must survive that.
        client.expect_taken_within(Duration::ZERO);
        client.keep_alive();
        app.keep_alive();
        // Without a process the proxy cannot tell an app's death from the end of its stream.
        let frank = terms.target().phase.is_none();
        let mut sides = Sides {
            client,
            app,
            up: Pump::new(early, true),
            down: Pump::new(first, frank),
            scratch,
        };
        let session = holder.as_ref().map(|holder| &*holder.session);
        let ended = ending(&terms, holder.as_ref(), stop);
        tokio::pin!(ended);
        loop {
            tokio::select! {
                biased;
                code = &mut ended => {
                    sides.close(code).await;
                    break;
                }
                outcome = sides.run(session) => match outcome {
                    // A client whose connection broke cannot receive a close frame. The app sees
                    // the end of its stream, as with a client that closed.
                    Ok(End::Passed) | Err(Broken::Client) => break,
                    Ok(End::Unannounced) => {
                        if let Some(code) = within(NOTICE, &mut ended).await {
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

/// The side whose connection broke.
enum Broken {
    Client,
    App,
}

impl Sides {
    /// Pumps until both directions are over, or the app's ends without a close frame.
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

    /// Sends a close frame to both sides where the current frame can be ended, then closes.
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
        let gone = poll_fn(|cx| {
            let mut scratch = scratch.borrow_mut();
            let _ = (client.poll_end(cx), app.poll_end(cx));
            let client = client.poll_drain(cx, &mut scratch);
            let app = app.poll_drain(cx, &mut scratch);
            if client.is_ready() && app.is_ready() { Poll::Ready(()) } else { Poll::Pending }
        });
        within(GOODBYE, gone).await;
    }
}
