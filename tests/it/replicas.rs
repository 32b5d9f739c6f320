//! Apps with several processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::Method;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::fixture::Fixture;
use crate::harness::{Appliance, Browser, FETCH, eventually, free_port};
use crate::websocket::{Socket, closed, echoes, open_at};

const DOCS: &str = include_str!("../../docs/scale.md");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/replicas.py");

/// An app whose answer is the process id of the process that serves the request.
pub fn app(name: &str, lines: &str) -> String {
    format!(
        "[apps.{name}]\npath = \"/{name}\"\ncommand = [\"python3\", \"{SCRIPT}\"]\n\
         backoff = {{ min = \"100ms\", max = \"200ms\" }}\n{lines}\n"
    )
}

async fn fixture(lines: &str) -> Fixture {
    let fixture = Fixture::beside("", &app("many", lines)).await;
    eventually("all processes to be ready", async || {
        let processes = processes(&fixture.appliance, "many");
        (!processes.is_empty() && processes.values().all(|(state, _)| state == "ready"))
            .then_some(())
    })
    .await;
    fixture
}

/// Name, state and process id of each process of an app.
pub fn processes(appliance: &Appliance, app: &str) -> BTreeMap<String, (String, i32)> {
    let status = appliance.cli(&["status", app, "--json"]).stdout;
    let status: serde_json::Value = serde_json::from_slice(&status).unwrap_or_default();
    let apps = status["apps"].as_array().cloned().unwrap_or_default();
    let shown = apps.iter().map(|one| {
        let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let pid = one["pid"].as_i64().unwrap_or_default();
        (text("name"), (text("state"), i32::try_from(pid).unwrap()))
    });
    shown.collect()
}

fn pids(appliance: &Appliance, app: &str) -> Vec<i32> {
    processes(appliance, app).into_values().map(|(_, pid)| pid).collect()
}

/// The process that serves a browser.
async fn served_by(browser: &Browser, method: Method) -> i32 {
    let answer = browser.send(method, "/many/x", FETCH).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body.parse().unwrap()
}

/// The process behind a WebSocket.
async fn behind(socket: &mut Socket) -> i32 {
    socket.send(Message::text("who")).await.unwrap();
    socket.next().await.unwrap().unwrap().to_text().unwrap().parse().unwrap()
}

async fn tunnel(fixture: &Fixture, browser: &Browser) -> Socket {
    let origin = fixture.appliance.url.clone();
    open_at(fixture, browser, "/many/ws", Some(&origin)).await.unwrap()
}

pub fn edit(appliance: &Appliance, from: &str, to: &str) {
    let path = appliance.path("appliance.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from} is not in the file");
    std::fs::write(path, text.replace(from, to)).unwrap();
}

pub fn run(appliance: &Appliance, arguments: &[&str]) -> String {
    let answer = appliance.cli(arguments);
    assert!(answer.status.success(), "{arguments:?}: {answer:?}\n{}", appliance.log());
    String::from_utf8(answer.stdout).unwrap()
}

/// Asks again and again; the statuses other than 200 that came.
fn keep_asking(browser: &Browser, stop: &Arc<AtomicBool>) -> tokio::task::JoinHandle<Vec<u16>> {
    let (browser, stop) = (browser.clone(), Arc::clone(stop));
    tokio::spawn(async move {
        let mut wrong = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let answer = browser.send(Method::GET, "/many/x", FETCH).await.unwrap();
            if answer.status != 200 {
                wrong.push(answer.status.as_u16());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        wrong
    })
}

#[tokio::test]
async fn a_session_stays_and_a_new_one_goes_to_the_process_with_the_fewest() {
    let fixture = fixture("replicas = 3").await;
    let mut served = BTreeMap::new();
    for _ in 0..6 {
        let browser = fixture.signed_in("alice").await;
        let first = served_by(&browser, Method::GET).await;
        let mut socket = tunnel(&fixture, &browser).await;
        assert_eq!(behind(&mut socket).await, first);
        for method in [Method::POST, Method::GET, Method::GET] {
            assert_eq!(served_by(&browser, method).await, first);
        }
        *served.entry(first).or_insert(0) += 1;
    }
    assert_eq!(served.values().collect::<Vec<_>>(), [&2, &2, &2], "{served:?}");
    let known: Vec<_> = processes(&fixture.appliance, "many").into_iter().collect();
    let names: Vec<_> = known.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["many.0", "many.1", "many.2"]);
    assert!(known.iter().all(|(_, (_, pid))| served.contains_key(pid)), "{known:?} {served:?}");
}

