//! What a child must not inherit of the appliance: its user, capabilities, the session keyring, and the protection
//! from the kernel's memory killer. Only system calls on prepared values, see [`super`].

use nix::errno::Errno;
use nix::sys::prctl;
use nix::unistd::{Uid, geteuid, setresuid, setuid};

use super::spawn::{capabilities, clear_ambient, join_new_keyring, set_capabilities, write_file};
use super::user_end::NOBODY_ELSE;

const SCORE: &str = "/proc/self/oom_score_adj";

/// Gives the child an empty session keyring. It would have that of the shell that started the appliance,
/// and could read its keys. A kernel without keyrings, or a container that forbids the call, hands none
/// on to begin with.
pub(super) fn leave_keyring() -> nix::Result<()> {
    match join_new_keyring() {
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EOPNOTSUPP) => Ok(()),
        joined => joined,
    }
}

/// Takes on the user. With a change of the effective user, the kernel gives the memory the protection that
/// `fs.suid_dumpable` says. With 1, it is readable, although it still is a copy of the appliance's. Therefore
/// the child takes on the effective user first: no process of this user can stop, trace or end it yet.
pub(super) fn become_user(user: Uid) -> nix::Result<()> {
    if user == geteuid() {
        return setuid(user);
    }
    match setresuid(NOBODY_ELSE, user, NOBODY_ELSE) {
        Ok(()) => {
            prctl::set_dumpable(false)?;
            setresuid(user, user, user)
        }
        // The user namespace of the appliance does not have this number.
        Err(Errno::EINVAL) => {
            setuid(user)?;
            prctl::set_dumpable(false)
        }
        Err(error) => Err(error),
    }
}

/// Clears the sets of capabilities that a program gets although it has not asked for any: the ambient
/// and the inheritable one. What exec gives to root stays.
pub(super) fn drop_inheritable() -> nix::Result<()> {
    // A kernel before 4.3 has no ambient set.
    let _ = clear_ambient();
    let mut sets = capabilities()?;
    if sets.iter().all(|set| set.inheritable == 0) {
        return Ok(());
    }
    for set in &mut sets {
        set.inheritable = 0;
    }
    set_capabilities(&sets)
}

/// Whether the appliance is protected from the kernel's memory killer (`OOMScoreAdjust=` of a systemd
/// unit).
pub(super) fn is_protected() -> bool {
    let score = std::fs::read_to_string(SCORE).ok();
    score.and_then(|score| score.trim().parse::<i32>().ok()).is_some_and(|score| score < 0)
}

/// Gives up the protection, which is meant for the appliance alone. Without root, the kernel does not
/// let a process that keeps its memory private open the file; then the protection stays.
pub(super) fn give_up_protection() {
    write_file(c"/proc/self/oom_score_adj", b"0");
}
