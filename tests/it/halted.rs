//! An app that stops (SIGSTOP) every new process of its user, before the process runs its program. The
//! appliance and the other apps must not wait for such a process.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::processes::{no_pid_namespace, not_run};
use crate::harness::{Appliance, eventually};

/// Stops the processes with the next numbers, as fast as it can.
const STOPS_NEXT: &str = r#"
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(void) {
  char text[128];
  int own = getpid(), loads = open("/proc/loadavg", O_RDONLY);
  printf("user %d.\n", getuid()); fflush(stdout);
  for (;;) {
    ssize_t length = pread(loads, text, sizeof text - 1, 0);
    text[length > 0 ? length : 0] = 0;
    char *word = strrchr(text, ' ');
    int last = word ? atoi(word + 1) : 0;
    for (int round = 0; round < 40; round++)
      for (int next = last; next < last + 7; next++)
        if (next > 1 && next != own) kill(next, SIGSTOP);
  }
}
"#;

/// A chain of processes that each fork the next one and end, and that stop all others of their user.
const STOPS_ALL: &str = r#"
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
int main(void) {
  printf("user %d.\n", getuid()); fflush(stdout);
  if (fork() == 0) {
    setsid();
    signal(SIGTERM, SIG_IGN);
    for (;;) {
      if (fork() > 0) _exit(0);
      for (int round = 0; round < 15; round++) kill(-1, SIGSTOP);
    }
  }
  for (;;) pause();
}
"#;

const GOOD: &str = "[apps.good]\ncommand = [\"sleep\", \"1000\"]\ncwd = \"/\"\n";

fn build(folder: &Path, source: &str) -> PathBuf {
    let program = folder.join("hostile");
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-x", "c", "-", "-o"]).arg(&program).stdin(Stdio::piped());
    let mut compiler = compiler.spawn().unwrap();
    compiler.stdin.take().unwrap().write_all(source.as_bytes()).unwrap();
    assert!(compiler.wait().unwrap().success());
    program
}

/// The name of the app decides its user: the tests run at the same time, and have users of their own.
fn hostile(name: &str, more: &str) -> String {
    format!(
        "users = \"per-app\"\n[apps.{name}]\ncommand = [\"{{DIR}}/hostile\"]\ncwd = \"/\"\n{more}\n{GOOD}"
    )
}

/// The user that the app says it has.
async fn user_of(appliance: &Appliance) -> String {
    eventually("the app", async || {
        let log = appliance.log();
        Some(log.split_once("| user ")?.1.split_once('.')?.0.to_owned())
    })
    .await
}

/// Whether a child of the appliance with this user is stopped and still runs the appliance's program.
fn has_stopped_child(appliance: &Appliance, user: &str) -> bool {
    let parent = format!("\nPPid:\t{}\n", appliance.pid());
    let user = format!("\nUid:\t{user}\t");
    let all = std::fs::read_dir("/proc").unwrap().flatten();
    let mut statuses = all.filter_map(|at| std::fs::read_to_string(at.path().join("status")).ok());
    statuses.any(|status| {
        status.starts_with("Name:\tappliance\n")
            && status.contains("\nState:\tT")
            && status.contains(&parent)
            && status.contains(&user)
    })
}

#[tokio::test]
async fn a_process_that_its_app_stops_keeps_only_the_app_waiting() {
    if !nix::unistd::geteuid().is_root() {
        let test = "halted::a_process_that_its_app_stops_keeps_only_the_app_waiting";
        return not_run(test, "only root can give apps users of their own");
    }
    let probe = "ready = { exec = [\"/bin/true\"], interval = \"200ms\" }";
    let prepare = |folder: &Path| {
        build(folder, STOPS_NEXT);
    };
    let mut appliance = Appliance::start_in(prepare, &hostile("stops-next", probe));
    let user = user_of(&appliance).await;
    for round in 0..3 {
        let stopped = || has_stopped_child(&appliance, &user);
        eventually("a stopped child", async || stopped().then_some(())).await;
        let health = appliance.cli(&["healthcheck"]);
        assert!(health.status.success(), "{round}: {health:?}");
        let restart = appliance.cli(&["restart", "good"]);
        assert!(restart.status.success(), "{round}: {restart:?}");
        appliance.wait_for_state("good", "ready").await;
    }
    assert_eq!(appliance.stop().await, 0);
    assert!(!has_stopped_child(&appliance, &user));
}

#[tokio::test]
async fn a_chain_of_processes_that_stops_all_others_ends_with_its_app() {
    if no_pid_namespace("halted::a_chain_of_processes_that_stops_all_others_ends_with_its_app") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).unwrap();
    let program = build(folder.path(), STOPS_ALL);
    let app = hostile("stops-all", "stop_timeout = \"300ms\"");
    let app = app.replace("{DIR}/hostile", &program.display().to_string());
    let appliance = Appliance::start_as_pid1(&app);
    user_of(&appliance).await;
    for round in 0..5 {
        appliance.wait_for_state("stops-all", "ready").await;
        let stop = appliance.cli(&["stop", "stops-all"]);
        assert!(stop.status.success(), "{round}: {stop:?}");
        let health = appliance.cli(&["healthcheck"]);
        assert!(health.status.success(), "{round}: {health:?}");
        assert!(appliance.cli(&["start", "stops-all"]).status.success());
    }
}
