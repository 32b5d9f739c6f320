//! From a table to a running process: the only place with `unsafe`.
//!
//! A child leads a session and a group of its own, has `/dev/null` as its stdin, descriptors
//! 0–2 and no others (plus the one that `NOTIFY_FD` names), no signal blocked or ignored, and
//! the user, the limits and the umask of its table. It is asked to end when we are killed: where
//! we are not PID 1, nobody else would. Between fork and exec nothing allocates,
//! locks, logs or looks anything up.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, getrlimit, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, getpid, getppid, setgid, setgroups, setsid, setuid};

use super::environment::{self, Environment, EnvironmentError};
use super::identity::{self, Identity, IdentityError};
use super::reaper::{Process, Reaper};
use crate::config::{App, Limits, Run, Setup};

/// Number of a descriptor that a child keeps.
const WANTED: RawFd = 3;

/// Soft and hard limit of open files that we were started with.
static OPEN_FILES: OnceLock<(rlim_t, rlim_t)> = OnceLock::new();

/// All that a process is started with.
#[derive(Debug)]
pub(super) struct Spec<'a> {
    pub(super) command: &'a [String],
    pub(super) cwd: &'a Path,
    pub(super) environment: Environment,
    pub(super) identity: Option<Identity>,
    pub(super) umask: Option<u32>,
    pub(super) limits: Limits,
    pub(super) no_new_privs: bool,
    /// Kept open in the child.
    pub(super) notify: Option<Kept>,
    /// What the kernel sends it should we be killed.
    pub(super) orphaned: Signal,
}

/// A descriptor that a child keeps beside 0–2.
#[derive(Debug)]
pub(super) struct Kept {
    descriptor: OwnedFd,
    /// Its number in the child.
    pub(super) number: RawFd,
}

impl Kept {
    /// As 3, which every shell can write to, when that number is taken in our own process by
    /// something that the child does not need; otherwise `std` may use it between fork and exec.
    pub(super) fn new(descriptor: OwnedFd) -> Self {
        let is_taken = flags(WANTED) >= 0;
        let number = if is_taken { WANTED } else { descriptor.as_raw_fd() };
        Self { descriptor, number }
    }
}

impl<'a> Spec<'a> {
    /// What the app's table says.
    pub(super) fn of(app: &App, run: &'a Run, state_dir: &Path) -> Result<Self, SpawnError> {
        let identity = identity::resolve(run.user.as_deref(), run.group.as_deref())?;
        Ok(Self {
            command: &run.command,
            cwd: &run.cwd,
            environment: environment::of_app(app, run, identity.as_ref(), state_dir)?,
            identity,
            umask: run.umask,
            limits: run.limits,
            no_new_privs: run.no_new_privs,
            notify: None,
            orphaned: app.stop.signal,
        })
    }

    /// A step of the app's first-time setup, as ourselves.
    pub(super) fn of_setup(app: &App, run: &'a Run, step: &'a Setup) -> Result<Self, SpawnError> {
        Ok(Self {
            command: &step.run,
            cwd: &run.cwd,
            environment: environment::of_setup(app, run, &step.env)?,
            identity: None,
            umask: None,
            limits: Limits::default(),
            no_new_privs: false,
            notify: None,
            orphaned: Signal::SIGKILL,
        })
    }
}

/// A process that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// `command` is empty.
    #[error("its command is empty")]
    Empty,
    /// Not there, or no folder.
    #[error("its working directory {path} cannot be used: {error}", path = path.display())]
    Cwd {
        /// `cwd`
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Its user or group.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Its environment.
    #[error(transparent)]
    Environment(#[from] EnvironmentError),
    /// A pipe or socket of it.
    #[error("no descriptor for its output: {0}")]
    Descriptors(io::Error),
    /// A step between fork and exec.
    #[error("cannot {step} for it: {error}")]
    Step {
        /// What was to be done.
        step: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// Nowhere, or not under that name.
    #[error("cannot run {program}: No such file or directory; install it, or correct `command`")]
    NoProgram {
        /// As written in `command`.
        program: String,
    },
    /// It is there, but what it is to be run by is not.
    #[error(
        "cannot run {program}: its first line names an interpreter that is not there (a CR at the \
         end of that line counts)"
    )]
    NoInterpreter {
        /// As written in `command`.
        program: String,
    },
    /// The program itself.
    #[error("cannot run {program}: {error}")]
    Exec {
        /// As written in `command`.
        program: String,
        /// Why.
        error: io::Error,
    },
}

