//! The system calls of a child between fork and exec. The only file with `unsafe`: each function here is
//! safe to call between fork and exec, and allocates nothing.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd as _, BorrowedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::process::Command;
use std::sync::atomic::AtomicPtr;

use nix::errno::Errno;
use nix::libc::{self, c_char};
use nix::sys::signal::SigSet;
use nix::unistd::Pid;

/// Descriptors that are closed one by one where the kernel does not close a range of them.
const ONE_BY_ONE: RawFd = 1 << 16;
/// Exit code of a child without a program. Nobody sees it: the error is reported.
const NO_PROGRAM: i32 = 127;

/// `KEYCTL_JOIN_SESSION_KEYRING`
const JOIN_SESSION_KEYRING: libc::c_int = 1;
/// `_LINUX_CAPABILITY_VERSION_3`, about the calling process.
const HEADER: Header = Header { version: 0x2008_0522, pid: 0 };

// SAFETY: this is its type in every C library of Linux.
#[expect(unsafe_code, reason = "not every C library of the crate `libc` has it")]
unsafe extern "C" {
    /// The variables that `execvp` searches for `PATH` and passes on.
    static mut environ: *const *const c_char;
}

/// `struct __user_cap_header_struct`
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`: 32 of the capabilities.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct Capabilities {
    effective: u32,
    permitted: u32,
    pub(super) inheritable: u32,
}

/// Makes the child call `apply` between fork and exec. It must only make system calls on values that
/// were prepared before the fork: no allocation, no lock.
pub(in crate::supervisor::process) fn before_exec(
    command: &mut Command,
    apply: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    // SAFETY: `apply` runs in the forked child, where only async-signal-safe calls are allowed. The
    // closures of this crate keep to that, see above.
    #[expect(unsafe_code, reason = "the only way to set up a child between fork and exec")]
    unsafe {
        command.pre_exec(apply);
    }
}

/// Restores the default of every signal and blocks none, whatever the appliance or its parent
/// process had set.
pub(super) fn reset_signals() -> nix::Result<()> {
    for number in 1..=64 {
        // SAFETY: sets a disposition to a constant. Signals whose disposition cannot be set (KILL,
        // STOP, the two of libc) are refused without an effect.
        #[expect(unsafe_code, reason = "nix has no call for the real-time signals")]
        unsafe {
            libc::signal(number, libc::SIG_DFL);
        }
    }
    SigSet::empty().thread_set_mask()
}

/// Keeps a descriptor beyond exec.
pub(super) fn pass_on(inherited: Option<(RawFd, RawFd)>) -> nix::Result<()> {
    match inherited {
        None => Ok(()),
        Some((here, there)) if here == there => Errno::result(flag(here, 0)).map(drop),
        // SAFETY: replaces a descriptor of the child that is closed anyway, see `inherit`.
        #[expect(unsafe_code, reason = "nix wants to own what is replaced")]
        Some((here, there)) => Errno::result(unsafe { libc::dup2(here, there) }).map(drop),
    }
}

fn flag(descriptor: RawFd, flags: i32) -> i32 {
    // SAFETY: sets the flags of a descriptor number; a number without a descriptor is refused.
    #[expect(unsafe_code, reason = "the wrappers want an open descriptor")]
    unsafe {
        libc::fcntl(descriptor, libc::F_SETFD, flags)
    }
}

pub(super) fn flags(descriptor: RawFd) -> i32 {
    // SAFETY: reads the flags of a descriptor number; a number without a descriptor is refused.
    #[expect(unsafe_code, reason = "the wrappers want an open descriptor")]
    unsafe {
        libc::fcntl(descriptor, libc::F_GETFD)
    }
}

/// Replaces the process by a program, or ends it and writes the number of the error to `report`. The lists
/// end with a null.
pub(super) fn execute(
    arguments: &[AtomicPtr<c_char>],
    variables: &[AtomicPtr<c_char>],
    report: RawFd,
) -> ! {
    // An atomic pointer has the representation of a pointer.
    let (arguments, variables): (*const *const c_char, *const *const c_char) =
        (arguments.as_ptr().cast(), variables.as_ptr().cast());
    // SAFETY: runs in the forked child, which has a single thread. The strings live as long as the
    // lists, and the list of arguments has at least the program.
    #[expect(unsafe_code, reason = "std offers no exec that reports elsewhere")]
    unsafe {
        environ = variables;
        libc::execvp(*arguments, arguments);
    }
    give_up(Errno::last_raw(), report)
}

/// Runs the program of this process once more, with this name as its only argument and this standard input,
/// without variables and without further descriptors above 2. `work` is what the program then does: the
/// program of the unit tests, which would run all of them again, does it at once.
pub(super) fn run_again(
    name: &CStr,
    stdin: BorrowedFd<'_>,
    work: impl FnOnce() -> u8,
) -> nix::Result<Pid> {
    let end: *const c_char = std::ptr::null();
    let (arguments, variables) = ([name.as_ptr(), end], [end]);
    // SAFETY: runs in a forked child, which has a single thread, and the new process only makes system
    // calls on values that live on the stack.
    #[expect(unsafe_code, reason = "std has no fork")]
    unsafe {
        let pid = libc::fork();
        if pid != 0 {
            return Errno::result(pid).map(Pid::from_raw);
        }
        libc::dup2(stdin.as_raw_fd(), libc::STDIN_FILENO);
        close_range(libc::STDERR_FILENO + 1, RawFd::MAX);
        if cfg!(test) {
            libc::_exit(work().into());
        }
        libc::execve(c"/proc/self/exe".as_ptr(), arguments.as_ptr(), variables.as_ptr());
        libc::_exit(Errno::last_raw())
    }
}

/// Writes the number of an error to `report` and ends the process.
pub(super) fn give_up(error: i32, report: RawFd) -> ! {
    let error = error.to_ne_bytes();
    // SAFETY: runs in the forked child, and writes bytes that live on the stack.
    #[expect(
        unsafe_code,
        reason = "the wrappers of std want to own the descriptor, and clean up at the exit"
    )]
    unsafe {
        libc::write(report, error.as_ptr().cast(), error.len());
        libc::_exit(NO_PROGRAM)
    }
}

/// Closes descriptors of the forked child that nothing uses any more.
pub(super) fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: closes descriptors of the forked child that nothing uses any more.
    #[expect(unsafe_code, reason = "nix has no close_range")]
    unsafe {
        if libc::syscall(libc::SYS_close_range, first, last, 0) != 0 {
            // A kernel before 5.9, or a container that forbids the call.
            for descriptor in first..=last.min(ONE_BY_ONE) {
                libc::close(descriptor);
            }
        }
    }
}

/// Gives the process a new session keyring.
pub(super) fn join_new_keyring() -> nix::Result<()> {
    let unnamed: *const c_char = std::ptr::null();
    // SAFETY: the call takes no name, and changes the calling process only.
    #[expect(unsafe_code, reason = "nix has no keyctl")]
    let joined = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, unnamed) };
    Errno::result(joined).map(drop)
}

/// Clears the ambient set of capabilities.
pub(super) fn clear_ambient() -> nix::Result<()> {
    let none: libc::c_ulong = 0;
    let clear = libc::c_ulong::from(libc::PR_CAP_AMBIENT_CLEAR_ALL.unsigned_abs());
    // SAFETY: takes numbers, and changes the calling process only.
    #[expect(unsafe_code, reason = "nix has no calls for capabilities")]
    let cleared = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, clear, none, none, none) };
    Errno::result(cleared).map(drop)
}

/// The capabilities of the process.
pub(super) fn capabilities() -> nix::Result<[Capabilities; 2]> {
    let (mut header, mut sets) = (HEADER, [Capabilities::default(); 2]);
    // SAFETY: the arguments are as the kernel defines them, and live on the stack.
    #[expect(unsafe_code, reason = "nix has no calls for capabilities")]
    let read = unsafe { libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()) };
    Errno::result(read).map(|_| sets)
}

/// Sets the capabilities of the process.
pub(super) fn set_capabilities(sets: &[Capabilities; 2]) -> nix::Result<()> {
    let mut header = HEADER;
    // SAFETY: the arguments are as the kernel defines them, and are only read.
    #[expect(unsafe_code, reason = "nix has no calls for capabilities")]
    let set = unsafe { libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr()) };
    Errno::result(set).map(drop)
}

/// Writes a file if it can.
pub(super) fn write_file(path: &CStr, text: &[u8]) {
    // SAFETY: opens, writes and closes a descriptor of its own.
    #[expect(unsafe_code, reason = "the wrappers of std allocate")]
    unsafe {
        let file = libc::open(path.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, text.as_ptr().cast(), text.len());
            libc::close(file);
        }
    }
}
