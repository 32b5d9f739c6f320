//! Spawns a child process.
//!
//! ```text
//! mod → exec, privileges → spawn
//! user_end, user_namespace → spawn
//! ```
//!
//! A child leads its own session and process group. Its stdin is `/dev/null`; it has the
//! descriptors 0–2 and no others, except the one that `NOTIFY_FD` names. No signal is blocked or
//! ignored. The child gets the user, the limits and the umask of its app. If the appliance is
//! killed, the kernel sends the child a signal: where the appliance is not PID 1, nothing else
//! would end the child. Between fork and exec, the code allocates nothing, takes no lock, and
//! neither logs nor looks anything up.
//!
//! The call that forks returns before the child has the user of its app or touches a path of it, see
//! [`exec`]: every process of that user may stop the child, the program may belong to the app, and the
//! working directory may be on a disk that does not answer. [`prepare`] reads files as well, and belongs on
//! a thread that may wait.

mod exec;
pub(crate) mod files;
pub(crate) mod outputs;
mod privileges;
mod spawn;
pub(super) mod user_end;
pub(in crate::supervisor) mod user_namespace;

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::sys::prctl;
use nix::sys::resource::{Resource, rlim_t, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, chdir, geteuid, getpid, getppid, setgid, setgroups, setsid};

use self::exec::{Program, Report};
use self::files::Files;
pub(super) use self::spawn::before_exec;
use self::spawn::{flags, pass_on, reset_signals};
use self::user_namespace::new_user_namespace;
use super::own_process::{open_files_at_start, share_user};
use super::reaper::{Process, Reaper};
use super::spawn_error::SpawnError;
use super::spec::{InheritedFd, Spec};
use super::tag::Tag;
use crate::config::ownership::account::Account;
use crate::supervisor::guard::{Hidden, Means, StateGuard};

/// Preferred number of an inherited descriptor.
const FIRST_FREE: RawFd = 3;

/// Passes a descriptor on to the child: as number 3, which every shell can write to, if number 3 is
/// in use in the appliance and the child does not need that descriptor. Otherwise `std` may use
/// number 3 itself between fork and exec, so the descriptor keeps its own number.
pub(crate) fn inherit(descriptor: OwnedFd) -> InheritedFd {
    let is_taken = flags(FIRST_FREE) >= 0;
    let number = if is_taken { FIRST_FREE } else { descriptor.as_raw_fd() };
    InheritedFd { descriptor, number }
}

/// A child before its fork.
#[derive(Debug)]
pub(crate) struct Child {
    spec: Spec,
    steps: ChildSetup,
    program: Program,
    report: Report,
}

/// A child that may not run its program yet. Dropping it kills it.
#[derive(Debug)]
pub(crate) struct Forked {
    pub(crate) process: Process,
    program: String,
    cwd: PathBuf,
    report: Report,
}

impl Forked {
    /// Waits until the child runs its program, or has ended before that.
    pub(crate) async fn running(self, files: &Files) -> Result<Process, SpawnError> {
        let Err(error) = self.report.read().await else { return Ok(self.process) };
        match explain(&self.program, &self.cwd, error) {
            SpawnError::NoProgram { program } => Err(look_at_missing(program, files).await),
            other => Err(other),
        }
    }
}

/// Reads what a child is made from. That takes as long as the disks of the app do.
pub(crate) fn prepare(spec: Spec) -> Result<Child, SpawnError> {
    let name = spec.command.first().ok_or(SpawnError::Empty)?;
    let (program, report) = Program::of(&spec.command, &spec.environment)
        .map_err(|error| explain(name, &spec.cwd, error))?;
    let steps = ChildSetup::of(&spec).map_err(SpawnError::StateGuard)?;
    Ok(Child { spec, steps, program, report })
}

impl Child {
    pub(crate) fn spec(&self) -> &Spec {
        &self.spec
    }

    /// Forks the process with these outputs. Waits for no file.
    pub(crate) fn fork(
        self,
        reaper: &Reaper,
        stdout: Stdio,
        stderr: Stdio,
    ) -> Result<Forked, SpawnError> {
        let Self { spec, mut steps, program, report } = self;
        let (name, args) = spec.command.split_first().ok_or(SpawnError::Empty)?;
        let mut command = Command::new(name);
        command.args(args).stdin(Stdio::null()).stdout(stdout).stderr(stderr);
        before_exec(&mut command, move || {
            steps.begin()?;
            program.run(steps.notify.map(|(_, there)| there), || {
                steps.begin_guard()?;
                steps.restrict()?;
                steps.enter()
            })
        });
        let process = reaper
            .spawn(&mut command, Some(spec.mark.clone()))
            .map_err(|error| explain(name, &spec.cwd, error))?;
        Ok(Forked { process, program: name.clone(), cwd: spec.cwd.clone(), report })
    }
}

