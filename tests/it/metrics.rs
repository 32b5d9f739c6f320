//! `/metrics`.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::{Method, StatusCode};

use crate::fixture::Fixture;
use crate::harness::{Appliance, Browser, FETCH, eventually, free_port};

const PAGE: &str = r#"
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *rest): pass
    def do_GET(self):
        print("0123456789", flush=True)
        self.send_response(int(self.path.rsplit("/", 1)[1] or "200"))
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

async fn scrape(port: u16) -> String {
    let response = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    response.text().await.unwrap()
}

/// The value of a series; 0 if the page does not have it.
fn value(page: &str, series: &str) -> f64 {
    let mut lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    let found = lines.find(|(name, _)| *name == series);
    found.map_or(0.0, |(_, value)| value.parse().unwrap())
}

#[expect(clippy::float_cmp, reason = "small whole numbers")]
fn is(page: &str, series: &str, wanted: f64) -> bool {
    value(page, series) == wanted
}

fn start(port: u16) -> Appliance {
    // A proxy in front on the same machine does not matter here.
    Appliance::start(&format!(
        "metrics = \"127.0.0.1:{port}\"\ntrusted_proxies = [\"127.0.0.1\"]\n\
         [apps.a]\ncommand = [\"python3\", \"-c\", '''{PAGE}''']\npath = \"/a\"\naccess = \"public\"\n"
    ))
}

#[tokio::test]
async fn requests_and_apps_are_counted_and_a_reload_keeps_the_counts() {
    let port = free_port();
    let appliance = start(port);
    appliance.wait_for_state("a", "ready").await;
    let browser = Browser::new(&appliance.url);
    for (path, wanted) in [("/a/200", 200), ("/a/200", 200), ("/a/418", 418), ("/missing", 404)] {
        let status = browser.send(Method::GET, path, FETCH).await.unwrap().status;
        assert_eq!(status, StatusCode::from_u16(wanted).unwrap(), "{path}");
    }
    let counted = async || {
        let page = scrape(port).await;
        let all = is(&page, "appliance_requests_total{app=\"a\",code=\"200\"}", 2.0)
            && is(&page, "appliance_requests_total{app=\"a\",code=\"418\"}", 1.0)
            && is(&page, "appliance_requests_total{app=\"appliance\",code=\"404\"}", 1.0)
            && is(&page, "appliance_requests_in_flight{app=\"a\"}", 0.0)
            && is(&page, "appliance_request_duration_seconds_count{app=\"a\"}", 3.0)
            && is(&page, "appliance_log_bytes_total{app=\"a\"}", 33.0)
            && is(&page, "appliance_app_state{app=\"a\",state=\"ready\"}", 1.0)
            && is(&page, "appliance_config_last_reload_successful", 1.0)
            && value(&page, "appliance_app_memory_bytes{app=\"a\"}") > 1e6
            && value(&page, "appliance_app_start_seconds{app=\"a\"}") > 0.0
            && value(&page, "process_resident_memory_bytes") > 1e6;
        all.then_some(page)
    };
    let page = eventually("the counts", counted).await;
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        assert!(
            line.rsplit_once(' ').is_some_and(|(_, value)| value.parse::<f64>().is_ok()),
            "{line}"
        );
    }
    assert!(!page.contains("missing"), "no label is a path\n{page}");

    let path = appliance.path("appliance.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replace("access = \"public\"", "access = \"public\"\ntitle = \"A\"");
    std::fs::write(&path, changed).unwrap();
    assert!(appliance.cli(&["reload"]).status.success());
    eventually("the same counts", counted).await;

    std::fs::write(&path, "[apps.a").unwrap();
    assert_eq!(appliance.cli(&["reload"]).status.code(), Some(78));
    assert!(is(&scrape(port).await, "appliance_config_last_reload_successful", 0.0));

    let moved = text.replace(&format!("127.0.0.1:{port}"), "127.0.0.1:1");
    std::fs::write(&path, moved).unwrap();
    let answer = String::from_utf8(appliance.cli(&["reload"]).stdout).unwrap();
    assert!(answer.contains("needs a new start: server.metrics"), "{answer}");
    scrape(port).await;
}

