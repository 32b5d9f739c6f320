//! Makes the user namespace of a child that needs one for its mount namespace.
//!
//! Only a process whose memory the kernel lets its user read (it is *dumpable*) may say which user and
//! group its namespace has. The memory of a child is a copy of the appliance's until it runs its program:
//! while it were dumpable, an app of the same user could end it by a signal and read its secrets in the
//! core file. Therefore the program of the appliance is run once more, with memory of its own, no
//! variables and no descriptors. It makes the namespace and ends when the child has a descriptor of the
//! namespace. Nothing else in this program makes a process dumpable.

use std::ffi::CStr;
use std::fmt::Arguments;
use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{Pid, getegid, geteuid, read, write};

use super::spawn::run_again;

/// By its first argument, the program knows that it is to make a namespace.
const NAME: &CStr = c"appliance-user-namespace";
/// For a path or a line with two numbers.
const LONGEST: usize = 64;

/// A new user namespace with the user and the group of the caller. Called between fork and exec: only
/// system calls, nothing is allocated. Waits as long as another process of the user keeps the one stopped
/// that makes the namespace.
pub(in crate::supervisor::process) fn new_user_namespace() -> nix::Result<OwnedFd> {
    let close = SockFlag::SOCK_CLOEXEC;
    let (here, there) = socketpair(AddressFamily::Unix, SockType::Stream, None, close)?;
    let maker = run_again(NAME, there.as_fd(), make)?;
    drop(there);
    let namespace = when_made(here.as_fd(), maker);
    // Also where it is stopped.
    kill(maker, Signal::SIGKILL)?;
    let status = loop {
        match waitpid(maker, None) {
            Err(Errno::EINTR) => {}
            status => break status?,
        }
    };
    match (namespace?, status) {
        (Some(namespace), _) => Ok(namespace),
        (None, WaitStatus::Exited(_, error)) if error > 0 => Err(Errno::from_raw(error)),
        (None, _) => Err(Errno::ESRCH),
    }
}

/// `None` if the process has ended without a namespace.
fn when_made(socket: BorrowedFd<'_>, maker: Pid) -> nix::Result<Option<OwnedFd>> {
    let mut made = [0];
    let length = loop {
        match read(socket, &mut made) {
            Err(Errno::EINTR) => {}
            length => break length?,
        }
    };
    if length == 0 {
        return Ok(None);
    }
    let mut path = [0; LONGEST];
    text(&mut path, format_args!("/proc/{maker}/ns/user\0"))?;
    let path = CStr::from_bytes_until_nul(&path).map_err(|_| Errno::ENAMETOOLONG)?;
    open(path, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).map(Some)
}

/// What the program does first of all: if it was run for a namespace, makes it and returns its exit code,
/// which is the number of an error.
pub fn make_user_namespace_if_asked() -> Option<u8> {
    let is_asked =
        std::env::args_os().next().is_some_and(|name| name.as_bytes() == NAME.to_bytes());
    is_asked.then(make)
}

/// Makes the namespace and waits until the other process has it. The connection is the standard input.
fn make() -> u8 {
    let made = made();
    u8::try_from(made.err().map_or(0, |error| error as i32)).unwrap_or(u8::MAX)
}

fn made() -> nix::Result<()> {
    // The other process may be killed while this one is stopped.
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let (user, group) = (geteuid(), getegid());
    unshare(CloneFlags::CLONE_NEWUSER)?;
    // This memory has no secret. A program with capabilities of its file is not dumpable.
    prctl::set_dumpable(true)?;
    put(c"/proc/self/setgroups", format_args!("deny"))?;
    put(c"/proc/self/uid_map", format_args!("{user} {user} 1"))?;
    put(c"/proc/self/gid_map", format_args!("{group} {group} 1"))?;
    let socket = std::io::stdin();
    write(&socket, b"x")?;
    read(&socket, &mut [0]).map(drop)
}

fn put(path: &CStr, line: Arguments<'_>) -> nix::Result<()> {
    let mut bytes = [0; LONGEST];
    let length = text(&mut bytes, line)?;
    let file = open(path, OFlag::O_WRONLY | OFlag::O_CLOEXEC, Mode::empty())?;
    write(&file, &bytes[..length]).map(drop)
}

/// Writes the text into `bytes`, and returns how long it is.
fn text(bytes: &mut [u8; LONGEST], text: Arguments<'_>) -> nix::Result<usize> {
    let mut left = &mut bytes[..];
    left.write_fmt(text).map_err(|_| Errno::ENAMETOOLONG)?;
    let left = left.len();
    Ok(LONGEST - left)
}
