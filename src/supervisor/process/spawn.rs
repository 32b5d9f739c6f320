//! Spawns a child process. The only file with `unsafe`.
//!
//! A child leads its own session and process group. Its stdin is `/dev/null`; it has the
//! descriptors 0–2 and no others, except the one that `NOTIFY_FD` names. No signal is blocked or
//! ignored. The child gets the user, the limits and the umask of its app. If the appliance is
//! killed, the kernel sends the child a signal: where the appliance is not PID 1, nothing else
//! would end the child. Between fork and exec, the code allocates nothing, takes no lock, and
//! neither logs nor looks anything up.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::errno::Errno;
use nix::libc;
use nix::sys::prctl;
use nix::sys::resource::{Resource, rlim_t, setrlimit};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};
use nix::unistd::{Pid, geteuid, getpid, getppid, setgid, setgroups, setsid, setuid};

use super::own_process::open_files_at_start;
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

/// Spawns the process with these outputs.
pub(crate) fn spawn(
    reaper: &Reaper,
    spec: &Spec<'_>,
    stdout: Stdio,
    stderr: Stdio,
) -> Result<Process, SpawnError> {
    let (program, args) = spec.command.split_first().ok_or(SpawnError::Empty)?;
    // Checked before the fork, because exec and chdir fail with the same error number.
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
    let mut setup = ChildSetup::of(spec).map_err(SpawnError::StateGuard)?;
    before_exec(&mut command, move || setup.apply());
    reaper.spawn(&mut command, Some(spec.mark.clone())).map_err(|error| explain(program, &error))
}

/// Makes the child call `apply` between fork and exec. It must only make system calls on values that
/// were prepared before the fork: no allocation, no lock.
pub(super) fn before_exec(
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

/// Forks a child that calls `apply`, which has to fail, and returns the error number of it.
pub(super) fn try_before_exec(
    reaper: &Reaper,
    command: &mut Command,
    mut apply: impl FnMut() -> nix::Result<()> + Send + Sync + 'static,
) -> Option<i32> {
    before_exec(command, move || apply().map_err(io::Error::from));
    reaper.spawn(command, None).err()?.raw_os_error()
}

fn check_folder(path: &Path) -> io::Result<()> {
    if std::fs::metadata(path)?.is_dir() {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::ENOTDIR))
    }
}

/// The steps between fork and exec. The index of a failed step reaches the parent in the upper half
/// of the error number, because `std` passes on nothing else.
const STEPS: [&str; 9] = [
    "run the program",
    "create a session",
    "reset the signals",
    "close the file descriptors",
    "set the resource limits",
    "change the user",
    "set no_new_privs",
    "set the parent-death signal",
    "hide the appliance's secrets",
];