#[tokio::test]
async fn the_sessions_of_a_dead_process_move_and_stay_where_they_are_then() {
    let fixture = fixture("replicas = 2").await;
    let (one, other) = (fixture.signed_in("alice").await, fixture.signed_in("alice").await);
    let dead = served_by(&one, Method::GET).await;
    let alive = served_by(&other, Method::GET).await;
    assert_ne!(dead, alive);
    let mut socket = tunnel(&fixture, &one).await;
    assert_eq!(behind(&mut socket).await, dead);
    kill(Pid::from_raw(dead), Signal::SIGKILL).unwrap();
    // A request that the process may still have read would not be sent again.
    assert_eq!(closed(&mut socket).await.0, Some(CloseCode::Restart));
    assert_eq!(served_by(&one, Method::GET).await, alive);
    assert_eq!(served_by(&one, Method::POST).await, alive);
    eventually("both to be ready again", async || {
        let all = processes(&fixture.appliance, "many");
        let ready = all.values().all(|(state, pid)| state == "ready" && *pid != dead);
        (ready && all.len() == 2).then_some(())
    })
    .await;
    assert_eq!(served_by(&one, Method::GET).await, alive, "it does not move back");
    assert_eq!(served_by(&other, Method::GET).await, alive);
    let new = fixture.signed_in("alice").await;
    let at = served_by(&new, Method::GET).await;
    assert!(at != alive && at != dead, "the new process has the fewest");
}

#[tokio::test]
async fn a_reload_that_changes_the_number_moves_nobody_who_can_stay() {
    let fixture = fixture("").await;
    let appliance = &fixture.appliance;
    let first = appliance.app("many").unwrap()["pid"].as_i64().unwrap();
    let early = fixture.signed_in("alice").await;
    let mut early_socket = tunnel(&fixture, &early).await;
    assert_eq!(i64::from(behind(&mut early_socket).await), first);
    let first = i32::try_from(first).unwrap();
    assert!(run(appliance, &["logs", "many"]).contains("a request for"));

    edit(appliance, "path = \"/many\"", "replicas = 3\npath = \"/many\"");
    assert_eq!(run(appliance, &["reload"]), "update many: replicas\n");
    for name in ["many.0", "many.1", "many.2"] {
        appliance.wait_for_state(name, "ready").await;
    }
    assert_eq!(processes(appliance, "many")["many.0"].1, first);
    assert!(appliance.app("many").is_none());
    assert_eq!(served_by(&early, Method::GET).await, first);
    echoes(&mut early_socket).await;
    eventually("the lines under the new name", async || {
        run(appliance, &["logs", "many.0"]).contains("a request for").then_some(())
    })
    .await;
    let mut late = Vec::new();
    for _ in 0..2 {
        let browser = fixture.signed_in("alice").await;
        let socket = tunnel(&fixture, &browser).await;
        late.push((served_by(&browser, Method::GET).await, browser, socket));
    }
    let mut used: Vec<_> = late.iter().map(|(pid, ..)| *pid).collect();
    used.sort_unstable();
    let mut new = pids(appliance, "many")[1..].to_vec();
    new.sort_unstable();
    assert_eq!(used, new, "new sessions go to the new processes");

    edit(appliance, "replicas = 3", "replicas = 2");
    assert_eq!(run(appliance, &["reload"]), "update many: replicas\n");
    let kept = pids(appliance, "many");
    assert_eq!((kept.len(), kept[0]), (2, first));
    for (pid, browser, mut socket) in late {
        if kept.contains(&pid) {
            echoes(&mut socket).await;
            assert_eq!(served_by(&browser, Method::GET).await, pid);
        } else {
            assert_eq!(closed(&mut socket).await.0, Some(CloseCode::Restart));
            assert!(kept.contains(&served_by(&browser, Method::GET).await));
        }
    }
    edit(appliance, "replicas = 2\n", "");
    assert_eq!(run(appliance, &["reload"]), "update many: replicas\n");
    assert_eq!(appliance.app("many").unwrap()["pid"], first);
    assert_eq!(served_by(&early, Method::GET).await, first);
    echoes(&mut early_socket).await;
}

