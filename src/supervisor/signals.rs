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
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::signal_sender::is_obeyed;
use crate::telemetry::Throttle;

const FLAGS: SfdFlags = SfdFlags::SFD_NONBLOCK.union(SfdFlags::SFD_CLOEXEC);
const STOP: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT];
/// By default, these signals would end the appliance.
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

/// The signals of the appliance. They stay blocked for good; the descriptor takes them.
#[derive(Debug)]
pub struct Signals {
    descriptor: AsyncFd<SignalFd>,
    /// Whether a stop was requested before [`listen`].
    early: bool,
    refusals: Throttle,
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
    let Ok(signals) = SignalFd::with_flags(&mask, FLAGS) else { return true };
    let timeout = PollTimeout::try_from(pause).unwrap_or(PollTimeout::MAX);
    let ready = poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], timeout);
    ready.is_ok_and(|ready| ready > 0)
}

/// Takes the signals from now on, first those that are pending, and blocks no others: that undoes what
/// the parent process had blocked. Must be called within the runtime.
pub fn listen() -> io::Result<Signals> {
    let all = blocked_signals();
    let early = take_pending()?;
    all.thread_set_mask()?;
    let descriptor = SignalFd::with_flags(&all, FLAGS)?;
    #[expect(
        deprecated,
        reason = "the new constructor is unsafe; this descriptor is never replaced"
    )]
    let descriptor = AsyncFd::with_interest(descriptor, Interest::READABLE)?;
    Ok(Signals { descriptor, early, refusals: Throttle::default() })
}

/// Takes a stop signal that is pending.
fn take_pending() -> io::Result<bool> {
    let mut stop = SigSet::empty();
    stop.extend(STOP);
    Ok(SignalFd::with_flags(&stop, FLAGS)?.read_signal()?.is_some())
}

impl Signals {
    /// Whether a stop was requested before [`listen`].
    pub fn pending(&self) -> bool {
        self.early
    }

    /// Waits for the next signal that is obeyed. Cancel-safe.
    pub async fn recv(&mut self) -> Received {
        if std::mem::take(&mut self.early) {
            return Received::Stop;
        }
        loop {
            let info = self.descriptor.async_io(Interest::READABLE, |descriptor| {
                descriptor.read_signal()?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
            });
            // The runtime ends.
            let Ok(info) = info.await else { return std::future::pending().await };
            let number = info.ssi_signo.cast_signed();
            let Ok(signal) = Signal::try_from(number) else { continue };
            if HARMLESS.contains(&signal) {
                return Received::Ignored;
            }
            if is_obeyed(signal.as_str(), &info, &self.refusals) {
                let is_stop = STOP.contains(&signal);
                return if is_stop { Received::Stop } else { Received::Reload };
            }
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
