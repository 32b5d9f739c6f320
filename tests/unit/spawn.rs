//! What a child starts with.

use std::os::unix::fs::PermissionsExt as _;

use super::*;
use crate::supervisor::Exit;
use crate::supervisor::samples::{alone, app};

/// What a child says of itself.
async fn said(change: impl FnOnce(&mut Run), script: &str) -> String {
    let _alone = alone().await;
    let reaper = Reaper::start().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("said");
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
    let text = said(|_| {}, "exec ls -l /proc/self/fd").await;
    let descriptors: Vec<_> = text
        .lines()
        .filter_map(|line| line.split_once(" -> "))
        // The one that `ls` itself reads.
        .filter(|(_, what)| !what.starts_with("/proc/"))
        .map(|(number, what)| (number.rsplit(' ').next().unwrap(), what))
        .collect();
    let numbers: Vec<_> = descriptors.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, ["0", "1", "2"], "{text}");
    assert_eq!(descriptors[0].1, "/dev/null");
}

// What is looked at is looked at by itself: a shell blocks signals while it starts something.

#[tokio::test]
async fn a_child_has_no_signal_blocked_or_ignored() {
    let text = said(|_| {}, "exec grep -E 'Sig(Blk|Ign)' /proc/self/status").await;
    assert_eq!(text.lines().count(), 2);
    for line in text.lines() {
        let mask = u64::from_str_radix(line.split_whitespace().last().unwrap(), 16).unwrap();
        let of_libc = 3 << 31;
        assert_eq!(mask & !of_libc, 0, "{line}");
    }
}

#[tokio::test]
async fn a_child_leads_its_session_and_its_group() {
    let text = said(|_| {}, "exec cat /proc/self/stat").await;
    let words: Vec<_> = text.split(' ').collect();
    assert!(words[0] == words[4] && words[0] == words[5], "{text}");
}

#[tokio::test]
async fn limits_umask_and_folder_are_those_of_the_table() {
    let change = |run: &mut Run| {
        run.umask = Some(0o027);
        run.limits.nofile = Some(99);
        run.limits.core = Some(0);
        run.cwd = "/tmp".into();
        run.no_new_privs = true;
    };
    let script = "umask; ulimit -n; ulimit -Hn; ulimit -c; pwd; grep NoNewPrivs /proc/$$/status";
    assert_eq!(said(change, script).await, "0027\n99\n99\n0\n/tmp\nNoNewPrivs:\t1\n");
}

#[tokio::test]
async fn another_user_keeps_nothing_of_ours() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let change = |run: &mut Run| run.user = Some("nobody".into());
    let text = said(change, "id -u; id -G; echo $USER").await;
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    assert_eq!(text, format!("{}\n{}\nnobody\n", nobody.uid, nobody.gid));
}

#[tokio::test]
async fn each_failure_names_its_cause_and_the_code_of_a_shell() {
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
fn a_step_before_exec_is_told_apart_from_exec() {
    let of = |raw| explain("prog", &io::Error::from_raw_os_error(raw));
    assert_eq!(
        of(5 << 16 | 1).to_string().split(':').next(),
        Some("cannot change the user for it")
    );
    assert!(matches!(of(2), SpawnError::NoProgram { .. }));
    assert!(matches!(of(libc::EACCES), SpawnError::Exec { .. }));
    assert!(of(5 << 16 | 1).code().is_none() && of(libc::EAGAIN).code().is_none());
}
