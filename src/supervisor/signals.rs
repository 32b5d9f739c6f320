//! Signals to ourselves.
//!
//! [`block`] comes first in `main`: the kernel drops a signal to PID 1 that has no handler, but
//! keeps one that is blocked. A TERM that comes while the configuration is read therefore waits;
//! [`listen`] takes it, and [`Signals::pending`] tells of it before anything is started.

use std::io;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tokio::signal::unix::{self, SignalKind};

const STOP: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT];
/// Without a handler these would end us (or be lost by PID 1, later followed by surprises).
const HARMLESS: [Signal; 4] = [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGPIPE, Signal::SIGALRM];

/// What a signal asks of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// TERM, INT, QUIT: an orderly stop; the second time: at once.
    Stop,
    /// HUP: read the configuration again.
    Reload,
    /// USR1, USR2, ALRM, PIPE: nothing.
    Ignored,
}

/// The signals to ourselves.
#[derive(Debug)]
pub struct Signals {
    term: unix::Signal,
    int: unix::Signal,
    quit: unix::Signal,
    hup: unix::Signal,
    ignored: [unix::Signal; 4],
    /// Asked to stop before [`listen`].
    early: bool,
}

/// Keeps signals until [`listen`] or [`unblock`]. First thing in `main`, before any thread exists;
/// threads that are started before `listen` keep them blocked for good, which is right for them.
pub fn block() {
    let _ = guarded().thread_block();
}

/// Gives them back their usual effect: for commands that start nothing.
pub fn unblock() {
    let _ = guarded().thread_unblock();
}

/// Installs handlers and lets the signals through: those that were kept arrive at once. Also
/// undoes what our parent had blocked or ignored. Must be called within the runtime.
pub fn listen() -> io::Result<Signals> {
    let on = |signal: Signal| unix::signal(SignalKind::from_raw(signal as i32));
    let [one, two, three, four] = HARMLESS;
    let signals = Signals {
        term: on(Signal::SIGTERM)?,
        int: on(Signal::SIGINT)?,
        quit: on(Signal::SIGQUIT)?,
        hup: on(Signal::SIGHUP)?,
        ignored: [on(one)?, on(two)?, on(three)?, on(four)?],
        early: take_pending()?,
    };
    SigSet::empty().thread_set_mask()?;
    Ok(signals)
}

/// Takes a request to stop that was kept.
fn take_pending() -> io::Result<bool> {
    let mut stop = SigSet::empty();
    stop.extend(STOP);
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    Ok(SignalFd::with_flags(&stop, flags)?.read_signal()?.is_some())
}

impl Signals {
    /// Whether we were asked to stop before [`listen`].
    pub fn pending(&self) -> bool {
        self.early
    }

    /// The next signal. Cancel-safe.
    pub async fn recv(&mut self) -> Received {
        if std::mem::take(&mut self.early) {
            return Received::Stop;
        }
        let [one, two, three, four] = &mut self.ignored;
        tokio::select! {
            biased;
            _ = self.term.recv() => Received::Stop,
            _ = self.int.recv() => Received::Stop,
            _ = self.quit.recv() => Received::Stop,
            _ = self.hup.recv() => Received::Reload,
            _ = one.recv() => Received::Ignored,
            _ = two.recv() => Received::Ignored,
            _ = three.recv() => Received::Ignored,
            _ = four.recv() => Received::Ignored,
        }
    }
}

fn guarded() -> SigSet {
    let mut set = SigSet::empty();
    set.extend(STOP);
    set.extend(HARMLESS);
    set.add(Signal::SIGHUP);
    set
}