fn explain(program: &str, error: &io::Error) -> SpawnError {
    let Some(raw) = error.raw_os_error() else {
        // The error occurred before the kernel was called.
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

/// The settings that the child applies between fork and exec, all prepared before the fork.
struct ChildSetup {
    umask: Option<Mode>,
    limits: [Option<(Resource, rlim_t, rlim_t)>; 5],
    tag: Option<Tag>,
    account: Option<Account>,
    no_new_privs: bool,
    state_guard: Option<StateGuard>,
    /// Number of the inherited descriptor in the appliance and in the child.
    notify: Option<(RawFd, RawFd)>,
    /// The appliance.
    parent: Pid,
    parent_death_signal: Signal,
}

fn warn_of_open_setup(spec: &Spec<'_>, means: Means) {
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
    fn of(spec: &Spec<'_>) -> io::Result<Self> {
        let own_user = spec.account.as_ref().is_none_or(|account| account.uid == geteuid());
        let is_given = |path: &Path| spec.names(path);
        let hidden = Hidden { cwd: spec.cwd, creates: &spec.creates, is_given: &is_given };
        let state_guard = if own_user { StateGuard::prepare(&hidden)? } else { None };
        if own_user && let Some(means) = StateGuard::is_incomplete(&hidden) {
            warn_of_open_setup(spec, means);
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

    fn apply(&mut self) -> io::Result<()> {
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
        if let Some(tag) = self.tag {
            tag.apply();
        }
        if let Some(account) = &self.account {
            // In this order: without root, neither groups nor group can be changed.
            setgroups(&account.groups).map_err(at(5))?;
            setgid(account.gid).map_err(at(5))?;
            setuid(account.uid).map_err(at(5))?;
        }
        if let Some(guard) = &mut self.state_guard {
            guard.apply().map_err(at(8))?;
        }
        if self.no_new_privs {
            prctl::set_no_new_privs().map_err(at(6))?;
        }
        // Last, because a change of the user clears it. The kernel also sends the signal when the
        // thread that forked ends; that is the main thread.
        prctl::set_pdeathsig(self.parent_death_signal).map_err(at(7))?;
        if getppid() == self.parent { Ok(()) } else { Err(at(7)(Errno::ESRCH)) }
    }
}

/// Restores the default of every signal and blocks none, whatever the appliance or its parent
/// process had set.
fn reset_signals() -> nix::Result<()> {
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

/// Marks all descriptors above 2 but `inherited` as close-on-exec, including those that the
/// appliance inherited itself.
fn close_on_exec(inherited: Option<(RawFd, RawFd)>) -> nix::Result<()> {
    // SAFETY: sets flags and closes nothing: descriptors that `std` still needs stay open until
    // exec.
    #[expect(unsafe_code, reason = "nix has no close_range")]
    let flagged =
        unsafe { libc::syscall(libc::SYS_close_range, 3_u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if flagged != 0 {
        // A kernel before 5.11, or a container that forbids the call.
        for descriptor in 3..1024 {
            flag(descriptor, libc::FD_CLOEXEC);
        }
    }
    match inherited {
        None => Ok(()),
        Some((here, there)) if here == there => Errno::result(flag(here, 0)).map(drop),
        // SAFETY: replaces a descriptor of the child that exec would close, see `inherit`.
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

fn flags(descriptor: RawFd) -> i32 {
    // SAFETY: reads the flags of a descriptor number; a number without a descriptor is refused.
    #[expect(unsafe_code, reason = "the wrappers want an open descriptor")]
    unsafe {
        libc::fcntl(descriptor, libc::F_GETFD)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::Run;
    use crate::supervisor::exit::Exit;
    use crate::supervisor::sample_apps::{alone, app};

    /// Output of a child that runs a script.
    async fn output_of(change: impl FnOnce(&mut Run), script: &str) -> String {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("output");
        let mut app = app("a", &["/bin/sh", "-c", script]);
        let run = app.run.as_mut().unwrap();
        change(run);
        let run = app.run.as_ref().unwrap();
        let spec = Spec::of(&app, run, folder.path()).unwrap();
        let output = std::fs::File::create(&file).unwrap();
        let mut process = spawn(&reaper, &spec, output.into(), Stdio::null()).unwrap();
        assert_eq!((&mut process.ended).await.unwrap().exit, Exit::Code(0));
        std::fs::read_to_string(file).unwrap()
    }

    #[tokio::test]
    async fn a_child_has_three_descriptors_and_nothing_as_its_input() {
        let inherited = std::fs::File::open("/dev/null").unwrap();
        nix::fcntl::fcntl(&inherited, nix::fcntl::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
        let text = output_of(|_| {}, "exec ls -l /proc/self/fd").await;
        let descriptors: Vec<_> = text
            .lines()
            .filter_map(|line| line.split_once(" -> "))
            // Without the descriptor that `ls` itself reads.
            .filter(|(_, what)| !what.starts_with("/proc/"))
            .map(|(number, what)| (number.rsplit(' ').next().unwrap(), what))
            .collect();
        let numbers: Vec<_> = descriptors.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, ["0", "1", "2"], "{text}");
        assert_eq!(descriptors[0].1, "/dev/null");
    }

    // `exec`, because a shell blocks signals while it starts a program.

    #[tokio::test]
    async fn a_child_has_no_signal_blocked_or_ignored() {
        let text = output_of(|_| {}, "exec grep -E 'Sig(Blk|Ign)' /proc/self/status").await;
        assert_eq!(text.lines().count(), 2);
        for line in text.lines() {
            let mask = u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap();
            let of_libc = 3 << 31;
            assert_eq!(mask & !of_libc, 0, "{line}");
        }
    }

    #[tokio::test]
    async fn a_child_leads_its_session_and_its_group() {
        let text = output_of(|_| {}, "exec cat /proc/self/stat").await;
        let words: Vec<_> = text.split(' ').collect();
        assert!(words[0] == words[4] && words[0] == words[5], "{text}");
    }

    #[tokio::test]
    async fn limits_umask_and_working_directory_are_applied() {
        let change = |run: &mut Run| {
            run.umask = Some(0o027);
            run.limits.nofile = Some(99);
            run.limits.core = Some(0);
            run.cwd = "/tmp".into();
            run.no_new_privs = true;
        };
        let script =
            "umask; ulimit -n; ulimit -Hn; ulimit -c; pwd; grep NoNewPrivs /proc/$$/status";
        assert_eq!(output_of(change, script).await, "0027\n99\n99\n0\n/tmp\nNoNewPrivs:\t1\n");
    }

    #[tokio::test]
    async fn another_user_keeps_no_group_of_the_appliance() {
        if !nix::unistd::Uid::effective().is_root() {
            return;
        }
        let change = |run: &mut Run| run.user = Some("nobody".into());
        let text = output_of(change, "id -u; id -G; echo $USER").await;
        let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
        assert_eq!(text, format!("{}\n{}\nnobody\n", nobody.uid, nobody.gid));
    }

    #[tokio::test]
    async fn each_failure_names_its_cause_and_has_the_code_of_a_shell() {
        let _alone = alone().await;
        let reaper = Reaper::start().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "no program").unwrap();
        let file = file.to_str().unwrap();
        let script = folder.path().join("script");
        std::fs::write(&script, "#!/bin/sh\r\n").unwrap();
        std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
        let script = script.to_str().unwrap();
        for (command, cwd, code, says) in [
            ("/nowhere/program", "/", Some(127), "/nowhere/program: No such file"),
            ("no-such-program", "/", Some(127), "no-such-program: No such file"),
            (script, "/", Some(127), "names an interpreter that is not there"),
            (file, "/", Some(126), "Permission denied"),
            ("/etc", "/", Some(126), "/etc: Permission denied"),
            ("true", "/nowhere/folder", None, "/nowhere/folder cannot be used: No such file"),
            ("true", file, None, "Not a directory"),
        ] {
            let mut app = app("a", &[command]);
            app.run.as_mut().unwrap().cwd = cwd.into();
            let spec = Spec::of(&app, app.run.as_ref().unwrap(), folder.path()).unwrap();
            let error = spawn(&reaper, &spec, Stdio::null(), Stdio::null()).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(says), "{error}");
        }
    }

    #[test]
    fn a_failed_step_before_exec_differs_from_a_failed_exec() {
        let of = |raw| explain("prog", &io::Error::from_raw_os_error(raw));
        assert_eq!(
            of(5 << 16 | 1).to_string().split(':').next(),
            Some("cannot change the user for the process")
        );
        assert!(matches!(of(2), SpawnError::NoProgram { .. }));
        assert!(matches!(of(libc::EACCES), SpawnError::Exec { .. }));
        assert!(of(5 << 16 | 1).code().is_none() && of(libc::EAGAIN).code().is_none());
    }
}
