//! Signals that the appliance itself receives.
//!
//! [`block`] runs first in `main`: the kernel drops a signal to PID 1 that has no handler, but
//! keeps a blocked signal pending. A TERM that arrives while the configuration is read therefore
//! stays pending until [`listen`] takes it, and [`Signals::pending`] reports it before anything is
//! started.

use std::io;
use std::os::fd::AsFd as _;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use tokio::signal::unix::{self, SignalKind};

const STOP: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT];
/// Without a handler, these signals would end the appliance.
const HARMLESS: [Signal; 4] = [Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGPIPE, Signal::SIGALRM];

/// What a received signal means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// TERM, INT or QUIT: stop in order; a second one: stop at once.
    Stop,
    /// HUP: reload the configuration.
    Reload,
    /// USR1, USR2, ALRM or PIPE: no effect.
    Ignored,
}

/// The handlers of the appliance's signals.
#[derive(Debug)]
pub struct Signals {
    term: unix::Signal,
    int: unix::Signal,
    quit: unix::Signal,
    hup: unix::Signal,
    ignored: [unix::Signal; 4],
    /// Whether a stop was requested before [`listen`].
    early: bool,
}

/// Blocks signals until [`listen`] or [`unblock`]. Must run first in `main`, before any thread
/// exists. Threads that start before `listen` keep the signals blocked for good, which is intended:
/// the main thread handles them.
pub fn block() {
    let _ = blocked_signals().thread_block();
}

/// Restores the default effect of the signals, for commands that start no process.
pub fn unblock() {
    let _ = blocked_signals().thread_unblock();
}

/// Blocks INT and TERM, for a command that asks for them with [`asked_to_end_within`].
pub fn hold_end() {
    let _ = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]).thread_block();
}

/// Waits for INT or TERM, at most this long. Whether one arrived.
pub fn asked_to_end_within(pause: Duration) -> bool {
    let mask = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM]);
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    let Ok(signals) = SignalFd::with_flags(&mask, flags) else { return true };
    let timeout = PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX);
    let ready = poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], timeout);
    ready.is_ok_and(|ready| ready > 0)
}

/// Installs the handlers and unblocks the signals, so that pending ones arrive at once. Also undoes
/// what the parent process had blocked or ignored. Must be called within the runtime.
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

/// Takes a stop signal that is pending.
fn take_pending() -> io::Result<bool> {
    let mut stop = SigSet::empty();
    stop.extend(STOP);
    let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
    Ok(SignalFd::with_flags(&stop, flags)?.read_signal()?.is_some())
}

impl Signals {
    /// Whether a stop was requested before [`listen`].
    pub fn pending(&self) -> bool {
        self.early
    }

    /// Waits for the next signal. Cancel-safe.
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

fn blocked_signals() -> SigSet {
    let mut set = SigSet::empty();
    set.extend(STOP);
    set.extend(HARMLESS);
    set.add(Signal::SIGHUP);
    set
}
