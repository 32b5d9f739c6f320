//! Apps that are stopped while nobody uses them.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::{Method, StatusCode};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::fixture::Fixture;
use crate::harness::{Answer, Appliance, Browser, FETCH, NAVIGATION, eventually};
use crate::websocket::Socket;

const DOCS: &str = include_str!("../../docs/sleep.md");

/// Answers with its process ID. `/slow` is silent for three seconds, `/drip` sends something every
/// 100 ms for three seconds, `/events` does so for ever. `/ws` sends pings and texts by itself, and
/// sends back what it receives.
const APP: &str = r#"
import base64, hashlib, os, socket, threading, time
PID = str(os.getpid()).encode()
def tick(out, lock):
    while True:
        time.sleep(0.1)
        with lock: out.sendall(b"\x89\x00\x81\x04tick")
def serve(s):
    head = b""
    while b"\r\n\r\n" not in head:
        piece = s.recv(4096)
        if not piece: return
        head += piece
    path = head.split()[1]
    if path.endswith(b"/ws"):
        key = [l.split(b":")[1].strip() for l in head.split(b"\r\n") if l.lower().startswith(b"sec-websocket-key")][0]
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        s.sendall(b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n")
        lock = threading.Lock()
        threading.Thread(target=tick, args=[s, lock], daemon=True).start()
        while s.recv(4096): pass
        return
    kind = b"text/event-stream" if path.endswith(b"/events") else b"text/plain"
    head = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Type: " + kind
    if path.endswith(b"/slow"): time.sleep(3)
    if path.endswith((b"/drip", b"/events")):
        s.sendall(head + b"\r\n\r\n")
        for _ in range(30 if path.endswith(b"/drip") else 10**9):
            s.sendall(b"data: x\n\n")
            time.sleep(0.1)
    else:
        s.sendall(head + b"\r\nContent-Length: %d\r\n\r\n" % len(PID) + PID)
    s.close()
listening = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    threading.Thread(target=serve, args=[listening.accept()[0]], daemon=True).start()
"#;

fn app(name: &str, more: &str) -> String {
    format!(
        "[apps.{name}]\ncommand = [\"python3\", \"-c\", '''{APP}''']\npath = \"/{name}\"\nhold = \"15s\"\n{more}\n"
    )
}

/// An app `a` without a login.
fn public(more: &str) -> Appliance {
    Appliance::start(&app("a", &format!("access = \"public\"\n{more}")))
}

async fn get(appliance: &Appliance, path: &str, headers: &[(&str, &str)]) -> Answer {
    Browser::new(&appliance.url).send(Method::GET, path, headers).await.unwrap()
}

/// The process ID as `status` shows it.
fn pid(appliance: &Appliance, name: &str) -> Option<i64> {
    appliance.app(name).unwrap()["pid"].as_i64()
}

/// Waits until nobody uses the app.
async fn asleep(appliance: &Appliance, name: &str) {
    let app = appliance.wait_for_state(name, "stopped").await;
    let reason = app["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("nobody uses it"), "{app}");
    assert_eq!((&app["restarts"], &app["pid"]), (&0.into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn the_example_of_the_documentation_sleeps_wakes_and_keeps_warm() {
    let (_, rest) = DOCS.split_once("```toml\n").unwrap();
    let example = rest.split_once("```").unwrap().0;
    let appliance = Appliance::start(example);
    appliance.wait_ready().await;
    asleep(&appliance, "report").await;
    let answer = get(&appliance, "/report/", NAVIGATION).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.body.contains("is starting"), "{}", answer.body);
    appliance.wait_for_state("report", "ready").await;
    assert_eq!(get(&appliance, "/report/", NAVIGATION).await.status, StatusCode::OK);
    let expanded = String::from_utf8(appliance.cli(&["check", "--expanded"]).stdout).unwrap();
    assert!(
        expanded.contains("keep_warm = \"mon-fri 07:00-19:00, sat 09:00-12:00\""),
        "{expanded}"
    );
}

#[tokio::test]
async fn only_who_has_access_starts_an_app_and_people_see_a_page_at_once() {
    let lazy = app("lazy", "idle_stop = \"1h\"\naccess = { groups = [\"group1\"] }\n");
    let other = app("other", "idle_stop = \"1h\"\naccess = { groups = [\"nobody\"] }\n");
    let fixture = Fixture::beside("", &(lazy + &other)).await;
    let appliance = &fixture.appliance;
    asleep(appliance, "lazy").await;
    let stranger = fixture.browser();
    for headers in [NAVIGATION, FETCH] {
        let answer = stranger.send(Method::GET, "/lazy/", headers).await.unwrap();
        assert!(matches!(answer.status.as_u16(), 302 | 401), "{answer:?}");
    }
    let mut browser = fixture.signed_in("alice").await;
    assert_eq!(browser.open("/other/").await.status, StatusCode::FORBIDDEN);
    asleep(appliance, "lazy").await;
    asleep(appliance, "other").await;
    let asked = Instant::now();
    let answer = browser.open("/lazy/").await;
    // The app itself needs longer, also on a fast machine.
    assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers.contains_key("retry-after") && answer.body.contains("lazy is starting"));
    let ready = appliance.wait_for_state("lazy", "ready").await;
    assert_eq!(browser.open("/lazy/").await.body, ready["pid"].to_string());
    assert!(!appliance.log().contains("app=other \"a request"), "{}", appliance.log());
    assert_eq!(pid(appliance, "other"), None);
}

#[tokio::test]
async fn requests_of_programs_wait_and_many_start_one_process() {
    let appliance = public("idle_stop = \"1h\"");
    asleep(&appliance, "a").await;
    let asking = (0..40).map(|number| {
        let browser = Browser::new(&appliance.url);
        let method = if number % 2 == 0 { Method::GET } else { Method::POST };
        tokio::spawn(async move { browser.send(method, "/a/", &[]).await.unwrap() })
    });
    let mut bodies = Vec::new();
    for one in asking.collect::<Vec<_>>() {
        let answer = one.await.unwrap();
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        bodies.push(answer.body);
    }
    bodies.dedup();
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    assert_eq!(appliance.app("a").unwrap()["restarts"], 0);
    assert_eq!(appliance.log().matches("a request starts the app").count(), 1);
}

#[tokio::test]
async fn a_program_that_has_waited_as_long_as_hold_says_gets_503() {
    let slow = "[apps.a]\ncommand = [\"sleep\", \"1000\"]\npath = \"/a\"\naccess = \"public\"\nhold = \"300ms\"\nidle_stop = \"1h\"\nport = {PORT1}\n";
    let port = crate::harness::free_port().to_string();
    let appliance = Appliance::start(&slow.replace("{PORT1}", &port));
    appliance.wait_ready().await;
    let asked = Instant::now();
    let answer = get(&appliance, "/a/", &[]).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.headers.contains_key("retry-after"));
    assert!(asked.elapsed() >= Duration::from_millis(300));
    assert_eq!(appliance.app("a").unwrap()["state"], "starting");
}

#[tokio::test]
async fn an_app_that_an_operator_has_stopped_is_not_started_by_requests() {
    let appliance = public("idle_stop = \"1h\"");
    asleep(&appliance, "a").await;
    assert!(appliance.cli(&["stop", "a"]).status.success());
    assert!(appliance.app("a").unwrap()["reason"].is_null());
    for headers in [&[][..], NAVIGATION] {
        let answer = get(&appliance, "/a/", headers).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    assert_eq!(appliance.app("a").unwrap()["state"], "stopped");
    let answer = appliance.cli(&["start", "a"]);
    assert!(answer.status.success(), "{answer:?}");
    assert_eq!(get(&appliance, "/a/", &[]).await.status, StatusCode::OK);
}

/// An app `a` that has answered once.
async fn used(more: &str) -> (Appliance, String) {
    let appliance = public(more);
    appliance.wait_ready().await;
    let answer = get(&appliance, "/a/", &[]).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    (appliance, answer.body)
}

#[tokio::test]
async fn requests_that_last_are_use_and_the_clock_begins_at_their_end() {
    let (appliance, first) = used("idle_stop = \"1s\"").await;
    for (path, length) in [("/a/slow", first.len()), ("/a/drip", 30 * 9)] {
        let answer = get(&appliance, path, &[]).await;
        assert_eq!((answer.status, answer.body.len()), (StatusCode::OK, length), "{path}");
    }
    let mut log = String::new();
    eventually("the stop", async || {
        log = appliance.log();
        log.contains("nobody uses it").then_some(())
    })
    .await;
    // One process has served all of them, if the machine has not delayed a request for a second.
    assert!(log.matches("a request starts the app").count() <= 2, "{log}");
    asleep(&appliance, "a").await;
    let again = get(&appliance, "/a/", &[]).await;
    assert_eq!(again.status, StatusCode::OK);
    assert_ne!(again.body, first);
}

async fn connect(appliance: &Appliance) -> Socket {
    let url = format!("ws://127.0.0.1:{}/a/ws", appliance.port);
    let mut request = url.into_client_request().unwrap();
    let host = format!("localhost:{}", appliance.port);
    request.headers_mut().insert("host", host.parse().unwrap());
    tokio_tungstenite::connect_async(request).await.unwrap().0
}

#[tokio::test]
async fn a_page_that_only_listens_is_no_use_and_its_tunnel_gets_1012() {
    let (appliance, _) = used("idle_stop = \"1s\"").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let events = client.get(format!("{}/a/events", appliance.url)).send();
    let mut events = events.await.unwrap();
    // The client answers every ping of the app with a pong.
    let mut socket = connect(&appliance).await;
    let (code, _) = ended(&mut socket).await;
    assert_eq!(code, Some(CloseCode::Restart), "{}", appliance.log());
    asleep(&appliance, "a").await;
    eventually("the end of the events", async || match events.chunk().await {
        Ok(Some(_)) => None,
        Ok(None) | Err(_) => Some(()),
    })
    .await;
    // The page asks again by itself, as Streamlit's does. That does not start the app.
    let referer = format!("{}/a/", appliance.url);
    let again = [FETCH, &[("referer", referer.as_str())]].concat();
    let answer = get(&appliance, "/a/_stcore/health", &again).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(answer.body.contains("Reload the page"), "{}", answer.body);
    asleep(&appliance, "a").await;
}

/// Reads to the end of a socket. Returns its close code and what it has received.
async fn ended(socket: &mut Socket) -> (Option<CloseCode>, usize) {
    let mut texts = 0;
    loop {
        match tokio::time::timeout(crate::harness::PATIENCE, socket.next()).await.unwrap() {
            Some(Ok(Message::Close(frame))) => return (frame.map(|frame| frame.code), texts),
            Some(Ok(Message::Text(_))) => texts += 1,
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return (None, texts),
        }
    }
}

#[tokio::test]
async fn data_from_the_browser_is_use() {
    let (appliance, first) = used("idle_stop = \"3s\"").await;
    let (mut send, mut receive) = connect(&appliance).await.split();
    let reading =
        tokio::spawn(async move { while receive.next().await.is_some_and(|one| one.is_ok()) {} });
    for _ in 0..50 {
        send.send(Message::text("a key")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(pid(&appliance, "a").map(|pid| pid.to_string()), Some(first));
    asleep(&appliance, "a").await;
    reading.await.unwrap();
}

/// Hours of the day around now, in a zone so many hours ahead of UTC.
pub fn hours_around_now(ahead: i64) -> String {
    let now = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(ahead);
    let hour = |by: i64| {
        let at = now + jiff::SignedDuration::from_hours(by);
        at.to_zoned(jiff::tz::TimeZone::UTC).strftime("%H:%M").to_string()
    };
    format!("{}-{}", hour(-1), hour(1))
}

#[tokio::test]
async fn an_app_is_up_in_the_hours_of_keep_warm_by_its_own_clock() {
    let hours = hours_around_now(7);
    let warm = format!("idle_stop = \"1s\"\naccess = \"public\"\nkeep_warm = \"{hours}\"\n");
    let there = app("there", &format!("{warm}env = {{ TZ = \"XYZ-7\" }}\n"));
    let here = app("here", &format!("{warm}env = {{ TZ = \"UTC\" }}\n"));
    let appliance = Appliance::start(&(there + &here));
    let ready = appliance.wait_for_state("there", "ready").await;
    let here = appliance.wait_for_state("here", "stopped").await;
    assert!(here["reason"].as_str().unwrap().contains("or the clock at 2"), "{here}");
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert_eq!(pid(&appliance, "there"), ready["pid"].as_i64(), "{}", appliance.log());
}

fn edit(appliance: &Appliance, from: &str, to: &str) -> String {
    let path = appliance.path("appliance.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from));
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
    let answer = appliance.cli(&["reload"]);
    assert!(answer.status.success(), "{answer:?}\n{}", appliance.log());
    String::from_utf8(answer.stdout).unwrap()
}

#[tokio::test]
async fn a_reload_adds_changes_and_removes_the_sleep_without_a_restart() {
    let appliance = public("");
    let first = appliance.wait_for_state("a", "ready").await["pid"].as_i64();
    let socket = connect(&appliance).await;
    assert_eq!(edit(&appliance, "hold", "idle_stop = \"1h\"\nhold"), "update a: idle_stop\n");
    assert_eq!(pid(&appliance, "a"), first);
    // The tunnel is older than the setting.
    assert_eq!(edit(&appliance, "1h", "1s"), "update a: idle_stop\n");
    asleep(&appliance, "a").await;
    drop(socket);
    let hours = hours_around_now(0);
    let warm = format!("keep_warm = \"{hours}\"\nidle_stop = \"1s\"\nenv = {{ TZ = \"UTC\" }}");
    let plan = edit(&appliance, "idle_stop = \"1s\"", &warm);
    assert!(plan.contains("restart a: env.TZ") && plan.contains("update a: keep_warm"), "{plan}");
    appliance.wait_for_state("a", "ready").await;
    assert_eq!(
        edit(&appliance, &format!("keep_warm = \"{hours}\"\n"), ""),
        "update a: keep_warm\n"
    );
    asleep(&appliance, "a").await;
    assert_eq!(edit(&appliance, "idle_stop = \"1s\"\n", ""), "update a: idle_stop\n");
    appliance.wait_for_state("a", "ready").await;
    // A new app with `idle_stop` waits for its first request.
    let lazy = app("lazy", "access = \"public\"\nidle_stop = \"1h\"");
    assert_eq!(
        edit(&appliance, "[apps.a]", &format!("{lazy}[apps.a]")),
        "update lazy: idle_stop\n"
    );
    asleep(&appliance, "lazy").await;
    assert_eq!(get(&appliance, "/lazy/", &[]).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_critical_app_that_sleeps_does_not_make_the_appliance_unready() {
    let appliance = public("idle_stop = \"1s\"\ncritical = true");
    appliance.wait_ready().await;
    asleep(&appliance, "a").await;
    assert!(appliance.cli(&["healthcheck"]).status.success());
    assert_eq!(get(&appliance, "/a/", &[]).await.status, StatusCode::OK);
    asleep(&appliance, "a").await;
    appliance.wait_ready().await;
    assert!(appliance.cli(&["stop", "a"]).status.success());
    assert!(!appliance.cli(&["healthcheck"]).status.success());
}