impl SpawnError {
    /// The code that a shell gives: 127 for a program that is not there, 126 for one that cannot
    /// be run; none when it never came so far.
    pub(super) fn code(&self) -> Option<i32> {
        match self {
            Self::NoProgram { .. } | Self::NoInterpreter { .. } => Some(127),
            Self::Exec { error, .. } => match error.raw_os_error().map(Errno::from_raw) {
                Some(Errno::EAGAIN | Errno::ENOMEM | Errno::EMFILE | Errno::ENFILE) => None,
                _ => Some(126),
            },
            _ => None,
        }
    }
}

/// Finds what would make every start of the app fail, before any is started: its user or group,
/// its environment with its secrets (which are generated by this where the file says so).
pub fn verify(app: &App, state_dir: &Path) -> Result<(), SpawnError> {
    app.run.as_ref().map_or(Ok(()), |run| Spec::of(app, run, state_dir).map(drop))
}

/// Raises our own limit of open files to what is allowed. Children keep the one that we were
/// started with: programs that use `select` break above 1024.
pub fn raise_open_files() {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && OPEN_FILES.set((soft, hard)).is_ok()
    {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, hard, hard);
    }
}

/// Starts the process with these outputs.
pub(super) fn spawn(
    reaper: &Reaper,
    spec: &Spec<'_>,
    stdout: Stdio,
    stderr: Stdio,
) -> Result<Process, SpawnError> {
    let (program, args) = spec.command.split_first().ok_or(SpawnError::Empty)?;
    // Looked at first: exec and chdir fail with the same number.
    check_folder(spec.cwd).map_err(|error| SpawnError::Cwd { path: spec.cwd.into(), error })?;
    let mut command = Command::new(program);
    command
        .args(args)
        .current_dir(spec.cwd)
        .env_clear()
        .envs(&spec.environment)
        .stdin(Stdio::null())
        .stdout(stdout)
        .stderr(stderr);
    let surroundings = Surroundings::of(spec);
    // SAFETY: `take_on` runs in the forked child, where only async-signal-safe calls are allowed.
    // It makes system calls on values that were prepared before the fork: no allocation, no lock.
    #[expect(unsafe_code, reason = "the only way to set up a child between fork and exec")]
    unsafe {
        command.pre_exec(move || surroundings.take_on());
    }
    reaper.spawn(&mut command).map_err(|error| explain(program, &error))
}

fn check_folder(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::ENOTDIR))
    }
}

/// What a failed step was about: it reaches the parent in the upper half of the error number,
/// the only thing that `std` hands over.
const STEPS: [&str; 8] = [
    "run the program",
    "make a session",
    "reset the signals",
    "close the descriptors",
    "set the limits",
    "change the user",
    "set no_new_privs",
    "tie its life to ours",
];

fn explain(program: &str, error: &io::Error) -> SpawnError {
    let Some(raw) = error.raw_os_error() else {
        // It did not come so far that the kernel was asked.
        return SpawnError::Exec { program: program.to_owned(), error: error.kind().into() };
    };
    let (step, errno) = (raw >> 16, raw & 0xffff);
    match usize::try_from(step).ok().and_then(|step| STEPS.get(step)) {
        Some(step) if raw >> 16 > 0 => {
            SpawnError::Step { step, error: io::Error::from_raw_os_error(errno) }
        }
        _ => {
            let (program, error) = (program.to_owned(), io::Error::from_raw_os_error(errno));
            match Errno::from_raw(errno) {
                Errno::ENOENT if Path::new(&program).is_file() => {
                    SpawnError::NoInterpreter { program }
                }
                Errno::ENOENT | Errno::ENOTDIR => SpawnError::NoProgram { program },
                _ => SpawnError::Exec { program, error },
            }
        }
    }
}

/// What the child takes on between fork and exec, all prepared before.
struct Surroundings {
    umask: Option<Mode>,
    limits: [Option<(Resource, rlim_t, rlim_t)>; 5],
    identity: Option<Identity>,
    no_new_privs: bool,
    /// Its number here and in the child.
    notify: Option<(RawFd, RawFd)>,
    /// Ourselves.
    parent: Pid,
    orphaned: Signal,
}

