//! Requests that meet a restart of their app.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, StatusCode};

use crate::fixture::Fixture;
use crate::harness::{Appliance, Browser, eventually};

/// Starts in half a second, and answers every request with its process ID.
const APP: &str = r#"
import http.server, os, time
time.sleep(0.5)
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *rest): pass
    def do_GET(self):
        if self.path.endswith("/die"):
            print("asked to die", flush=True)
            os._exit(3)
        body = str(os.getpid()).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    do_HEAD = do_POST = do_GET
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

fn app(more: &str) -> String {
    format!(
        "[apps.a]\ncommand = [\"python3\", \"-c\", '''{APP}''']\npath = \"/a\"\naccess = \"public\"\n{more}\n"
    )
}

async fn status(url: &str, method: Method) -> (StatusCode, Duration) {
    status_in(&Browser::new(url), method).await
}

async fn status_in(browser: &Browser, method: Method) -> (StatusCode, Duration) {
    let asked = Instant::now();
    let answer = browser.send(method, "/a/", &[]).await.unwrap();
    (answer.status, asked.elapsed())
}

fn kill(appliance: &Appliance) {
    let pid = appliance.app("a").unwrap()["pid"].as_i64().unwrap();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
}

#[tokio::test]
async fn a_restart_is_invisible_to_fifty_gets() {
    let appliance = Appliance::start(&app("backoff = { min = \"100ms\", max = \"100ms\" }"));
    appliance.wait_for_state("a", "ready").await;
    let browser = Arc::new(Browser::new(&appliance.url));
    for crash in [false, true] {
        let asking: Vec<_> = (0..50)
            .map(|number| {
                let browser = Arc::clone(&browser);
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(10 * number)).await;
                    status_in(&browser, Method::GET).await.0
                })
            })
            .collect();
        if crash {
            kill(&appliance);
        } else {
            assert!(appliance.cli(&["restart", "a", "--no-wait"]).status.success());
        }
        for one in asking {
            assert_eq!(one.await.unwrap(), StatusCode::OK, "{}", appliance.log());
        }
    }
    // A request that changes something does not wait, and neither does a handshake.
    assert!(appliance.cli(&["restart", "a", "--no-wait"]).status.success());
    let (refused, took) = status(&appliance.url, Method::POST).await;
    assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE);
    assert!(took < Duration::from_millis(400), "{took:?}");
    assert_eq!(status(&appliance.url, Method::HEAD).await.0, StatusCode::OK);
}

/// The app would end again and again.
#[tokio::test]
async fn a_get_that_ends_its_app_is_not_sent_again() {
    let appliance = Appliance::start(&app("hold = \"10s\""));
    appliance.wait_for_state("a", "ready").await;
    let browser = Browser::new(&appliance.url);
    let answer = browser.send(Method::GET, "/a/die", &[]).await.unwrap();
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", appliance.log());
    assert_eq!(status_in(&browser, Method::GET).await.0, StatusCode::OK);
    assert_eq!(appliance.log().matches("asked to die").count(), 1);
}

/// Keeps connections open. Says which request of its connection each one is; `/die` ends the process,
/// `/unread` closes the connection without reading the second request.
const KEEPING: &str = r#"
import os, select, socket, threading
def serve(connection):
    count = 0
    while True:
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(4096)
            if not piece: return
            data += piece
        count += 1
        path = data.split()[1]
        print("request", path.decode(), "as number", count, flush=True)
        if path.endswith(b"/die"): os._exit(3)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % count)
        if path.endswith(b"/unread"):
            select.select([connection], [], [])
            print("left unread", flush=True)
            connection.close()
            return
server = socket.create_server(("127.0.0.1", int(os.environ["PORT"])))
while True:
    threading.Thread(target=serve, args=[server.accept()[0]], daemon=True).start()
"#;

async fn keeping() -> (Appliance, Browser) {
    let app = format!(
        "[apps.a]\ncommand = [\"python3\", \"-c\", '''{KEEPING}''']\npath = \"/a\"\naccess = \"public\"\nhold = \"10s\"\n"
    );
    let appliance = Appliance::start(&app);
    appliance.wait_for_state("a", "ready").await;
    let browser = Browser::new(&appliance.url);
    (appliance, browser)
}

/// The app would end again, although its connection was used before.
#[tokio::test]
async fn a_get_that_ends_its_app_on_a_used_connection_is_not_sent_again() {
    let (appliance, browser) = keeping().await;
    assert_eq!(status_in(&browser, Method::GET).await.0, StatusCode::OK);
    let answer = browser.send(Method::GET, "/a/die", &[]).await.unwrap();
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY, "{}", appliance.log());
    assert_eq!(status_in(&browser, Method::GET).await.0, StatusCode::OK);
    let log = appliance.log();
    assert!(log.contains("request /a/die as number 2"), "{log}");
    assert_eq!(log.matches("request /a/die").count(), 1, "{log}");
}

