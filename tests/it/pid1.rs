//! The appliance as PID 1 in its own PID namespace, as in a container. Needs root.

use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::harness::processes::{OwnChild, descendants, no_pid_namespace};
use crate::harness::{Appliance, eventually};

/// The appliance's pid outside its namespace: the child of `unshare`.
fn init_of(appliance: &Appliance) -> i32 {
    let children = format!("/proc/{0}/task/{0}/children", appliance.pid());
    std::fs::read_to_string(children).unwrap().split_whitespace().next().unwrap().parse().unwrap()
}

fn signal(appliance: &Appliance, signal: Signal) {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(init_of(appliance)), signal).unwrap();
}

/// The number of zombies and the number of all children of a process.
fn children(pid: i32) -> (usize, usize) {
    let all = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
        let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
        let state = fields.next()?.to_owned();
        (fields.next()? == pid.to_string()).then_some(state)
    });
    let states: Vec<_> = all.collect();
    (states.iter().filter(|state| *state == "Z").count(), states.len())
}

fn shell(name: &str, script: &str, more: &str) -> String {
    format!("[apps.{name}]\ncommand = [\"/bin/sh\", \"-c\", '''{script}''']\n{more}\n")
}

fn lines(appliance: &Appliance, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(appliance.path(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

#[tokio::test]
async fn orphans_are_reaped() {
    if no_pid_namespace("pid1::orphans_are_reaped") {
        return;
    }
    let breeder = "i=0; while [ $i -lt 400 ]; do (sleep 0.05 &) ; i=$((i+1)); done; echo bred; exec sleep 1000";
    let mut appliance = Appliance::start_as_pid1(&shell("breeder", breeder, ""));
    eventually("the orphans to be born", async || appliance.log().contains("bred").then_some(()))
        .await;
    let init = init_of(&appliance);
    eventually("all orphans to be reaped", async || (children(init) == (0, 1)).then_some(())).await;
    signal(&appliance, Signal::SIGTERM);
    assert_eq!(appliance.end().await, 0);
}

#[tokio::test]
async fn daemons_end_with_their_app() {
    if no_pid_namespace("pid1::daemons_end_with_their_app") {
        return;
    }
    let daemon = "(setsid sh -c 'echo $$ >>{DIR}/daemon; exec sleep 1000' &) ; exec sleep 1000";
    let mut appliance = Appliance::start_as_pid1(&shell("a", daemon, ""));
    appliance.wait_for_state("a", "ready").await;
    eventually("the daemon to run", async || {
        (lines(&appliance, "daemon").len() == 1).then_some(())
    })
    .await;
    let init = init_of(&appliance);
    eventually("two processes", async || (children(init) == (0, 2)).then_some(())).await;
    assert!(appliance.cli(&["stop", "a"]).status.success());
    assert_eq!(children(init), (0, 0));
    signal(&appliance, Signal::SIGTERM);
    assert_eq!(appliance.end().await, 0);
}

#[tokio::test]
async fn the_appliance_exits_with_the_code_of_a_failed_critical_app() {
    if no_pid_namespace("pid1::the_appliance_exits_with_the_code_of_a_failed_critical_app") {
        return;
    }
    for (script, code) in [("exit 3", 3), ("kill -SEGV $$", 139)] {
        let more = "restart = \"never\"\ncritical = true";
        let mut appliance = Appliance::start_as_pid1(&shell("fragile", script, more));
        assert_eq!(appliance.end().await, code, "{script}");
        let log = appliance.log();
        assert!(
            log.lines().any(|line| line.contains("fragile") && line.contains("critical")),
            "{log}"
        );
    }
}

#[tokio::test]
async fn apps_stop_in_reverse_order_of_their_dependencies() {
    if no_pid_namespace("pid1::apps_stop_in_reverse_order_of_their_dependencies") {
        return;
    }
    let script = |name: &str| {
        format!(
            "trap 'echo {name} >>{{DIR}}/ends; exit 0' TERM; echo up >{{DIR}}/{name}; while :; do sleep 0.05; done"
        )
    };
    let config = shell("db", &script("db"), "")
        + &shell("api", &script("api"), "after = [\"db\"]")
        + &shell("web", &script("web"), "after = [\"api\"]");
    let mut appliance = Appliance::start_as_pid1(&config);
    eventually("all to be up", async || {
        // `sh` sets its trap before it writes the file.
        ["db", "api", "web"].iter().all(|name| !lines(&appliance, name).is_empty()).then_some(())
    })
    .await;
    signal(&appliance, Signal::SIGTERM);
    assert_eq!(appliance.end().await, 0);
    assert_eq!(lines(&appliance, "ends"), ["web", "api", "db"]);
}

#[tokio::test]
async fn an_app_that_ignores_term_is_killed_with_its_group() {
    if no_pid_namespace("pid1::an_app_that_ignores_term_is_killed_with_its_group") {
        return;
    }
    let script =
        "trap '' TERM; (trap '' TERM; exec sleep 1000) & echo up; while :; do sleep 0.1; done";
    let mut appliance =
        Appliance::start_as_pid1(&shell("stubborn", script, "stop_timeout = \"500ms\""));
    eventually("the app to be up", async || appliance.log().contains("up").then_some(())).await;
    let asked = Instant::now();
    signal(&appliance, Signal::SIGTERM);
    assert_eq!(appliance.end().await, 0);
    let took = asked.elapsed();
    assert!(took > Duration::from_millis(400) && took < Duration::from_secs(4), "{took:?}");
}

#[tokio::test]
async fn a_term_during_the_start_exits_with_zero() {
    if no_pid_namespace("pid1::a_term_during_the_start_exits_with_zero") {
        return;
    }
    let config = shell("slow", "exec sleep 1000", "ready = { exec = [\"false\"] }")
        + &shell("later", "echo late >{DIR}/later", "after = [\"slow\"]");
    let mut appliance = Appliance::start_as_pid1(&config);
    appliance.wait_for_state("slow", "starting").await;
    signal(&appliance, Signal::SIGTERM);
    assert_eq!(appliance.end().await, 0);
    assert!(lines(&appliance, "later").is_empty(), "a dependent app was started");
}

#[tokio::test]
async fn an_unread_stdout_delays_neither_restarts_nor_the_stop() {
    if no_pid_namespace("pid1::an_unread_stdout_delays_neither_restarts_nor_the_stop") {
        return;
    }
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display();
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:{}\"\nstate_dir = \"{dir}/state\"\n[apps.loud]\ncommand = [\"yes\"]\n\
         [apps.quiet]\ncommand = [\"sleep\", \"1000\"]\nbackoff = {{ min = \"1ms\" }}\n",
        crate::harness::free_port()
    );
    std::fs::write(folder.path().join("appliance.toml"), config).unwrap();
    let mut command = std::process::Command::new("unshare");
    command
        .args(["--pid", "--fork", "--mount-proc", "--kill-child", env!("CARGO_BIN_EXE_appliance")])
        .current_dir(folder.path())
        .stdout(writer);
    let mut child = OwnChild::spawn(&mut command);
    // Otherwise this process keeps the other end of the pipe open.
    drop(command);
    let status = async || -> Option<serde_json::Value> {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_appliance"))
            .args(["status", "--json", "quiet"])
            .current_dir(folder.path())
            .output()
            .ok()?;
        let status: serde_json::Value = serde_json::from_slice(&output.stdout).ok()?;
        (status["apps"][0]["state"] == "ready").then(|| status["apps"][0].clone())
    };
    let first = eventually("quiet to be ready", status).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let pid = children_file(child.0.id())[0];
    let inner = i32::try_from(first["pid"].as_i64().unwrap()).unwrap();
    nsenter_kill(pid, inner);
    let second = eventually("quiet to be replaced", async || {
        status().await.filter(|app| app["pid"] != first["pid"])
    })
    .await;
    assert_eq!(second["last_exit"]["signal"], "KILL");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    let ended = eventually("the end", async || child.0.try_wait().unwrap()).await;
    assert_eq!((ended.code(), ended.signal()), (Some(0), None));
    drop(reader);
}

fn children_file(pid: u32) -> Vec<i32> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Sends KILL to a pid of the namespace of `init`.
fn nsenter_kill(init: i32, pid: i32) {
    let status = std::process::Command::new("nsenter")
        // The shell has a `kill` of its own; slim images have no such program.
        .args(["-t", &init.to_string(), "-p", "-m", "sh", "-c", &format!("kill -KILL {pid}")])
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn no_descendant_outlives_a_failed_test() {
    let script = "setsid sleep 1000 & sleep 1000 & wait";
    let child = OwnChild::spawn(std::process::Command::new("/bin/sh").args(["-c", script]));
    let pid = child.0.id().cast_signed();
    let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
    while descendants(pid).len() < 2 {
        assert!(std::time::Instant::now() < until, "the script starts two processes");
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let there = descendants(pid);
    drop(child);
    for pid in there {
        let stat = || std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        while stat().rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X'])) {
            assert!(std::time::Instant::now() < until, "{pid} lives");
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }
}
