//! Apps with several processes that sleep and wake as a whole.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};

use crate::harness::{Answer, Appliance, Browser, FETCH, NAVIGATION, eventually};
use crate::idle::hours_around_now;
use crate::replicas::{app, edit, processes, run, two_free_ports};

const DOCS: &str = include_str!("../../docs/scale.md");

/// An app `a` without a login.
fn public(lines: &str) -> Appliance {
    Appliance::start(&app("a", &format!("access = \"public\"\nhold = \"15s\"\n{lines}")))
}

async fn get(appliance: &Appliance, headers: &[(&str, &str)]) -> Answer {
    Browser::new(&appliance.url).send(Method::GET, "/a/x", headers).await.unwrap()
}

/// Waits until all processes of the app are in one state; their process ids.
async fn all(appliance: &Appliance, number: usize, state: &str) -> BTreeMap<String, i32> {
    let mut seen = BTreeMap::new();
    eventually(&format!("{number} processes to be {state}"), async || {
        seen = processes(appliance, "a");
        let fits = seen.len() == number && seen.values().all(|one| one.0 == state);
        fits.then_some(())
    })
    .await;
    seen.into_iter().map(|(name, (_, pid))| (name, pid)).collect()
}

/// Waits until nobody uses the app, and all its processes are stopped for that.
async fn asleep(appliance: &Appliance, number: usize) {
    let names = all(appliance, number, "stopped").await.into_keys();
    for name in names {
        let one = appliance.app(&name).unwrap();
        let reason = one["reason"].as_str().unwrap_or_default();
        assert!(reason.contains("nobody uses it"), "{one}");
        assert!(one["pid"].is_null(), "{one}");
    }
}

/// The script of an app whose first process works, and of which the others do this instead.
fn only_the_first(port: u16, others: &str) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/replicas.py");
    format!(
        "[apps.a]\npath = \"/a\"\naccess = \"public\"\nhold = \"15s\"\nport = {port}\n\
         ready = {{ tcp = true }}\n\
         command = [\"sh\", \"-c\", \"test $PORT = {port} || exec {others}; exec python3 {script}\"]\n"
    )
}

#[tokio::test]
async fn one_request_starts_all_processes_and_all_of_them_sleep() {
    let appliance = public("replicas = 3\nidle_stop = \"1h\"\ncritical = true");
    appliance.wait_ready().await;
    asleep(&appliance, 3).await;
    assert!(appliance.cli(&["healthcheck"]).status.success());
    let answer = get(&appliance, NAVIGATION).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers.contains_key("retry-after") && answer.body.contains("a is starting"));
    let pids = all(&appliance, 3, "ready").await;
    assert_eq!(appliance.log().matches("a request starts the app").count(), 3);
    let served: i32 = get(&appliance, NAVIGATION).await.body.parse().unwrap();
    assert!(pids.values().any(|pid| *pid == served), "{served} {pids:?}");
    edit(&appliance, "idle_stop = \"1h\"", "idle_stop = \"1s\"");
    assert_eq!(run(&appliance, &["reload"]), "update a: idle_stop\n");
    asleep(&appliance, 3).await;
    assert!(appliance.cli(&["healthcheck"]).status.success());
    for number in 0..3 {
        assert_eq!(appliance.app(&format!("a.{number}")).unwrap()["restarts"], 0);
    }
}

#[tokio::test]
async fn requests_of_programs_are_served_as_soon_as_one_process_is_ready() {
    let (first, _) = two_free_ports();
    let slow = only_the_first(first, "sleep 1000");
    let appliance = Appliance::start(&(slow + "replicas = 2\nidle_stop = \"1h\"\n"));
    asleep(&appliance, 2).await;
    let asking = (0..20).map(|number| {
        let browser = Browser::new(&appliance.url);
        let method = if number % 2 == 0 { Method::GET } else { Method::POST };
        tokio::spawn(async move { browser.send(method, "/a/x", &[]).await.unwrap() })
    });
    let asking: Vec<_> = asking.collect();
    let ready = appliance.wait_for_state("a.0", "ready").await["pid"].to_string();
    for one in asking {
        let answer = one.await.unwrap();
        assert_eq!((answer.status, &answer.body), (StatusCode::OK, &ready));
    }
    assert_eq!(appliance.app("a.1").unwrap()["state"], "starting");
    assert_eq!(appliance.log().matches("a request starts the app").count(), 2);
}

