//! Who has sent a signal to the appliance, and whether the appliance does what the signal says.
//!
//! An app with the appliance's user may send it any signal. A process of an app is known by its descent. It
//! may be gone when the signal is read, or forge what a queued signal says about its sender (`sigqueue(3)`).
//! As PID 1 the appliance therefore refuses signals whose sender cannot be told, once a process with its user
//! was started. Otherwise it does not: the app could end it by SIGKILL, which only PID 1 does not get.

use std::time::Instant;

use nix::libc::{SI_KERNEL, SI_TKILL, SI_USER};
use nix::sys::signalfd::siginfo;
use nix::unistd::getpid;
use tracing::warn;

use super::process::kin::{Descent, descent};
use super::process::own_process::shares_user;
use super::process::procfs::program;
use crate::telemetry::Throttle;

/// The sender, as far as the kernel vouches for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sender {
    /// The kernel, as for a key of the terminal, or a process outside of the PID namespace.
    Outside,
    Process(i32),
    /// The fields of the signal are those that its sender has chosen.
    Unproven,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Obeyed,
    OfApp,
    Unknown,
}

/// Whether the appliance does what the signal says. Logs that it does not.
pub(super) fn is_obeyed(signal: &'static str, info: &siginfo, refusals: &Throttle) -> bool {
    let sender = sender(info.ssi_code, info.ssi_pid);
    let is_open = getpid().as_raw() != 1 || !shares_user();
    let verdict = judge(sender, is_open, descent);
    let left_out = match verdict {
        Verdict::Obeyed => return true,
        Verdict::OfApp => refusals.note("app", Instant::now()),
        Verdict::Unknown => refusals.note("unknown", Instant::now()),
    };
    let Some(left_out) = left_out else { return false };
    if let (Verdict::OfApp, Sender::Process(pid)) = (verdict, sender) {
        warn!(
            signal,
            pid,
            program = program(pid),
            left_out,
            "signal refused: the sender is a process of an app; give the apps users of their own \
             (`[server] users = \"per-app\"`)"
        );
    } else {
        warn!(
            signal,
            left_out,
            "signal refused: its sender has ended or cannot be told, and may be an app of the \
             appliance's user; send it from outside of the container, or from a process that lives on"
        );
    }
    false
}

/// The kernel lets no process send a signal with these codes in the name of another one.
fn sender(code: i32, pid: u32) -> Sender {
    match (code, i32::try_from(pid)) {
        (SI_KERNEL, _) | (SI_USER | SI_TKILL, Ok(0)) => Sender::Outside,
        (SI_USER | SI_TKILL, Ok(pid)) => Sender::Process(pid),
        _ => Sender::Unproven,
    }
}

/// `is_open`: no app can hide that it is the sender, or it would gain nothing.
fn judge(sender: Sender, is_open: bool, descent: impl Fn(i32) -> Descent) -> Verdict {
    let unknown = if is_open { Verdict::Obeyed } else { Verdict::Unknown };
    match sender {
        Sender::Outside => Verdict::Obeyed,
        Sender::Unproven => unknown,
        Sender::Process(pid) => match descent(pid) {
            Descent::Own { .. } => Verdict::OfApp,
            Descent::Other => Verdict::Obeyed,
            Descent::Gone => unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use nix::libc::{SI_ASYNCIO, SI_MESGQ, SI_QUEUE, SI_TIMER};

    use super::*;

    #[test]
    fn only_codes_that_no_sender_can_forge_tell_the_sender() {
        for (code, pid, wanted) in [
            (SI_USER, 7, Sender::Process(7)),
            (SI_TKILL, 7, Sender::Process(7)),
            (SI_USER, 0, Sender::Outside),
            (SI_KERNEL, 0, Sender::Outside),
            (SI_QUEUE, 7, Sender::Unproven),
            (SI_QUEUE, 0, Sender::Unproven),
            (SI_ASYNCIO, 0, Sender::Unproven),
            (SI_TIMER, 0, Sender::Unproven),
            (SI_MESGQ, 0, Sender::Unproven),
            // `POLL_IN` of `F_SETSIG`, from a descriptor of an app.
            (1, 0, Sender::Unproven),
            (SI_USER, u32::MAX, Sender::Unproven),
        ] {
            assert_eq!(sender(code, pid), wanted, "{code} {pid}");
        }
    }

    #[test]
    fn a_signal_of_an_app_is_refused_and_an_unknown_one_where_it_may_be() {
        let own = Descent::Own { child: 7 };
        for (sender, descent, open, shut) in [
            (Sender::Outside, own, Verdict::Obeyed, Verdict::Obeyed),
            (Sender::Process(7), own, Verdict::OfApp, Verdict::OfApp),
            (Sender::Process(7), Descent::Other, Verdict::Obeyed, Verdict::Obeyed),
            (Sender::Process(7), Descent::Gone, Verdict::Obeyed, Verdict::Unknown),
            (Sender::Unproven, own, Verdict::Obeyed, Verdict::Unknown),
        ] {
            for (is_open, wanted) in [(true, open), (false, shut)] {
                assert_eq!(judge(sender, is_open, |_| descent), wanted, "{sender:?} {descent:?}");
            }
        }
    }
}
