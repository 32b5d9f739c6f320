//! Where the output of an app's process goes.

use std::io;
use std::os::fd::OwnedFd;
use std::process::Stdio;

use nix::sys::stat::{Mode, fchmod};
use nix::unistd::fchown;
use tokio::net::unix::pipe::Receiver;

use crate::config::{App, ProbeKind};
use crate::supervisor::process::reaper::Reaper;
use crate::supervisor::process::spec::Spec;
use crate::telemetry::Stream;

/// Every user may write to the output of an app; only the app's user may read it.
const PIPE_MODE: Mode = Mode::from_bits_truncate(0o622);

/// Where stdout and stderr of the process go, and the ends of the pipes that the appliance reads.
pub(crate) struct Outputs {
    pub(crate) stdout: Stdio,
    pub(crate) stderr: Stdio,
    pub(crate) readers: Vec<(Receiver, Stream)>,
}

impl Outputs {
    pub(crate) fn of(reaper: &Reaper, app: &App, spec: &Spec) -> io::Result<Self> {
        let ready = app.ready.as_ref();
        if app.run.as_ref().is_some_and(|run| !run.log)
            && !ready.is_some_and(|ready| matches!(ready.kind, ProbeKind::Log(_)))
        {
            return Ok(Self { stdout: Stdio::null(), stderr: Stdio::null(), readers: Vec::new() });
        }
        let (out, stdout) = pipe(reaper, spec)?;
        let (err, stderr) = pipe(reaper, spec)?;
        let readers = vec![(out, Stream::Stdout), (err, Stream::Stderr)];
        Ok(Self { stdout: stdout.into(), stderr: stderr.into(), readers })
    }
}

/// A pipe that the app may open by path (`/dev/stdout`), also after it has changed its user by
/// itself: only processes that hold the pipe have a path to it. A socket cannot be opened by path at
/// all.
fn pipe(reaper: &Reaper, spec: &Spec) -> io::Result<(Receiver, OwnedFd)> {
    let (receiver, writer) = reaper.pipe()?;
    if let Some(account) = &spec.account {
        fchown(&writer, Some(account.uid), Some(account.gid))?;
    }
    fchmod(&writer, PIPE_MODE)?;
    Ok((Receiver::from_owned_fd(receiver.into())?, writer.into()))
}