#[tokio::test]
async fn the_use_of_one_process_keeps_all_and_a_session_finds_its_process_again() {
    let appliance = public("replicas = 2\nidle_stop = \"3s\"");
    asleep(&appliance, 2).await;
    get(&appliance, NAVIGATION).await;
    let pids = all(&appliance, 2, "ready").await;
    let name_of = |pids: &BTreeMap<String, i32>, served: &str| {
        let found = pids.iter().find(|(_, pid)| pid.to_string() == served);
        found.map(|(name, _)| name.clone())
    };
    let mut browsers = [Browser::new(&appliance.url), Browser::new(&appliance.url)];
    let mut before = Vec::new();
    for browser in &mut browsers {
        before.push(name_of(&pids, &browser.go("/a/x").await.body).unwrap());
    }
    assert_ne!(before[0], before[1], "{pids:?}");
    for _ in 0..50 {
        let answer = browsers[0].send(Method::GET, "/a/x", FETCH).await.unwrap();
        assert_eq!(name_of(&pids, &answer.body).as_ref(), Some(&before[0]));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(all(&appliance, 2, "ready").await, pids, "{}", appliance.log());
    asleep(&appliance, 2).await;

    edit(&appliance, "idle_stop = \"3s\"", "idle_stop = \"1h\"");
    run(&appliance, &["reload"]);
    get(&appliance, NAVIGATION).await;
    let again = all(&appliance, 2, "ready").await;
    assert!(again.values().all(|pid| !pids.values().any(|old| old == pid)), "{again:?} {pids:?}");
    for (browser, before) in browsers.iter_mut().zip(&before) {
        assert_eq!(name_of(&again, &browser.go("/a/x").await.body).as_ref(), Some(before));
    }
}

#[tokio::test]
async fn a_reload_changes_the_number_of_processes_while_the_app_sleeps_and_while_it_is_up() {
    let appliance = public("replicas = 2\nidle_stop = \"1h\"");
    asleep(&appliance, 2).await;
    for (from, to, left) in [(2, 3, 3), (3, 1, 1), (1, 2, 2)] {
        edit(&appliance, &format!("replicas = {from}"), &format!("replicas = {to}"));
        assert_eq!(run(&appliance, &["reload"]), "update a: replicas\n");
        asleep(&appliance, left).await;
    }
    assert!(!appliance.log().contains("starts the app"), "{}", appliance.log());
    assert_eq!(get(&appliance, &[]).await.status, StatusCode::OK);
    let pids = all(&appliance, 2, "ready").await;
    // The app is up, so the new process is started.
    edit(&appliance, "replicas = 2", "replicas = 3");
    run(&appliance, &["reload"]);
    let more = all(&appliance, 3, "ready").await;
    assert!(pids.iter().all(|(name, pid)| more[name] == *pid), "{pids:?} {more:?}");
    // Without `idle_stop`, a sleeping app starts.
    edit(&appliance, "idle_stop = \"1h\"", "idle_stop = \"1s\"");
    run(&appliance, &["reload"]);
    asleep(&appliance, 3).await;
    edit(&appliance, "idle_stop = \"1s\"\n", "");
    assert_eq!(run(&appliance, &["reload"]), "update a: idle_stop\n");
    let pids = all(&appliance, 3, "ready").await;
    edit(&appliance, "replicas = 3\n", "replicas = 3\nidle_stop = \"1s\"\n");
    run(&appliance, &["reload"]);
    asleep(&appliance, 3).await;
    // A changed command is tried by the next request.
    edit(&appliance, "replicas = 3", "env = { NEW = \"1\" }\nreplicas = 3");
    assert!(run(&appliance, &["reload"]).contains("restart a: env.NEW"));
    asleep(&appliance, 3).await;
    let served: i32 = get(&appliance, &[]).await.body.parse().unwrap();
    assert!(!pids.values().any(|pid| *pid == served));
}

#[tokio::test]
async fn commands_for_one_process_of_a_sleeping_app_and_for_all() {
    let appliance = public("replicas = 2\nidle_stop = \"1h\"");
    asleep(&appliance, 2).await;
    run(&appliance, &["start", "a.1"]);
    let state = |name: &str| appliance.app(name).unwrap()["state"].clone();
    assert_eq!((state("a.0"), state("a.1")), ("stopped".into(), "ready".into()));
    // Who uses the app needs all of it.
    assert_eq!(get(&appliance, &[]).await.status, StatusCode::OK);
    all(&appliance, 2, "ready").await;

    run(&appliance, &["stop", "a"]);
    assert!(appliance.app("a.0").unwrap()["reason"].is_null());
    assert_eq!(get(&appliance, &[]).await.status, StatusCode::SERVICE_UNAVAILABLE);
    all(&appliance, 2, "stopped").await;
    edit(&appliance, "idle_stop = \"1h\"", "idle_stop = \"1s\"");
    run(&appliance, &["reload"]);
    run(&appliance, &["start", "a"]);
    asleep(&appliance, 2).await;
    run(&appliance, &["restart", "a"]);
    assert_eq!(appliance.log().matches("a request starts the app").count(), 1);
    asleep(&appliance, 2).await;

    // One that an operator has stopped stays stopped.
    run(&appliance, &["stop", "a.1"]);
    assert!(appliance.app("a.1").unwrap()["reason"].is_null());
    let served = get(&appliance, &[]).await;
    assert_eq!(served.status, StatusCode::OK);
    assert_eq!(state("a.1"), "stopped");
    let first = appliance.wait_for_state("a.0", "stopped").await;
    assert!(first["reason"].as_str().unwrap().contains("nobody uses it"), "{first}");
    assert!(appliance.app("a.1").unwrap()["reason"].is_null());
}

#[tokio::test]
async fn a_crash_is_restarted_and_a_process_that_always_crashes_keeps_nothing_up() {
    let (first, _) = two_free_ports();
    let lines = "replicas = 2\nidle_stop = \"2s\"\nmax_restarts = 100000\n\
                 backoff = { min = \"30s\", max = \"30s\" }\n";
    let appliance = Appliance::start(&(only_the_first(first, "false") + lines));
    asleep(&appliance, 2).await;
    assert_eq!(get(&appliance, &[]).await.status, StatusCode::OK);
    appliance.wait_for_state("a.1", "backoff").await;
    asleep(&appliance, 2).await;
    assert_eq!(get(&appliance, &[]).await.status, StatusCode::OK);

    let appliance = public("replicas = 2\nidle_stop = \"1h\"");
    asleep(&appliance, 2).await;
    get(&appliance, &[]).await;
    let pids = all(&appliance, 2, "ready").await;
    kill(Pid::from_raw(pids["a.1"]), Signal::SIGKILL).unwrap();
    eventually("the restart", async || {
        (appliance.app("a.1").unwrap()["restarts"] == 1).then_some(())
    })
    .await;
    assert_eq!(all(&appliance, 2, "ready").await["a.0"], pids["a.0"]);
}

#[tokio::test]
async fn the_hours_of_keep_warm_hold_all_processes() {
    let hours = hours_around_now(0);
    let warm = format!("keep_warm = \"{hours}\"\n");
    let appliance =
        public(&format!("replicas = 2\nidle_stop = \"1s\"\n{warm}env = {{ TZ = \"UTC\" }}"));
    let pids = all(&appliance, 2, "ready").await;
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(all(&appliance, 2, "ready").await, pids, "{}", appliance.log());
    edit(&appliance, &warm, "");
    assert_eq!(run(&appliance, &["reload"]), "update a: keep_warm\n");
    asleep(&appliance, 2).await;
    edit(&appliance, "idle_stop", &format!("{warm}idle_stop"));
    run(&appliance, &["reload"]);
    all(&appliance, 2, "ready").await;
}

#[tokio::test]
async fn the_example_of_the_documentation_sleeps() {
    let (_, rest) = DOCS.split_once("## When nobody uses the app").unwrap();
    let (_, rest) = rest.split_once("```toml\n").unwrap();
    let appliance = Appliance::start(rest.split_once("```").unwrap().0);
    for name in ["report.0", "report.1"] {
        let one = appliance.wait_for_state(name, "stopped").await;
        assert!(one["reason"].as_str().unwrap().contains("nobody uses it"), "{one}");
    }
    let browser = Browser::new(&appliance.url);
    let answer = browser.send(Method::GET, "/report/", NAVIGATION).await.unwrap();
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    for name in ["report.0", "report.1"] {
        appliance.wait_for_state(name, "ready").await;
    }
}
