//! Apps behind a removed prefix, and proxies in front of the appliance.

use std::io::{Read, Write};
use std::time::Duration;

use reqwest::Method;

use crate::fixture::Fixture;
use crate::harness::{Appliance, Browser, FETCH, NAVIGATION, PATIENCE};
use crate::upstream::Upstream;

const STRIPPED: &str = r#"
[apps.sh]
path = "/sh"
upstream = "http://127.0.0.1:{UP}"
strip_prefix = true
[apps.bare]
path = "/bare"
upstream = "http://127.0.0.1:{UP}"
strip_prefix = true
trailing_slash = false
access = "public"
"#;

#[tokio::test]
async fn an_app_without_its_prefix_learns_the_prefix() {
    let fixture = Fixture::beside("", STRIPPED).await;
    let client = fixture.browser();
    let handshake = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let evil = ("x-forwarded-prefix", "/evil");
    let odd = ("x_forwarded_prefix", "/evil");
    for (path, lines, wanted) in [
        ("/bare/x", vec![], vec!["/bare"]),
        ("/bare", vec![evil], vec!["/bare"]),
        ("/bare/x", vec![odd], vec!["/bare"]),
        ("/bare/ws", handshake.to_vec(), vec!["/bare"]),
        ("/open/x", vec![evil], vec![]),
    ] {
        client.send(Method::GET, path, &lines).await.unwrap();
        let seen = fixture.upstream.seen().pop().unwrap();
        assert_eq!(seen.all("x-forwarded-prefix"), wanted, "{path} {lines:?}");
        assert!(seen.all("x_forwarded_prefix").is_empty(), "{path} {lines:?}");
    }
}

#[tokio::test]
async fn the_path_of_a_stripped_app_gets_its_slash() {
    let fixture = Fixture::beside("", STRIPPED).await;
    let stranger = fixture.browser();
    let answer = stranger.send(Method::GET, "/sh?x=1", FETCH).await.unwrap();
    assert_eq!(answer.status, 401, "{answer:?}");
    let mut alice = fixture.browser();
    fixture.issuer.order(|orders| orders.user = "alice".into());
    let answer = alice.go("/sh?x=1").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(fixture.upstream.seen().last().unwrap().target, "/?x=1");
    assert!(answer.url.ends_with("/sh/?x=1"), "{answer:?}");
    for (method, path, status) in [
        (Method::HEAD, "/sh", 308),
        (Method::GET, "/sh?x=%2F", 308),
        (Method::POST, "/sh", 200),
        (Method::GET, "/sh/", 200),
        (Method::GET, "/bare", 200),
        (Method::GET, "/app", 200),
    ] {
        let answer = alice.send(method.clone(), path, NAVIGATION).await.unwrap();
        assert_eq!(answer.status, status, "{method} {path} {answer:?}");
    }
}

#[tokio::test]
async fn the_page_for_a_wrong_address_names_what_came_and_what_to_do() {
    let fixture = Fixture::new().await;
    let client = fixture.browser();
    for host in ["backend:8080", "10.1.2.3", "[::1]:9000", "apps.example"] {
        let lines = [NAVIGATION, &[("host", host)]].concat();
        let answer = client.send(Method::GET, "/app/x", &lines).await.unwrap();
        assert_eq!(answer.status, 421, "{host}");
        for word in [host, "http://localhost:", "PUBLIC_URL", "proxy_set_header Host"] {
            assert!(answer.body.contains(word), "{word} in {}", answer.body);
        }
        let style = client.send(Method::GET, "/_appliance/style.css", &lines).await.unwrap();
        assert_eq!(style.status, 200, "{host}");
        let portal = client.send(Method::GET, "/_appliance/", &lines).await.unwrap();
        assert_eq!(portal.status, 421, "{host}");
    }
}

/// Behind a proxy that terminates TLS: `public_url` is https, and every client counts as this proxy.
const BEHIND_TLS: &str = r#"
[server]
listen = "127.0.0.1:{PORT}"
public_url = "https://apps.example.org"
state_dir = "{DIR}/state"
trusted_proxies = ["127.0.0.0/8"]
[apps.app]
path = "/app"
access = "public"
upstream = "http://127.0.0.1:{UP}"
[apps.vault]
host = "vault.example.org"
access = "public"
upstream = "http://127.0.0.1:{UP}"
"#;

async fn behind_tls() -> (Upstream, Appliance, Browser) {
    let upstream = Upstream::start();
    let config = BEHIND_TLS.replace("{UP}", &upstream.port.to_string());
    let appliance = Appliance::start_with(&config);
    appliance.wait_ready().await;
    let client = Browser::new(&appliance.url);
    (upstream, appliance, client)
}

