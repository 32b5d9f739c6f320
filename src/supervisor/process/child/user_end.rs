//! Ends all processes of a user at once, also those that fork faster than they can be signalled one by one.
//!
//! Only a process of the user itself may do that with one call: root would end every process. Therefore a
//! child takes on the user, gives up its capabilities, makes the call and ends.
//!
//! The kernel compares the effective user of the sender with the real and the saved user of the receiver
//! (kill(2)). The child takes on the user as the effective one only, so no process of the user can stop
//! the child, for whose end the reaper waits.

use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, geteuid, getresuid, setresuid};

use super::spawn::{Capabilities, before_exec, set_capabilities};

/// Real and saved user of the child. No process has it: programs take the 16-bit number for "no user".
pub(in crate::supervisor::process) const NOBODY_ELSE: Uid = Uid::from_raw(0xffff);

/// A child that runs no program: spawning it fails when all processes of the user have got the signal.
pub(in crate::supervisor::process) fn killer_of(user: Uid) -> Command {
    let mut command = Command::new("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    before_exec(&mut command, move || {
        become_user(user)?;
        kill(Pid::from_raw(-1), Signal::SIGKILL)?;
        Err(Errno::ECANCELED.into())
    });
    command
}

/// Whatever the kernel leaves to a process that was root, this one may signal only processes of the user and
/// of [`NOBODY_ELSE`].
fn become_user(user: Uid) -> nix::Result<()> {
    if user.is_root() || user == geteuid() {
        return Err(Errno::EPERM);
    }
    setresuid(NOBODY_ELSE, user, NOBODY_ELSE)?;
    set_capabilities(&[Capabilities::default(); 2])?;
    let now = getresuid()?;
    if [now.real, now.effective, now.saved] == [NOBODY_ELSE, user, NOBODY_ELSE] {
        Ok(())
    } else {
        Err(Errno::EPERM)
    }
}