impl Surroundings {
    fn of(spec: &Spec<'_>) -> Self {
        let limits = spec.limits;
        let same = |resource, value: Option<u64>| value.map(|value| (resource, value, value));
        let open_files = same(Resource::RLIMIT_NOFILE, limits.nofile);
        let started_with = || {
            let (soft, hard) = OPEN_FILES.get()?;
            Some((Resource::RLIMIT_NOFILE, *soft, *hard))
        };
        Self {
            umask: spec.umask.map(Mode::from_bits_truncate),
            limits: [
                open_files.or_else(started_with),
                same(Resource::RLIMIT_CORE, limits.core),
                same(Resource::RLIMIT_NPROC, limits.nproc),
                same(Resource::RLIMIT_AS, limits.address_space),
                same(Resource::RLIMIT_FSIZE, limits.file_size),
            ],
            identity: spec.identity.clone(),
            no_new_privs: spec.no_new_privs,
            notify: spec.notify.as_ref().map(|kept| (kept.descriptor.as_raw_fd(), kept.number)),
            parent: getpid(),
            orphaned: spec.orphaned,
        }
    }

    fn take_on(&self) -> io::Result<()> {
        let at =
            |step: i32| move |errno: Errno| io::Error::from_raw_os_error(step << 16 | errno as i32);
        setsid().map_err(at(1))?;
        reset_signals().map_err(at(2))?;
        if let Some(mask) = self.umask {
            umask(mask);
        }
        close_on_exec(self.notify).map_err(at(3))?;
        for (resource, soft, hard) in self.limits.iter().flatten() {
            setrlimit(*resource, *soft, *hard).map_err(at(4))?;
        }
        if let Some(identity) = &self.identity {
            // This order: without root neither groups nor group can be changed any more.
            setgroups(&identity.groups).map_err(at(5))?;
            setgid(identity.gid).map_err(at(5))?;
            setuid(identity.uid).map_err(at(5))?;
        }
        if self.no_new_privs {
            prctl::set_no_new_privs().map_err(at(6))?;
        }
        // Last: a change of the user would undo it. It also comes when the thread that forked
        // ends, which is our main one.
        prctl::set_pdeathsig(self.orphaned).map_err(at(7))?;
        if getppid() == self.parent { Ok(()) } else { Err(at(7)(Errno::ESRCH)) }
    }
}

/// Default for every signal, none blocked: whatever we, or those who started us, had set.
fn reset_signals() -> nix::Result<()> {
    for number in 1..=64 {
        // SAFETY: sets a disposition, to a constant. Those that cannot be set (KILL, STOP, the
        // two of libc) are refused, which is no harm.
        #[expect(unsafe_code, reason = "nix has no call for the real-time signals")]
        unsafe {
            libc::signal(number, libc::SIG_DFL);
        }
    }
    SigSet::empty().thread_set_mask()
}

/// Lets exec close all descriptors above 2 but `kept`, also those that we inherited ourselves.
fn close_on_exec(kept: Option<(RawFd, RawFd)>) -> nix::Result<()> {
    // SAFETY: flags descriptors, closes none: those of `std` that are still needed stay open
    // until exec.
    #[expect(unsafe_code, reason = "nix has no close_range")]
    let flagged =
        unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if flagged != 0 {
        // Kernels before 5.11, or a container that forbids the call.
        for descriptor in 3..1024 {
            flag(descriptor, libc::FD_CLOEXEC);
        }
    }
    match kept {
        None => Ok(()),
        Some((here, there)) if here == there => Errno::result(flag(here, 0)).map(drop),
        // SAFETY: replaces a descriptor of the child that exec would close, see `Kept::new`.
        #[expect(unsafe_code, reason = "nix wants to own what is replaced")]
        Some((here, there)) => Errno::result(unsafe { libc::dup2(here, there) }).map(drop),
    }
}

fn flag(descriptor: RawFd, flags: i32) -> i32 {
    // SAFETY: sets the flags of a number, which may name no descriptor: then it is refused.
    #[expect(unsafe_code, reason = "the wrappers want an open descriptor")]
    unsafe {
        libc::fcntl(descriptor, libc::F_SETFD, flags)
    }
}

fn flags(descriptor: RawFd) -> i32 {
    // SAFETY: reads the flags of a number, which may name no descriptor: then it is refused.
    #[expect(unsafe_code, reason = "the wrappers want an open descriptor")]
    unsafe {
        libc::fcntl(descriptor, libc::F_GETFD)
    }
}

#[cfg(test)]
#[path = "../../tests/unit/spawn.rs"]
mod tests;