#[tokio::test]
async fn only_clients_of_this_machine_read_the_numbers() {
    let port = free_port();
    let appliance = start(port);
    appliance.wait_for_state("a", "ready").await;
    let client = reqwest::Client::new();
    let ask = async |method: Method, path: &str, header: Option<(&str, &str)>| {
        let mut request = client.request(method, format!("http://127.0.0.1:{port}{path}"));
        if let Some((name, value)) = header {
            request = request.header(name, value);
        }
        request.send().await.unwrap().status().as_u16()
    };
    for (method, path, header, wanted) in [
        (Method::GET, "/metrics", None, 200),
        (Method::HEAD, "/metrics", None, 200),
        (Method::GET, "/metrics?x=1", Some(("host", "localhost:1")), 200),
        (Method::POST, "/metrics", None, 405),
        (Method::GET, "/", None, 404),
        // A page of another site whose name leads to this machine, and a relay.
        (Method::GET, "/metrics", Some(("host", "evil.example")), 403),
        (Method::GET, "/metrics", Some(("x-forwarded-for", "192.0.2.1")), 403),
    ] {
        assert_eq!(ask(method.clone(), path, header).await, wanted, "{method} {path} {header:?}");
    }
}

#[tokio::test]
async fn people_are_counted_without_their_names() {
    let port = free_port();
    let fixture = Fixture::beside(&format!("metrics = \"127.0.0.1:{port}\""), "").await;
    let browsers = [fixture.signed_in("alice").await, fixture.signed_in("alice").await];
    let _other = fixture.signed_in("bob").await;
    assert_eq!(browsers[0].send(Method::GET, "/two/", FETCH).await.unwrap().status, 200);
    // Strangers, and requests to the appliance itself, are no people of an app.
    assert_eq!(fixture.browser().send(Method::GET, "/open/", FETCH).await.unwrap().status, 200);
    let page = scrape(port).await;
    for (series, wanted) in [
        ("appliance_sessions", 3.0),
        ("appliance_users_active", 2.0),
        ("appliance_app_users{app=\"app\"}", 2.0),
        ("appliance_app_users{app=\"two\"}", 1.0),
        ("appliance_app_users{app=\"open\"}", 0.0),
        ("appliance_logins_total{result=\"success\"}", 3.0),
        ("appliance_logins_total{result=\"failure\"}", 0.0),
        ("appliance_issuer_up", 1.0),
    ] {
        assert!(is(&page, series, wanted), "{series}\n{page}");
    }
    assert!(!page.contains("alice"), "{page}");
    assert!(page.contains("appliance_app_users{app=\"open\"} 0"), "{page}");
    let users = |name: &str| fixture.appliance.app(name).unwrap()["users"].clone();
    assert_eq!((users("app"), users("two"), users("open")), (2.into(), 1.into(), 0.into()));
}

/// The status of the answer to the head of a request; 0 without an answer.
fn status(port: u16, head: &str) -> u16 {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream.write_all(format!("{head}\r\n\r\n").as_bytes()).unwrap();
    let mut text = String::new();
    let _ = stream.read_to_string(&mut text);
    assert!(text.is_empty() || text.contains("x-content-type-options: nosniff"), "{text}");
    text.split(' ').nth(1).map_or(0, |code| code.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_clients_keep_nobody_out_and_a_request_names_one_host() {
    let port = free_port();
    let appliance = start(port);
    appliance.wait_for_state("a", "ready").await;
    let idle: Vec<_> = (0..40).map(|_| TcpStream::connect(("127.0.0.1", port)).unwrap()).collect();
    for (head, wanted) in [
        ("GET /metrics HTTP/1.1\r\nHost: localhost", 200),
        ("GET http://localhost/metrics HTTP/1.1\r\nHost: LOCALHOST", 200),
        ("GET http://evil.test/metrics HTTP/1.1\r\nHost: localhost", 400),
        ("GET http://localhost/metrics HTTP/1.1\r\nHost: evil.test", 400),
        ("GET /metrics HTTP/1.1\r\nHost: evil.test", 403),
        ("GET /metrics HTTP/1.1\r\nHost: user@localhost", 400),
        ("GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost", 400),
        ("GET /metrics HTTP/1.1", 400),
        ("GET /metrics HTTP/1.0", 400),
    ] {
        assert_eq!(status(port, head), wanted, "{head}");
    }
    let mut last = &idle[39];
    last.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    assert!(matches!(last.read(&mut [0]), Ok(0)), "a client without a request is closed");
}
