//! The life of apps under the built binary, with real processes, signals and pipes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{Appliance, eventually};

fn shell(name: &str, script: &str, more: &str) -> String {
    format!("[apps.{name}]\ncommand = [\"/bin/sh\", \"-c\", '''{script}''']\n{more}\n")
}

fn lines(appliance: &Appliance, name: &str) -> Vec<String> {
    let text = std::fs::read_to_string(appliance.path(name)).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn signal(pid: i32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid), signal);
}

/// The lines that an app printed, read from the text log.
fn said(appliance: &Appliance, app: &str) -> Vec<String> {
    let log = appliance.log();
    let of_app = |line: &str| {
        let (head, text) = line.split_once("| ")?;
        (head.split_whitespace().nth(1)? == app).then(|| text.to_owned())
    };
    log.lines().filter_map(of_app).collect()
}

#[tokio::test]
async fn the_last_lines_of_an_app_are_not_lost() {
    // Without stderr: the shell reports there that its `sleep` was terminated, too.
    let script = "exec 2>/dev/null; trap 'i=0; while [ $i -lt 3000 ]; do echo farewell $i; i=$((i+1)); done; printf last; exit 0' TERM; \
                  echo up; while :; do sleep 0.05; done";
    let mut appliance = Appliance::start(&shell("a", script, ""));
    eventually("the app to be up", async || said(&appliance, "a").first().cloned()).await;
    assert_eq!(appliance.stop().await, 0);
    let mut expected: Vec<_> = (0..3000).map(|i| format!("farewell {i}")).collect();
    expected.insert(0, "up".into());
    expected.push("last".into());
    assert_eq!(said(&appliance, "a"), expected);
}

#[tokio::test]
async fn a_second_signal_stops_the_appliance_at_once() {
    let script = "trap 'echo asked >>{DIR}/asked' TERM; echo up; while :; do sleep 0.05; done";
    let mut appliance = Appliance::start(&shell("a", script, "stop_timeout = \"60s\""));
    eventually("the app to be up", async || said(&appliance, "a").first().cloned()).await;
    appliance.signal(Signal::SIGTERM);
    eventually("the app to get the signal", async || lines(&appliance, "asked").first().cloned())
        .await;
    let again = Instant::now();
    assert_eq!(appliance.stop().await, 0);
    assert!(again.elapsed() < Duration::from_secs(2), "{:?}", again.elapsed());
}

#[tokio::test]
async fn a_signal_during_a_stop_after_a_failure_counts_as_the_first_signal() {
    let patient = "trap 'echo asked >>{DIR}/asked; sleep 1; echo done >>{DIR}/asked; exit 0' TERM; echo up; while :; do sleep 0.05; done";
    let brief = "until [ -e {DIR}/go ]; do sleep 0.05; done; exit 3";
    let apps = shell("a", patient, "") + &shell("b", brief, "critical = true\nrestart = \"never\"");
    let mut appliance = Appliance::start(&apps);
    eventually("the app to be up", async || said(&appliance, "a").first().cloned()).await;
    std::fs::write(appliance.path("go"), "").unwrap();
    eventually("the app to get the signal", async || lines(&appliance, "asked").first().cloned())
        .await;
    assert_eq!(appliance.stop().await, 3);
    assert_eq!(lines(&appliance, "asked"), ["asked", "done"], "the stop was cut short");
}

#[tokio::test]
async fn a_freeze_of_the_appliance_is_not_a_failure_of_an_app() {
    let script =
        "echo $$ >>{DIR}/pids; until [ -e {DIR}/go ]; do sleep 0.05; done; exec sleep 1000";
    let probe =
        "{ exec = [\"test\", \"-e\", \"{DIR}/go\"], interval = \"100ms\", timeout = \"500ms\"";
    let more = format!("ready = {probe}, deadline = \"3s\" }}\nlive = {probe} }}");
    let mut appliance = Appliance::start(&shell("a", script, &more));
    let first =
        eventually("the start of the app", async || lines(&appliance, "pids").first().cloned())
            .await;
    let app = first.parse().unwrap();
    for _ in 0..2 {
        signal(app, Signal::SIGSTOP);
        appliance.signal(Signal::SIGSTOP);
        tokio::time::sleep(Duration::from_secs(4)).await;
        appliance.signal(Signal::SIGCONT);
        signal(app, Signal::SIGCONT);
        std::fs::write(appliance.path("go"), "").unwrap();
        appliance.wait_for_state("a", "ready").await;
    }
    assert_eq!(lines(&appliance, "pids"), [first], "the app was restarted");
    assert_eq!(appliance.stop().await, 0);
}