#[tokio::test]
async fn a_restart_of_the_app_leaves_no_moment_without_a_process() {
    let fixture = fixture("replicas = 2").await;
    let appliance = &fixture.appliance;
    let browser = fixture.signed_in("alice").await;
    let before = pids(appliance, "many");
    let answer = run(appliance, &["restart", "many.1"]);
    assert!(answer.contains("many.1 is ready"), "{answer}");
    let after = pids(appliance, "many");
    assert!(after[0] == before[0] && after[1] != before[1], "{before:?} {after:?}");

    let stop = Arc::new(AtomicBool::new(false));
    let asking = keep_asking(&browser, &stop);
    let answer = run(appliance, &["restart", "many"]);
    assert!(answer.contains("many is ready"), "{answer}");
    let restarted = pids(appliance, "many");
    assert!(restarted.iter().all(|pid| !after.contains(pid)), "{after:?} {restarted:?}");
    // A reload that changes the process replaces one after the other as well.
    edit(appliance, "replicas = 2", "replicas = 2\nenv = { NEW = \"1\" }");
    assert_eq!(run(appliance, &["reload"]), "restart many: env.NEW\n");
    eventually("the end of all earlier processes", async || {
        let all = processes(appliance, "many");
        let new = all.values().all(|(state, pid)| state == "ready" && !restarted.contains(pid));
        (new && all.len() == 2).then_some(())
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    assert_eq!(asking.await.unwrap(), [0_u16; 0]);

    assert!(!appliance.cli(&["restart", "many.2"]).status.success(), "there is no such process");
    run(appliance, &["stop", "many.0"]);
    appliance.wait_for_state("many.0", "stopped").await;
    assert_eq!(appliance.app("many.1").unwrap()["state"], "ready");
    run(appliance, &["stop", "many"]);
    assert_eq!(appliance.app("many.1").unwrap()["state"], "stopped");
    run(appliance, &["start", "many"]);
    assert!(processes(appliance, "many").values().all(|(state, _)| state == "ready"));
}

#[tokio::test]
async fn a_visitor_of_a_public_app_stays_by_a_cookie_that_the_app_does_not_get() {
    let many = app("many", "access = \"public\"\nreplicas = 3");
    let appliance = Appliance::start(&many);
    for name in ["many.0", "many.1", "many.2"] {
        appliance.wait_for_state(name, "ready").await;
    }
    let mut served = BTreeMap::new();
    let mut stolen = String::new();
    for _ in 0..6 {
        let mut browser = Browser::new(&appliance.url);
        let first = browser.go("/many/x").await;
        assert_eq!(first.status, 200);
        stolen = browser.cookie_line();
        assert!(stolen.contains("-replica-many="), "{stolen}");
        for _ in 0..3 {
            let again = browser.send(Method::GET, "/many/x", FETCH).await.unwrap();
            assert_eq!(again.body, first.body);
            assert!(again.headers.get("set-cookie").is_none(), "{again:?}");
        }
        let headers = browser.send(Method::GET, "/many/headers", FETCH).await.unwrap();
        assert!(!headers.body.contains("replica"), "{}", headers.body);
        *served.entry(first.body).or_insert(0) += 1;
    }
    assert_eq!(served.values().collect::<Vec<_>>(), [&2, &2, &2], "{served:?}");
    // The process that a stranger names is not that of the cookie.
    let (name, value) = stolen.split_once('=').unwrap();
    let forged =
        format!("{name}={}{}", if value.starts_with('A') { "B" } else { "A" }, &value[1..]);
    let answer = Browser::new(&appliance.url)
        .send(Method::GET, "/many/x", &[("cookie", forged.as_str())])
        .await
        .unwrap();
    assert!(answer.headers.contains_key("set-cookie"), "it is a new visitor: {answer:?}");
}

/// A port and the next one, both free.
pub fn two_free_ports() -> (u16, u16) {
    loop {
        let first = free_port();
        if let Some(next) = first.checked_add(1)
            && std::net::TcpListener::bind(("127.0.0.1", next)).is_ok()
        {
            return (first, next);
        }
    }
}

#[tokio::test]
async fn a_reload_gives_a_later_process_the_port_of_a_removed_app() {
    let (first, next) = two_free_ports();
    let ready = "access = \"public\"\nready = { tcp = true }\n";
    let old = app("old", &format!("{ready}port = {next}"));
    let many = app("many", &format!("{ready}port = {first}\nreplicas = 2"));
    let appliance = Appliance::start(&old);
    appliance.wait_for_state("old", "ready").await;
    edit(&appliance, &old, &many);
    run(&appliance, &["reload"]);
    for (name, port) in [("many.0", first), ("many.1", next)] {
        assert_eq!(appliance.wait_for_state(name, "ready").await["port"], port);
    }
    assert!(appliance.app("old").is_none(), "{}", appliance.log());
}

#[tokio::test]
async fn the_example_of_the_documentation_runs() {
    let (_, rest) = DOCS.split_once("```toml\n").unwrap();
    let appliance = Appliance::start(rest.split_once("```").unwrap().0);
    let mut ports = Vec::new();
    for name in ["report.0", "report.1", "report.2"] {
        ports.push(appliance.wait_for_state(name, "ready").await["port"].as_u64().unwrap());
    }
    ports.sort_unstable();
    ports.dedup();
    assert_eq!(ports.len(), 3);
    let answer = Browser::new(&appliance.url).send(Method::GET, "/report/", FETCH).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(run(&appliance, &["logs", "report"]).contains("GET / HTTP/1.1"));
    let table = run(&appliance, &["status", "report.1"]);
    assert!(table.contains("report.1") && !table.contains("report.0"), "{table}");
    let answer = run(&appliance, &["restart", "report"]);
    assert!(answer.contains("report is ready"), "{answer}");
}

#[tokio::test]
async fn processes_that_are_added_to_a_stopped_app_stay_stopped() {
    let sleep = "[apps.a]\ncommand = [\"sleep\", \"1000\"]\nreplicas = 2\n";
    let appliance = Appliance::start(sleep);
    for name in ["a.0", "a.1"] {
        appliance.wait_for_state(name, "ready").await;
    }
    run(&appliance, &["stop", "a"]);
    edit(&appliance, "replicas = 2", "replicas = 3");
    assert_eq!(run(&appliance, &["reload"]), "update a: replicas\n");
    let states: Vec<_> = processes(&appliance, "a").into_values().collect();
    assert_eq!(states, vec![("stopped".to_owned(), 0); 3]);
    run(&appliance, &["start", "a"]);
    edit(&appliance, "replicas = 3", "replicas = 4");
    assert_eq!(run(&appliance, &["reload"]), "update a: replicas\n");
    appliance.wait_for_state("a.3", "ready").await;
}
