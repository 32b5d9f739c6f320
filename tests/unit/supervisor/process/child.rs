//! Properties of a child process, and the failures of a start.

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;

use nix::libc;

use super::*;
use crate::config::Run;
use crate::not_run::not_run;
use crate::one_process::alone;
use crate::supervisor::exit::Exit;
use crate::supervisor::sample_apps::app;

fn files(reaper: &Reaper) -> Files {
    Files::new(reaper, &crate::threads::Turn::default())
}

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
    let forked = prepare(spec).unwrap().fork(&reaper, output.into(), Stdio::null()).unwrap();
    let mut process = forked.running(&files(&reaper)).await.unwrap();
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
    let script = "umask; ulimit -n; ulimit -Hn; ulimit -c; pwd; grep NoNewPrivs /proc/$$/status";
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
async fn a_link_to_a_folder_that_the_user_cannot_enter_is_no_working_directory() {
    if !geteuid().is_root() {
        return;
    }
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let (closed, own) = (folder.path().join("closed"), folder.path().join("own"));
    std::fs::create_dir_all(closed.join("project")).unwrap();
    std::fs::create_dir(&own).unwrap();
    for (path, mode) in [(folder.path(), 0o755), (&closed, 0o700), (&own, 0o755)] {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    std::os::unix::fs::symlink(closed.join("project"), folder.path().join("bad")).unwrap();
    std::os::unix::fs::symlink(&own, folder.path().join("good")).unwrap();
    for (cwd, enters) in [("bad", false), ("closed/project", false), ("good", true)] {
        let mut app = app("a", &["true"]);
        let run = app.run.as_mut().unwrap();
        run.user = Some("nobody".into());
        run.cwd = folder.path().join(cwd);
        let spec = Spec::of(&app, app.run.as_ref().unwrap(), folder.path()).unwrap();
        let forked = prepare(spec).unwrap().fork(&reaper, Stdio::null(), Stdio::null()).unwrap();
        match forked.running(&files(&reaper)).await {
            Ok(mut process) => {
                assert!(enters, "{cwd}");
                assert_eq!((&mut process.ended).await.unwrap().exit, Exit::Code(0));
            }
            Err(error) => {
                let says = format!("{cwd} cannot be used: Permission denied");
                assert!(!enters && error.to_string().contains(&says), "{error}");
            }
        }
    }
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
        let error = match prepare(spec).unwrap().fork(&reaper, Stdio::null(), Stdio::null()) {
            Ok(forked) => forked.running(&files(&reaper)).await.unwrap_err(),
            Err(error) => error,
        };
        assert_eq!(error.code(), code, "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
}

#[tokio::test]
async fn a_child_has_no_capability_that_a_program_does_not_ask_for() {
    let text = output_of(|_| {}, "exec cat /proc/self/status").await;
    for set in ["CapInh", "CapAmb"] {
        let line = text.lines().find(|line| line.starts_with(set)).unwrap();
        let value = line.split_whitespace().last().unwrap();
        assert_eq!(u64::from_str_radix(value, 16).unwrap(), 0, "{line}");
    }
}

/// A process that has a lease on a file: nobody else can begin to read or to run the file for 45 s.
async fn lease_of(reaper: &Reaper, file: &Path) -> Process {
    let script = "import fcntl,os,signal,sys,time; signal.signal(signal.SIGIO, signal.SIG_IGN); \
                  f=os.open(sys.argv[1], os.O_RDONLY); \
                  fcntl.fcntl(f, fcntl.F_SETLEASE, fcntl.F_WRLCK); \
                  open(sys.argv[1] + '.leased', 'w').close(); time.sleep(100)";
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(file).process_group(0);
    let holder = reaper.spawn(&mut command, None).unwrap();
    let leased = format!("{}.leased", file.display());
    while !Path::new(&leased).exists() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    holder
}

#[tokio::test]
async fn a_program_that_cannot_begin_keeps_only_itself_waiting() {
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let of = |command: &[&str]| {
        let app = app("a", command);
        Spec::of(&app, app.run.as_ref().unwrap(), folder.path()).unwrap()
    };
    let (script, binary) = (folder.path().join("script"), folder.path().join("binary"));
    std::fs::write(&script, "#!/bin/sh\nexit 0\n").unwrap();
    std::fs::copy("/bin/true", &binary).unwrap();
    // Also a script that another interpreter than the kernel's reads.
    let plain = folder.path().join("plain");
    std::fs::write(&plain, "exit 0\n").unwrap();
    for file in [&script, &binary, &plain] {
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o755)).unwrap();
        let name = file.to_str().unwrap();
        let holder = lease_of(&reaper, file).await;
        let late =
            prepare(of(&[name])).unwrap().fork(&reaper, Stdio::null(), Stdio::null()).unwrap();
        let pid = late.process.pid;
        let own = files(&reaper);
        let mut late = Box::pin(late.running(&own));
        // Neither the caller nor the reaper waits.
        assert!(futures_util::poll!(&mut late).is_pending(), "{name}");
        let other =
            prepare(of(&["true"])).unwrap().fork(&reaper, Stdio::null(), Stdio::null()).unwrap();
        let mut other = other.running(&files(&reaper)).await.unwrap();
        assert_eq!((&mut other.ended).await.unwrap().exit, Exit::Code(0));
        assert!(futures_util::poll!(&mut late).is_pending(), "{name}");
        drop(late);
        while crate::supervisor::process::procfs::see(pid.as_raw()).is_some() {
            let _ =
                tokio::time::timeout(std::time::Duration::from_millis(20), reaper.reaped()).await;
        }
        // Without the lease, the program runs.
        drop(holder);
        let free =
            prepare(of(&[name])).unwrap().fork(&reaper, Stdio::null(), Stdio::null()).unwrap();
        let mut free = free.running(&files(&reaper)).await.unwrap();
        assert_eq!((&mut free.ended).await.unwrap().exit, Exit::Code(0), "{name}");
    }
}