/// Tells a program that does not exist from one whose interpreter does not.
async fn look_at_missing(program: String, files: &Files) -> SpawnError {
    let path = PathBuf::from(&program);
    match files.look(move || path.is_file()).await {
        Ok(true) => SpawnError::NoInterpreter { program },
        _ => SpawnError::NoProgram { program },
    }
}

/// Forks a child that calls `apply`, which has to fail, and returns the error number of it.
pub(super) fn try_before_exec(
    reaper: &Reaper,
    command: &mut Command,
    mut apply: impl FnMut() -> nix::Result<()> + Send + Sync + 'static,
) -> Option<i32> {
    before_exec(command, move || apply().map_err(io::Error::from));
    reaper.spawn(command, None).err()?.raw_os_error()
}

/// The steps between fork and exec. The index of a failed step reaches the parent in the upper half
/// of the error number, because `std` passes on nothing else.
const STEPS: [&str; 11] = [
    "run the program",
    "create a session",
    "reset the signals",
    "pass on a file descriptor",
    "set the resource limits",
    "change the user",
    "set no_new_privs",
    "set the parent-death signal",
    "hide the appliance's secrets",
    "drop the appliance's capabilities",
    "enter the working directory",
];

/// The step whose error names the folder.
const ENTER: i32 = 10;

fn explain(program: &str, cwd: &Path, error: io::Error) -> SpawnError {
    let Some(raw) = error.raw_os_error() else {
        // The error occurred before the kernel was called.
        return SpawnError::Exec { program: program.to_owned(), error };
    };
    let (step, errno) = (raw >> 16, raw & 0xffff);
    if step == ENTER {
        return SpawnError::Cwd { path: cwd.into(), error: io::Error::from_raw_os_error(errno) };
    }
    match usize::try_from(step).ok().and_then(|step| STEPS.get(step)) {
        Some(step) if raw >> 16 > 0 => {
            SpawnError::Step { step, error: io::Error::from_raw_os_error(errno) }
        }
        _ => {
            let (program, error) = (program.to_owned(), io::Error::from_raw_os_error(errno));
            match Errno::from_raw(errno) {
                Errno::ENOENT | Errno::ENOTDIR => SpawnError::NoProgram { program },
                _ => SpawnError::Exec { program, error },
            }
        }
    }
}

/// The settings that the child applies between fork and exec, all prepared before the fork.
#[derive(Debug)]
struct ChildSetup {
    umask: Option<Mode>,
    limits: [Option<(Resource, rlim_t, rlim_t)>; 5],
    tag: Option<Tag>,
    account: Option<Account>,
    is_protected: bool,
    cwd: CString,
    no_new_privs: bool,
    state_guard: Option<StateGuard>,
    /// Number of the inherited descriptor in the appliance and in the child.
    notify: Option<(RawFd, RawFd)>,
    /// The appliance.
    parent: Pid,
    parent_death_signal: Signal,
}

fn warn_of_open_setup(spec: &Spec, means: Means) {
    let creates = spec.creates.first().map(|path| path.display().to_string());
    let can_read = match means {
        Means::Namespace => "those that are made in state_dir meanwhile",
        Means::Landlock => "all of them",
    };
    tracing::warn!(
        app = %spec.mark.app, creates, can_read,
        "setup can read secrets beside what it creates; let it create that in a folder of its own"
    );
}