#[tokio::test]
async fn after_many_kills_exactly_one_process_group_is_alive() {
    let script = "sleep 1000 & echo $$ >>{DIR}/pids; echo $! >>{DIR}/members; wait";
    let more = "backoff = { min = \"1ms\", max = \"1ms\" }\nmax_restarts = 100000";
    let mut appliance = Appliance::start(&shell("a", script, more));
    let mut killed = BTreeSet::new();
    let until = Instant::now() + Duration::from_secs(3);
    while Instant::now() < until {
        if let Some(pid) = lines(&appliance, "pids").last().and_then(|pid| pid.parse().ok())
            && killed.insert(pid)
        {
            signal(pid, Signal::SIGKILL);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(killed.len() > 20, "{}", killed.len());
    let alive = |pid: &&String| std::path::Path::new(&format!("/proc/{pid}")).exists();
    let living = |file| lines(&appliance, file).iter().filter(alive).count();
    // The last killed process must be reaped, and its replacement must write its pid.
    eventually("one leader and one member to live", async || {
        (living("pids") == 1 && living("members") == 1).then_some(())
    })
    .await;
    assert_eq!(appliance.stop().await, 0);
    assert_eq!(lines(&appliance, "members").iter().filter(alive).count(), 0);
}

#[tokio::test]
async fn an_app_with_its_own_user_can_open_dev_stdout() {
    if !nix::unistd::Uid::effective().is_root() {
        return;
    }
    let script = "echo by path >/dev/stdout; id -un; id -gn; exec sleep 1000";
    let mut appliance = Appliance::start(&shell("a", script, "user = \"nobody\"\ncwd = \"/\""));
    eventually("the lines of the app", async || (said(&appliance, "a").len() == 3).then_some(()))
        .await;
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let group = nix::unistd::Group::from_gid(nobody.gid).unwrap().unwrap().name;
    assert_eq!(said(&appliance, "a"), ["by path".to_owned(), "nobody".to_owned(), group]);
    assert_eq!(appliance.stop().await, 0);
}

#[tokio::test]
async fn every_line_of_a_json_log_is_an_object() {
    let script = "printf '{\"app\":\"appliance\",\"level\":\"info\"}\\nlone\\rcarriage\\n\\377\\376\\n{\"broken\": \\n'; \
                  head -c 200000 /dev/zero | tr '\\0' Q; echo; printf 'no end'";
    let config = format!("[log]\nformat = \"json\"\n{}", shell("a", script, "restart = \"never\""));
    let mut appliance = Appliance::start(&config);
    appliance.wait_for_state("a", "stopped").await;
    assert_eq!(appliance.stop().await, 0);
    let rows: Vec<serde_json::Value> =
        appliance.log().lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    let (own, theirs): (Vec<_>, Vec<_>) =
        rows.iter().partition(|row| row["stream"] == serde_json::Value::Null);
    assert!(own.iter().all(|row| row["app"] == "appliance" && row["level"].is_string()));
    assert!(theirs.iter().all(|row| row["app"] == "a" && row["stream"] == "stdout"));
    assert_eq!(theirs[0]["data"]["app"], "appliance");
    let texts: Vec<_> = theirs.iter().filter_map(|row| row["msg"].as_str()).collect();
    assert_eq!(texts[1..4], ["lone\rcarriage", "\u{fffd}\u{fffd}", "{\"broken\": "]);
    assert_eq!(texts.iter().map(|text| text.matches('Q').count()).sum::<usize>(), 200_000);
    assert_eq!(*texts.last().unwrap(), "no end");
    assert_eq!(theirs.iter().filter(|row| row["partial"] == true).count(), 3);
}

#[tokio::test]
async fn a_failed_setup_is_logged_with_its_reason() {
    let setup = "setup = { run = [\"/bin/sh\", \"-c\", \"echo no network >&2; exit 4\"], creates = \"{DIR}/made\" }";
    let other = shell("b", "sleep 1000", "");
    let config = shell("a", "echo ran >{DIR}/ran", setup) + "\n" + &other;
    let mut appliance = Appliance::start(&config);
    appliance.wait_for_state("a", "failed").await;
    appliance.wait_for_state("b", "ready").await;
    assert_eq!(appliance.stop().await, 0);
    assert!(!appliance.path("ran").exists());
    let log = appliance.log();
    let says =
        |line: &str| ["setup of a failed", "exit 4", "no network"].iter().all(|w| line.contains(w));
    assert!(log.lines().any(says), "{log}");
}

/// `appliance start` runs a failed setup again, and what depends on the app waits for it.
#[tokio::test]
async fn start_runs_a_failed_setup_again_and_a_dependent_waits_for_it() {
    let script = "echo try >>{DIR}/tries; [ -e {DIR}/network ] && touch {DIR}/made";
    let setup = format!(
        "setup = {{ run = [\"/bin/sh\", \"-c\", '''{script}'''], creates = \"{{DIR}}/made\" }}"
    );
    let config = [
        shell("a", "exec sleep 1000", &setup),
        shell("b", "echo b >>{DIR}/order; exec sleep 1000", "after = [\"a\"]"),
    ];
    let mut appliance = Appliance::start(&config.concat());
    appliance.wait_for_state("a", "failed").await;
    assert_eq!(appliance.app("b").unwrap()["state"], "waiting");
    assert_eq!(appliance.cli(&["start", "a"]).status.code(), Some(1));
    assert_eq!(lines(&appliance, "tries").len(), 2);
    std::fs::write(appliance.path("network"), "").unwrap();
    assert!(appliance.cli(&["start", "a"]).status.success());
    appliance.wait_for_state("b", "ready").await;
    assert_eq!((lines(&appliance, "tries").len(), lines(&appliance, "order").len()), (3, 1));
    // The setup is done: a restart does not run it again.
    assert!(appliance.cli(&["restart", "a"]).status.success());
    assert_eq!(lines(&appliance, "tries").len(), 3);
    assert_eq!(appliance.stop().await, 0);
}

#[tokio::test]
async fn the_failed_setup_of_a_critical_app_ends_the_appliance() {
    let setup = "setup = { run = [\"/bin/sh\", \"-c\", \"exit 4\"], creates = \"{DIR}/made\" }\ncritical = true";
    let mut appliance = Appliance::start(&shell("a", "echo ran >{DIR}/ran", setup));
    assert_ne!(appliance.end().await, 0);
    assert!(!appliance.path("ran").exists());
    let log = appliance.log();
    assert!(log.contains("the critical app a has failed for good"), "{log}");
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

#[tokio::test]
async fn processes_of_an_interrupted_setup_are_ended() {
    let script = "setsid sh -c \"echo \\$\\$ >{DIR}/stray; sleep 1000; :\" & wait";
    let setup = format!(
        "setup = {{ run = [\"/bin/sh\", \"-c\", '''{script}'''], creates = \"{{DIR}}/made\" }}"
    );
    let mut appliance = Appliance::start(&shell("a", "echo ran >{DIR}/ran", &setup));
    let stray =
        eventually("the stray process", async || lines(&appliance, "stray").first().cloned()).await;
    assert_eq!(appliance.stop().await, 0);
    assert!(!is_alive(&stray) && !appliance.path("ran").exists());
}

#[tokio::test]
async fn a_second_signal_kills_processes_of_an_interrupted_setup() {
    let script = "setsid sh -c \"trap '' TERM; echo \\$\\$ >{DIR}/stray; while :; do sleep 0.05; done\" & wait";
    let setup = format!(
        "setup = {{ run = [\"/bin/sh\", \"-c\", '''{script}'''], creates = \"{{DIR}}/made\" }}"
    );
    let mut appliance = Appliance::start(&shell("a", "true", &setup));
    let stray =
        eventually("the stray process", async || lines(&appliance, "stray").first().cloned()).await;
    appliance.signal(Signal::SIGTERM);
    eventually("the stop", async || appliance.log().contains("asked to stop").then_some(())).await;
    assert_eq!(appliance.stop().await, 0);
    assert!(!is_alive(&stray), "the process is still alive");
}

#[tokio::test]
async fn apps_get_their_stop_signal_when_the_appliance_is_killed() {
    let script = "trap 'echo asked >>{DIR}/asked; exit 0' INT; echo $$ >{DIR}/pid; while :; do sleep 0.05; done";
    let mut appliance = Appliance::start(&shell("a", script, "stop_signal = \"INT\""));
    let app =
        eventually("the start of the app", async || lines(&appliance, "pid").first().cloned())
            .await;
    appliance.signal(Signal::SIGKILL);
    appliance.end().await;
    eventually("the end", async || (!is_alive(&app)).then_some(())).await;
    assert_eq!(lines(&appliance, "asked"), ["asked"]);
}

#[tokio::test]
async fn with_stop_target_leader_a_worker_finishes_its_task() {
    // The leader waits for its worker when it gets TERM; the worker would die of TERM.
    let script = "(echo begun >>{DIR}/NAME; sleep 1; echo done >>{DIR}/NAME) & \
                  trap 'wait $!; exit 0' TERM; while :; do sleep 0.05; done";
    let of = |name: &str, more: &str| shell(name, &script.replace("NAME", name), more);
    let apps = of("pool", "stop_target = \"leader\"") + &of("group", "");
    let mut appliance = Appliance::start(&apps);
    for app in ["pool", "group"] {
        eventually("the task to begin", async || lines(&appliance, app).first().cloned()).await;
    }
    assert_eq!(appliance.stop().await, 0);
    assert_eq!(lines(&appliance, "pool"), ["begun", "done"]);
    assert_eq!(lines(&appliance, "group"), ["begun"], "TERM to the whole group ends the task");
}

#[tokio::test]
async fn what_a_stopped_leader_leaves_in_its_group_is_asked_to_stop_too() {
    let script = "(trap 'echo asked >>{DIR}/asked; exit 0' TERM; echo up >>{DIR}/asked; \
                  while :; do sleep 0.05; done) & while :; do sleep 0.05; done";
    let more = "stop_target = \"leader\"\nstop_timeout = \"60s\"";
    let mut appliance = Appliance::start(&shell("a", script, more));
    eventually("the worker to be up", async || lines(&appliance, "asked").first().cloned()).await;
    assert_eq!(appliance.stop().await, 0);
    assert_eq!(lines(&appliance, "asked"), ["up", "asked"]);
}

#[tokio::test]
async fn a_progress_bar_is_shown_while_it_moves() {
    let script = "i=0; while [ $i -lt 60 ]; do printf '\\r%d%% ####' $i; i=$((i+1)); sleep 0.05; \
                  done; printf '\\nend\\n'; sleep 1000";
    let mut appliance = Appliance::start(&shell("bar", script, ""));
    let states = || {
        let mut states = said(&appliance, "bar");
        states.retain(|line| line.contains("####"));
        states
    };
    eventually("the first state", async || states().first().cloned()).await;
    assert!(!said(&appliance, "bar").contains(&"end".to_owned()), "the bar is shown at its end");
    eventually("the end", async || {
        said(&appliance, "bar").contains(&"end".to_owned()).then_some(())
    })
    .await;
    let states = states();
    assert!(states.iter().all(|line| line.len() < 20) && states.len() < 20, "{states:?}");
    assert!(states.last().unwrap().starts_with("59% "), "{states:?}");
    appliance.stop().await;
}

#[tokio::test]
async fn a_program_that_drops_its_privileges_can_open_its_output() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let drop = "exec setpriv --reuid=65534 --regid=65534 --clear-groups sh -c \
                \"echo out >/dev/stdout; echo err >/dev/stderr; echo more >>/dev/stdout\"";
    let apps = shell("a", drop, "restart = \"never\"")
        + &shell("b", "echo out >/dev/stdout", "restart = \"never\"\nuser = \"nobody\"");
    let mut appliance = Appliance::start(&apps);
    for (app, expected) in [("a", &["err", "more", "out"][..]), ("b", &["out"])] {
        let sorted = || {
            let mut lines = said(&appliance, app);
            lines.sort();
            lines
        };
        eventually("the output", async || (sorted() == expected).then_some(())).await;
    }
    appliance.stop().await;
}
