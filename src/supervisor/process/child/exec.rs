//! Replaces the child by its program, and tells the appliance whether that succeeded.
//!
//! `exec` takes as long as a program likes that has a lease on the file (`fcntl`, `F_SETLEASE`), and an
//! app may have one on a file of its own. `std` waits for `exec` in the call that forks, on the thread of
//! the supervisor and under the lock of the reaper. Therefore the child first closes its end of the
//! connection on which `std` waits, and then calls `exec` itself. A folder that the child enters may be on
//! a disk that does not answer, so the child enters it after that as well. The same holds for the change
//! of the user: every process of that user may send the child SIGSTOP. The result comes through a pipe that
//! the appliance reads as a task.

use std::collections::BTreeMap;
use std::ffi::{CString, OsString};
use std::io::{self, PipeReader, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::sync::atomic::AtomicPtr;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc::c_char;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::io::fcntl_dupfd_cloexec;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;

use super::spawn::{close_range, execute, give_up};

/// How long a program may take to begin, for example on a slow network disk.
const LIMIT: Duration = Duration::from_secs(30);
/// Lowest number of the pipe's end in the child: an inherited descriptor takes a lower one.
const REPORT: RawFd = 10;
/// The program of a child with its arguments and variables, as the kernel takes them.
#[derive(Debug)]
pub(super) struct Program {
    arguments: List,
    variables: List,
    report: OwnedFd,
}

/// Strings, and the addresses of them with a null at the end.
#[derive(Debug)]
struct List {
    _strings: Vec<CString>,
    /// Atomic, so that the list may be sent to another thread. Nothing changes them.
    addresses: Vec<AtomicPtr<c_char>>,
}

impl List {
    fn of(strings: impl Iterator<Item = Vec<u8>>) -> io::Result<Self> {
        let strings = strings.map(CString::new).collect::<Result<Vec<_>, _>>()?;
        let addresses = strings.iter().map(|string| string.as_ptr().cast_mut());
        let ended = addresses.chain([std::ptr::null_mut()]).map(AtomicPtr::new).collect();
        Ok(Self { _strings: strings, addresses: ended })
    }
}

impl Program {
    /// The program, and where the appliance reads whether it runs.
    pub(super) fn of(
        command: &[String],
        environment: &BTreeMap<OsString, OsString>,
    ) -> io::Result<(Self, Report)> {
        let (reader, writer) = io::pipe()?;
        let report = fcntl_dupfd_cloexec(&writer, REPORT)?;
        let arguments = List::of(command.iter().map(|word| word.clone().into_bytes()))?;
        let variables = environment
            .iter()
            .map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat());
        let variables = List::of(variables)?;
        Ok((Self { arguments, variables, report }, Report(reader)))
    }

    /// Runs in the child and does not return. `enter` may take as long as a disk does, or as long as the app
    /// keeps the child stopped.
    pub(super) fn run(
        &self,
        inherited: Option<RawFd>,
        enter: impl FnOnce() -> io::Result<()>,
    ) -> io::Result<()> {
        let report = self.report.as_raw_fd();
        // `std` returns in the appliance.
        close_all_but(inherited, report);
        if let Err(error) = enter() {
            give_up(error.raw_os_error().unwrap_or(Errno::EIO as i32), report);
        }
        execute(&self.arguments.addresses, &self.variables.addresses, report)
    }
}

/// Closes all descriptors above 2 but these.
fn close_all_but(inherited: Option<RawFd>, report: RawFd) {
    let mut first = 3;
    let mut both = [inherited.unwrap_or(report), report];
    both.sort_unstable();
    for kept in both {
        close_range(first, kept - 1);
        first = kept + 1;
    }
    close_range(first, RawFd::MAX);
}

/// Where the appliance reads whether a program runs.
#[derive(Debug)]
pub(super) struct Report(PipeReader);

impl Report {
    /// Waits until the program runs, or its process has ended before that.
    pub(super) async fn read(mut self) -> io::Result<()> {
        fcntl_setfl(&self.0, OFlags::NONBLOCK)?;
        let mut error = [0; size_of::<i32>()];
        match self.0.read(&mut error) {
            Err(later) if later.kind() == io::ErrorKind::WouldBlock => {}
            read => return result(read?, error),
        }
        let mut receiver = Receiver::from_owned_fd(self.0.into())?;
        match timeout(LIMIT, receiver.read(&mut error)).await {
            Ok(read) => result(read?, error),
            Err(_) => Err(too_slow()),
        }
    }
}

fn result(length: usize, error: [u8; 4]) -> io::Result<()> {
    // Exec has closed the pipe, or the end of the process has.
    if length == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(i32::from_ne_bytes(error))) }
}

fn too_slow() -> io::Error {
    let limit = LIMIT.as_secs();
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!(
            "it has not begun within {limit} s; another program may have a lease on the file or have \
             stopped the process (SIGSTOP), or a disk that it or its `cwd` is on does not answer"
        ),
    )
}
