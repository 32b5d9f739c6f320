//! What a child must not inherit of the appliance: capabilities, the session keyring, and the protection
//! from the kernel's memory killer. Only system calls on prepared values, see [`super`].

use std::ffi::CStr;

use nix::errno::Errno;
use nix::libc;

/// `KEYCTL_JOIN_SESSION_KEYRING`
const JOIN_SESSION_KEYRING: libc::c_int = 1;
/// `_LINUX_CAPABILITY_VERSION_3`
const VERSION_3: u32 = 0x2008_0522;

const SCORE: &str = "/proc/self/oom_score_adj";
const SCORE_FOR_C: &CStr = c"/proc/self/oom_score_adj";

/// `struct __user_cap_header_struct`
#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

/// `struct __user_cap_data_struct`: 32 of the capabilities.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Capabilities {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// Gives the child an empty session keyring. It would have that of the shell that started the appliance,
/// and could read its keys. A kernel without keyrings, or a container that forbids the call, hands none
/// on to begin with.
pub(super) fn leave_keyring() -> nix::Result<()> {
    let unnamed: *const libc::c_char = std::ptr::null();
    // SAFETY: the call takes no name, and changes the calling process only.
    #[expect(unsafe_code, reason = "nix has no keyctl")]
    let joined = unsafe { libc::syscall(libc::SYS_keyctl, JOIN_SESSION_KEYRING, unnamed) };
    match Errno::result(joined) {
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EOPNOTSUPP) => Ok(()),
        joined => joined.map(drop),
    }
}

/// Clears the sets of capabilities that a program gets although it has not asked for any: the ambient
/// and the inheritable one. What exec gives to root stays.
pub(super) fn drop_inheritable() -> nix::Result<()> {
    let mut header = Header { version: VERSION_3, pid: 0 };
    let mut sets = [Capabilities::default(); 2];
    let none = 0 as libc::c_ulong;
    // SAFETY: the arguments are as the kernel defines them, and live on the stack.
    #[expect(unsafe_code, reason = "nix has no calls for capabilities")]
    unsafe {
        // A kernel before 4.3 has no ambient set.
        let clear = libc::PR_CAP_AMBIENT_CLEAR_ALL as libc::c_ulong;
        libc::prctl(libc::PR_CAP_AMBIENT, clear, none, none, none);
        Errno::result(libc::syscall(libc::SYS_capget, &raw mut header, sets.as_mut_ptr()))?;
        if sets.iter().all(|set| set.inheritable == 0) {
            return Ok(());
        }
        for set in &mut sets {
            set.inheritable = 0;
        }
        Errno::result(libc::syscall(libc::SYS_capset, &raw mut header, sets.as_ptr())).map(drop)
    }
}

/// Whether the appliance is protected from the kernel's memory killer (`OOMScoreAdjust=` of a systemd
/// unit). What the kernel would have to kill in place of a child without the protection is the machine.
pub(super) fn is_protected() -> bool {
    let score = std::fs::read_to_string(SCORE).ok();
    score.and_then(|score| score.trim().parse::<i32>().ok()).is_some_and(|score| score < 0)
}

/// Gives up the protection, which is meant for the appliance alone. Without root, the kernel does not
/// let a process that keeps its memory private open the file; then the protection stays.
pub(super) fn give_up_protection() {
    // SAFETY: opens, writes and closes a descriptor of its own; the strings are constants.
    #[expect(unsafe_code, reason = "the wrappers of std allocate")]
    unsafe {
        let file = libc::open(SCORE_FOR_C.as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC);
        if file >= 0 {
            libc::write(file, b"0".as_ptr().cast(), 1);
            libc::close(file);
        }
    }
}