#[tokio::test]
async fn a_page_by_http_under_an_https_address_is_sent_to_https() {
    let (_upstream, _appliance, client) = behind_tls().await;
    let (apps, vault) = (("host", "apps.example.org"), ("host", "Vault.example.org"));
    let http = ("x-forwarded-proto", "http");
    for (path, lines, wanted) in [
        ("/app/x?y=%2F", vec![apps, http], "https://apps.example.org/app/x?y=%2F"),
        ("/nowhere", vec![apps, http], "https://apps.example.org/nowhere"),
        ("/oauth2/start?rd=%2F", vec![apps, http], "https://apps.example.org/oauth2/start?rd=%2F"),
        ("/x", vec![vault, http], "https://Vault.example.org/x"),
        ("/app/", vec![apps, ("forwarded", "proto=http")], "https://apps.example.org/app/"),
        ("/app/", vec![apps, ("x-forwarded-proto", "https")], ""),
        ("/app/", vec![apps, ("x-forwarded-proto", "https, http")], ""),
        ("/app/", vec![apps], ""),
        ("/_appliance/live", vec![apps, http], ""),
        ("/_appliance/ready", vec![apps, http], ""),
    ] {
        let lines = [NAVIGATION, &lines].concat();
        for method in [Method::GET, Method::HEAD] {
            let answer = client.send(method, path, &lines).await.unwrap();
            let status = if wanted.is_empty() { 200 } else { 308 };
            assert_eq!(answer.status, status, "{path} {lines:?} {answer:?}");
            assert_eq!(answer.location(), wanted, "{path} {lines:?}");
            assert_eq!(answer.headers.get("set-cookie"), None, "{path}");
        }
    }
    let lines = [FETCH, &[apps, http]].concat();
    assert_eq!(client.send(Method::GET, "/app/", &lines).await.unwrap().status, 200);
    let lines = [NAVIGATION, &[apps, http]].concat();
    assert_eq!(client.send(Method::POST, "/app/", &lines).await.unwrap().status, 200);
}

#[tokio::test]
async fn the_forwarded_host_of_a_trusted_proxy_counts_as_the_host() {
    let (upstream, appliance, client) = behind_tls().await;
    let inside = ("host", "appliance:8080");
    for (path, forwarded, status, host) in [
        ("/app/x", "apps.example.org", 200, "apps.example.org"),
        ("/x", "vault.example.org", 200, "vault.example.org"),
        ("/app/x", "evil.example, apps.example.org", 200, "apps.example.org"),
        ("/app/x", "apps.example.org, evil.example", 421, ""),
        ("/app/x", "evil.example", 421, ""),
    ] {
        let lines = [NAVIGATION, &[inside, ("x-forwarded-host", forwarded)]].concat();
        let answer = client.send(Method::GET, path, &lines).await.unwrap();
        assert_eq!(answer.status, status, "{forwarded} {answer:?}");
        if status == 200 {
            let seen = upstream.seen().pop().unwrap();
            assert_eq!(seen.all("host"), [host], "{forwarded}");
            assert_eq!(seen.all("x-forwarded-host"), [host], "{forwarded}");
        }
    }
    // The page of an unknown host names the host that came.
    for _ in 0..100 {
        if appliance.log().contains("host=appliance:8080") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    appliance.logs("host=appliance:8080").await;
    // A known host stays, whatever the client writes.
    let lines = [("host", "apps.example.org"), ("x-forwarded-host", "vault.example.org")];
    let answer = client.send(Method::GET, "/app/x", &lines).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = upstream.seen().pop().unwrap();
    assert_eq!(seen.all("host"), ["apps.example.org"]);
    assert_eq!(seen.all("x-forwarded-host"), ["apps.example.org"]);
}

#[tokio::test]
async fn the_forwarded_host_of_a_stranger_does_not_count() {
    let fixture = Fixture::new().await;
    let right = format!("localhost:{}", fixture.appliance.port);
    let lines = [("host", "appliance:8080"), ("x-forwarded-host", right.as_str())];
    let answer = fixture.browser().send(Method::GET, "/open/x", &lines).await.unwrap();
    assert_eq!(answer.status, 421, "{answer:?}");
}

#[test]
fn probes_are_answered_without_a_host() {
    let appliance = Appliance::start("");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(appliance.wait_ready());
    for (request, status) in [
        ("GET /_appliance/live HTTP/1.0\r\n\r\n", "200"),
        ("HEAD /_appliance/live HTTP/1.0\r\n\r\n", "200"),
        ("GET /_appliance/ready HTTP/1.0\r\n\r\n", "200"),
        ("HEAD /_appliance/ready HTTP/1.0\r\nHost: [fd00::7]:80\r\n\r\n", "200"),
        ("GET /_appliance/live HTTP/1.1\r\nHost: 10.1.2.3\r\nConnection: close\r\n\r\n", "200"),
        ("GET /_appliance/live HTTP/1.1\r\nConnection: close\r\n\r\n", "400"),
        ("GET /_appliance/live HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", "400"),
        ("GET /_appliance/ HTTP/1.0\r\n\r\n", "400"),
        ("GET / HTTP/1.0\r\n\r\n", "400"),
        ("POST /_appliance/live HTTP/1.0\r\n\r\n", "405"),
    ] {
        let answer = raw(&appliance, request.as_bytes());
        assert_eq!(answer.get(9..12), Some(status), "{request:?} {answer}");
        let headless = request.starts_with("HEAD");
        assert_eq!(answer.ends_with("\r\n\r\n"), headless, "{request:?} {answer}");
    }
}

/// Sends the bytes of a request and reads to the end of the connection.
fn raw(appliance: &Appliance, request: &[u8]) -> String {
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", appliance.port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
