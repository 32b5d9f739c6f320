//! Limits how long a fork takes.
//!
//! `std` waits in the call that forks until the child has closed a pipe. Where the apps have the user of the
//! appliance, each of them may stop the child before that (SIGSTOP), and the appliance would wait for ever.
//! Therefore a thread watches each fork: it kills a child that is stopped or takes far too long. For `std`,
//! a killed child has closed the pipe.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::supervisor::process::procfs;

/// Pause between two looks at the child. Almost every fork is over before the first one.
const LOOK: Duration = Duration::from_millis(100);
/// How long a child may take that is not stopped. A few system calls are to be made until then.
const LIMIT: Duration = Duration::from_secs(10);

/// Forks a child by `fork`, which began at `since` ([`Kernel::ticks`]). The caller holds the lock of the
/// reaper, so the number of a child belongs to no other process meanwhile.
///
/// [`Kernel::ticks`]: super::calls::Kernel::ticks
///
/// # Errors
/// The kernel gives out no thread, or `fork` fails.
pub(super) fn watched<T>(since: u64, fork: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    // The name of the child as well, until the child runs a program.
    let name = prctl::get_name()?.to_string_lossy().into_owned();
    thread::scope(|scope| {
        let (over, is_over) = channel();
        let watch = move || watch(since, &name, &is_over);
        thread::Builder::new().name("fork-watch".to_owned()).spawn_scoped(scope, watch)?;
        let forked = fork();
        drop(over);
        forked
    })
}

fn watch(since: u64, name: &str, is_over: &Receiver<()>) {
    let begun = Instant::now();
    while is_over.recv_timeout(LOOK) == Err(RecvTimeoutError::Timeout) {
        let is_late = begun.elapsed() > LIMIT;
        for pid in procfs::children() {
            let is_new = procfs::see(pid).is_some_and(|child| child.started_ticks >= since)
                && procfs::program(pid).is_some_and(|program| program == name);
            if is_new && (is_late || procfs::is_stopped(pid)) {
                tracing::warn!(pid, "a new process is kept from its program; killing it");
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use nix::sys::signal::raise;

    use super::*;
    use crate::one_process::alone;
    use crate::supervisor::exit::Exit;
    use crate::supervisor::process::child::before_exec;
    use crate::supervisor::process::reaper::Reaper;

    #[tokio::test]
    async fn a_child_that_is_stopped_before_its_program_keeps_nobody_waiting() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let mut command = Command::new("true");
        command.stdin(Stdio::null());
        before_exec(&mut command, || Ok(raise(Signal::SIGSTOP)?));
        let mut stopped = reaper.spawn(&mut command, None).unwrap();
        let exit = (&mut stopped.ended).await.unwrap().exit;
        assert_eq!(exit, Exit::Signal(Signal::SIGKILL as i32));
        let mut next = reaper.spawn(&mut Command::new("true"), None).unwrap();
        assert_eq!((&mut next.ended).await.unwrap().exit, Exit::Code(0));
    }
}