/// A disk that never answers: a FUSE mount whose server does not even greet.
struct DeadDisk {
    folder: tempfile::TempDir,
    server: Option<std::fs::File>,
}

impl DeadDisk {
    /// `None` where the test may not mount.
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let server = std::fs::File::options().read(true).write(true).open("/dev/fuse").ok()?;
        let options =
            format!("fd={},rootmode=40755,user_id=0,group_id=0,allow_other", server.as_raw_fd());
        let (name, kind) = (Some("dead"), Some("fuse"));
        let flags = nix::mount::MsFlags::empty();
        nix::mount::mount(name, folder.path(), kind, flags, Some(options.as_str())).ok()?;
        Some(Self { folder, server: Some(server) })
    }
}

impl Drop for DeadDisk {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(self.folder.path(), nix::mount::MntFlags::MNT_DETACH);
        // The kernel fails all that waits for the server.
        self.server = None;
    }
}

#[tokio::test]
async fn a_working_directory_that_does_not_answer_keeps_only_its_process_waiting() {
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    let Some(disk) = DeadDisk::mount() else {
        let test = "a_working_directory_that_does_not_answer_keeps_only_its_process_waiting";
        return not_run(
            test,
            "FUSE cannot be mounted; needs root, in a container CAP_SYS_ADMIN and /dev/fuse",
        );
    };
    let of = |cwd: &Path| {
        let mut app = app("a", &["true"]);
        app.run.as_mut().unwrap().cwd = cwd.into();
        let child = prepare(Spec::of(&app, app.run.as_ref().unwrap(), cwd).unwrap()).unwrap();
        child.fork(&reaper, Stdio::null(), Stdio::null()).unwrap()
    };
    let hung = of(disk.folder.path());
    let own = files(&reaper);
    let pid = hung.process.pid;
    let mut hung = Box::pin(hung.running(&own));
    assert!(futures_util::poll!(&mut hung).is_pending());
    let mut other = of(Path::new("/")).running(&own).await.unwrap();
    assert_eq!((&mut other.ended).await.unwrap().exit, Exit::Code(0));
    assert!(futures_util::poll!(&mut hung).is_pending());
    drop(disk);
    let error = hung.await.unwrap_err();
    assert!(matches!(error, SpawnError::Cwd { .. }), "{error}");
    while crate::supervisor::process::procfs::see(pid.as_raw()).is_some() {
        let _ = tokio::time::timeout(std::time::Duration::from_millis(20), reaper.reaped()).await;
    }
}

#[tokio::test]
async fn a_program_is_found_as_a_shell_finds_it() {
    let folder = tempfile::tempdir().unwrap();
    let tool = folder.path().join("own-tool");
    std::fs::write(&tool, "#!/bin/sh\necho own $1\n").unwrap();
    std::fs::set_permissions(&tool, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("/nowhere:{}:/usr/bin:/bin", folder.path().display());
    let change = |run: &mut Run| {
        run.env.push(("PATH".into(), crate::config::EnvValue::Plain(path)));
        run.command = ["own-tool", "x y"].map(str::to_owned).to_vec();
    };
    assert_eq!(output_of(change, "").await, "own x y\n");
}

#[test]
fn a_failed_step_before_exec_differs_from_a_failed_exec() {
    let of = |raw| explain("prog", Path::new("/cwd"), io::Error::from_raw_os_error(raw));
    assert_eq!(
        of(5 << 16 | 1).to_string().split(':').next(),
        Some("cannot change the user for the process")
    );
    assert!(matches!(of(2), SpawnError::NoProgram { .. }));
    assert!(matches!(of(libc::EACCES), SpawnError::Exec { .. }));
    assert!(of(5 << 16 | 1).code().is_none() && of(libc::EAGAIN).code().is_none());
}