#[tokio::test]
async fn a_get_that_a_used_connection_did_not_deliver_is_sent_again() {
    let (appliance, browser) = keeping().await;
    let first = browser.send(Method::GET, "/a/unread", &[]).await.unwrap();
    assert_eq!(first.status, StatusCode::OK);
    let answer = browser.send(Method::GET, "/a/late", &[]).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{}", appliance.log());
    eventually("the lines of the app", async || {
        let log = appliance.log();
        (log.contains("left unread") && log.contains("request /a/late as number 1")).then_some(())
    })
    .await;
    // What changes something is not sent again.
    browser.send(Method::GET, "/a/unread", &[]).await.unwrap();
    let changed = browser.send(Method::POST, "/a/change", &[]).await.unwrap();
    assert_eq!(changed.status, StatusCode::BAD_GATEWAY, "{}", appliance.log());
}

#[tokio::test]
async fn nobody_waits_for_an_app_that_does_not_come_back() {
    let appliance = Appliance::start(&app("hold = \"10s\"\nmax_restarts = 0"));
    // The first start is no restart.
    let first = eventually("an answer", async || {
        let browser = Browser::new(&appliance.url);
        browser.send(Method::GET, "/a/", &[]).await.ok()
    });
    assert_eq!(first.await.status, StatusCode::SERVICE_UNAVAILABLE);
    appliance.wait_for_state("a", "ready").await;
    assert!(appliance.cli(&["stop", "a"]).status.success());
    let (refused, took) = status(&appliance.url, Method::GET).await;
    assert!(
        refused == StatusCode::SERVICE_UNAVAILABLE && took < Duration::from_secs(2),
        "{took:?}"
    );
    assert!(appliance.cli(&["start", "a"]).status.success());
    kill(&appliance);
    let (refused, took) = status(&appliance.url, Method::GET).await;
    assert!(refused.is_server_error() && took < Duration::from_secs(3), "{refused} {took:?}");
}

#[tokio::test]
async fn a_wait_is_as_long_as_hold_says() {
    for (hold, least, most) in [("0s", 0, 400), ("600ms", 600, 1500)] {
        let slow = app(&format!("hold = \"{hold}\"\nbackoff = {{ min = \"20s\", max = \"20s\" }}"));
        let appliance = Appliance::start(&slow);
        appliance.wait_for_state("a", "ready").await;
        kill(&appliance);
        appliance.wait_for_state("a", "backoff").await;
        let (refused, took) = status(&appliance.url, Method::GET).await;
        assert_eq!(refused, StatusCode::SERVICE_UNAVAILABLE);
        let (least, most) = (Duration::from_millis(least), Duration::from_millis(most));
        assert!(took >= least && took < most, "{hold}: {took:?}");
    }
}

/// One client gets half of the places.
#[tokio::test]
async fn the_number_of_waiting_requests_is_bounded() {
    let slow = app("hold = \"3s\"\nbackoff = { min = \"20s\", max = \"20s\" }");
    let appliance = Appliance::start(&slow);
    appliance.wait_for_state("a", "ready").await;
    kill(&appliance);
    appliance.wait_for_state("a", "backoff").await;
    let asked = Instant::now();
    let clients: Vec<_> = (0..76)
        .map(|_| {
            let mut client = TcpStream::connect(("127.0.0.1", appliance.port)).unwrap();
            let host = format!("localhost:{}", appliance.port);
            let request = format!("GET /a/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            client.write_all(request.as_bytes()).unwrap();
            client
        })
        .collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let is_answered = |client: &&TcpStream| {
        client.set_nonblocking(true).unwrap();
        client.peek(&mut [0]).is_ok()
    };
    assert_eq!(clients.iter().filter(is_answered).count(), 12);
    assert!(asked.elapsed() < Duration::from_millis(2500), "the machine is too busy");
    // A client that leaves makes room for another one.
    drop(clients);
    tokio::time::sleep(Duration::from_millis(200)).await;
    let (_, took) = status(&appliance.url, Method::GET).await;
    assert!(took >= Duration::from_secs(3), "{took:?}");
}

#[tokio::test]
async fn a_session_that_ends_during_the_wait_gets_nothing() {
    let slow = APP.replace("0.5", "1.5");
    let apps = format!(
        "[apps.b]\ncommand = [\"python3\", \"-c\", '''{slow}''']\npath = \"/b\"\naccess = \"signed-in\"\n"
    );
    let fixture = Fixture::beside("", &apps).await;
    let appliance = &fixture.appliance;
    appliance.wait_for_state("b", "ready").await;
    let mut browser = fixture.signed_in("alice").await;
    assert_eq!(browser.go("/b/").await.status, StatusCode::OK);
    assert!(appliance.cli(&["restart", "b", "--no-wait"]).status.success());
    let cookies = browser.cookie_line();
    let waiting = async {
        let asked = Browser::new(&appliance.url);
        asked.send(Method::GET, "/b/", &[("Cookie", &cookies)]).await.unwrap()
    };
    let ending = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let origin = [("Origin", appliance.url.as_str()), ("Cookie", &cookies)];
        let other = Browser::new(&appliance.url);
        other.send(Method::POST, "/oauth2/sign_out", &origin).await.unwrap()
    };
    let (answer, ended) = tokio::join!(waiting, ending);
    assert!(ended.status.is_redirection(), "{ended:?}");
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED, "{answer:?}");
}