impl ChildSetup {
    fn of(spec: &Spec) -> io::Result<Self> {
        let own_user = spec.account.as_ref().is_none_or(|account| account.uid == geteuid());
        let is_given = |path: &Path| spec.names(path);
        let hidden = Hidden { cwd: &spec.cwd, creates: &spec.creates, is_given: &is_given };
        let state_guard = if own_user { StateGuard::prepare(&hidden)? } else { None };
        if own_user && let Some(means) = StateGuard::is_incomplete(&hidden) {
            warn_of_open_setup(spec, means);
        }
        if own_user {
            share_user();
        }
        let limits = spec.limits;
        let same = |resource, value: Option<u64>| value.map(|value| (resource, value, value));
        let open_files = same(Resource::RLIMIT_NOFILE, limits.nofile);
        let at_start = || {
            let (soft, hard) = open_files_at_start()?;
            Some((Resource::RLIMIT_NOFILE, soft, hard))
        };
        Ok(Self {
            umask: spec.umask.map(Mode::from_bits_truncate),
            limits: [
                open_files.or_else(at_start),
                same(Resource::RLIMIT_CORE, limits.core),
                same(Resource::RLIMIT_NPROC, limits.nproc),
                same(Resource::RLIMIT_AS, limits.address_space),
                same(Resource::RLIMIT_FSIZE, limits.file_size),
            ],
            tag: spec.mark.tag.or_else(Tag::next),
            account: spec.account.clone(),
            is_protected: privileges::is_protected(),
            cwd: CString::new(spec.cwd.as_os_str().as_bytes())?,
            no_new_privs: spec.no_new_privs,
            state_guard,
            notify: spec
                .notify
                .as_ref()
                .map(|inherited| (inherited.descriptor.as_raw_fd(), inherited.number)),
            parent: getpid(),
            parent_death_signal: spec.parent_death_signal,
        })
    }

    /// The steps for which the thread that forks waits. They need descriptors that are closed after them,
    /// or must be done before the first signal to the group. The child still has the user of the
    /// appliance: no process of another user can stop it.
    fn begin(&mut self) -> io::Result<()> {
        setsid().map_err(at(1))?;
        reset_signals().map_err(at(2))?;
        pass_on(self.notify).map_err(at(3))?;
        match &mut self.state_guard {
            // It is there only if the app has the user of the appliance.
            Some(guard @ StateGuard::Landlock(_)) => guard.apply().map_err(at(8)),
            _ => Ok(()),
        }
    }

    /// Before the limits of the app, which may allow no further process.
    fn begin_guard(&mut self) -> io::Result<()> {
        let guard = self.state_guard.as_mut();
        guard.map_or(Ok(()), |guard| guard.begin(new_user_namespace)).map_err(at(8))
    }

    /// Gives the child the limits and the user of its app. From then on, the app can stop it.
    fn restrict(&self) -> io::Result<()> {
        if let Some(mask) = self.umask {
            umask(mask);
        }
        for (resource, soft, hard) in self.limits.iter().flatten() {
            setrlimit(*resource, *soft, *hard).map_err(at(4))?;
        }
        if let Some(tag) = self.tag {
            tag.apply();
        }
        if self.is_protected {
            // Before a change of the user, which makes the file that of root.
            privileges::give_up_protection();
        }
        let Some(account) = &self.account else { return Ok(()) };
        if account.uid != geteuid() {
            privileges::leave_keyring().map_err(at(5))?;
        }
        // In this order: without root, neither groups nor group can be changed.
        setgroups(&account.groups).map_err(at(5))?;
        setgid(account.gid).map_err(at(5))?;
        privileges::become_user(account.uid).map_err(at(5))
    }

    /// The steps that wait for disks, and those that come after them.
    fn enter(&mut self) -> io::Result<()> {
        // After the change of the user, which may have put a link there to a folder that it cannot enter.
        chdir(self.cwd.as_c_str()).map_err(at(ENTER))?;
        if let Some(guard @ StateGuard::Namespace(_)) = &mut self.state_guard {
            guard.apply().map_err(at(8))?;
        }
        // After the guard, which may make its mounts with what it has in a user namespace.
        privileges::drop_inheritable().map_err(at(9))?;
        if self.no_new_privs {
            prctl::set_no_new_privs().map_err(at(6))?;
        }
        // Last, because a change of the user clears it. The kernel also sends the signal when the
        // thread that forked ends; that is the main thread.
        prctl::set_pdeathsig(self.parent_death_signal).map_err(at(7))?;
        if getppid() == self.parent { Ok(()) } else { Err(at(7)(Errno::ESRCH)) }
    }
}

/// Puts the number of the step into an error.
fn at(step: i32) -> impl Fn(Errno) -> io::Error {
    move |errno| io::Error::from_raw_os_error(step << 16 | errno as i32)
}

#[cfg(test)]
#[path = "../../../../tests/unit/supervisor/process/child.rs"]
mod tests;
