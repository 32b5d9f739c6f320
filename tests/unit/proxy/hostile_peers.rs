//! Hostile and broken clients and apps.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::{SECOND, TestProxy, eventually, read_head, status_of};
use crate::config::Phase;

#[test]
fn a_client_that_reads_nothing_is_disconnected() {
    let proxy = TestProxy::start();
    let mut stream = proxy.connect();
    stream.write_all(&proxy.head("GET /e/bytes-60000000", "")).unwrap();
    eventually(|| proxy.app.open() == 1);
    let began = Instant::now();
    let wait = Duration::from_secs(8);
    while proxy.app.open() > 0 && began.elapsed() < wait {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert!(began.elapsed() < wait, "the app's connection is still open");
    drop(stream);
}

#[test]
fn bytes_of_another_protocol_get_a_400() {
    let proxy = TestProxy::start();
    let answer = proxy.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(status_of(&answer), 400, "{answer}");
    assert!(answer.contains("x-request-id: "), "{answer}");
}

#[test]
fn a_request_with_an_invalid_response_is_not_repeated() {
    let proxy = TestProxy::start();
    for what in ["garbled", "lengths"] {
        assert_eq!(proxy.status("GET /e/x", ""), 200);
        assert_eq!(proxy.status(&format!("GET /e/{what}"), ""), 502, "{what}");
        let asked = proxy.app.seen().iter().filter(|seen| seen.target.ends_with(what)).count();
        assert_eq!(asked, 1, "{what}");
    }
}

#[test]
fn an_early_response_closes_the_connection_at_once() {
    let proxy = TestProxy::start();
    let began = Instant::now();
    let answer = proxy.raw(&proxy.head("POST /e/early", "Content-Length: 50\r\n\r\nhel"));
    assert_eq!(status_of(&answer), 413);
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
}

#[test]
fn a_stop_waits_only_briefly_for_an_incomplete_head() {
    let mut proxy = TestProxy::start();
    let mut half = proxy.connect();
    half.write_all(b"GET /e/x HTTP/1.1\r\nHo").unwrap();
    let serving = proxy.serving.take().unwrap();
    let began = Instant::now();
    proxy.runtime.block_on(serving.drain(5 * SECOND));
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
}

#[test]
fn slow_and_idle_clients_are_disconnected() {
    let proxy = TestProxy::start();
    let began = Instant::now();
    assert_eq!(proxy.raw(b""), "");
    assert_eq!(status_of(&proxy.raw(b"GET /e/x HTTP/1.1\r\nHo")), 408);
    let mut idle = proxy.connect();
    idle.write_all(&proxy.head("GET /e/x", "")).unwrap();
    read_head(&mut idle);
    let mut rest = Vec::new();
    idle.read_to_end(&mut rest).unwrap();
    let took = began.elapsed();
    assert!(took > 3 * SECOND && took < 6 * SECOND, "{took:?}");
}

/// `send_timeout` is 2 s here, and `body_timeout` 0.7 s.
#[test]
fn a_client_that_reads_nothing_has_the_send_timeout() {
    let proxy = TestProxy::start();
    let size = 30_000_000;
    let line = format!("GET /e/bytes-{size}");
    for (pause, whole) in [(SECOND * 14 / 10, true), (5 * SECOND, false)] {
        let mut stream = proxy.connect();
        stream.write_all(&proxy.head(&line, "Connection: close\r\n")).unwrap();
        read_head(&mut stream);
        std::thread::park_timeout(pause);
        let mut rest = Vec::new();
        let complete = stream.read_to_end(&mut rest).is_ok() && rest.len() >= size;
        assert_eq!(complete, whole, "{pause:?} {}", rest.len());
        // The connection to the app of a complete response is kept for the next request.
        eventually(|| whole || proxy.app.open() == 0);
    }
    // Some bytes now and then are enough.
    let mut stream = proxy.connect();
    stream.write_all(&proxy.head(&line, "Connection: close\r\n")).unwrap();
    read_head(&mut stream);
    for _ in 0..4 {
        std::thread::park_timeout(SECOND);
        stream.read_exact(&mut vec![0; 3_000_000]).unwrap();
    }
    let mut rest = Vec::new();
    assert!(stream.read_to_end(&mut rest).is_ok() && rest.len() + 12_000_000 >= size);
}

#[test]
fn interim_responses_without_end_do_not_hold_a_request() {
    let proxy = TestProxy::start();
    for what in ["endless", "interim-drip"] {
        let began = Instant::now();
        let response = proxy.ask(&format!("GET /e/{what}"), "");
        assert_eq!(status_of(&response), 504, "{what} {response}");
        assert!(began.elapsed() < 3 * SECOND, "{what} {:?}", began.elapsed());
        eventually(|| proxy.app.open() == 0);
    }
    for count in [1, 100, 5000] {
        let response = proxy.ask(&format!("GET /e/interim-{count}"), "");
        let served = status_of(&response) == 200 && response.ends_with("\r\n\r\nok");
        assert!(served, "{count} {response}");
    }
    let (_, handshake) = proxy.websocket("/e/endless", "");
    assert_eq!(status_of(&handshake), 504);
}

#[test]
fn a_late_body_is_never_the_response_to_another_request() {
    let proxy = TestProxy::start();
    for line in ["HEAD /e/late-200", "HEAD /e/late-404", "GET /e/late-204", "GET /e/late-304"] {
        let mut stream = proxy.connect();
        for line in [line, "GET /e/next"] {
            stream.write_all(&proxy.head(line, "")).unwrap();
            let head = read_head(&mut stream);
            assert!(!head.contains("content-length: 6\r\n"), "{line} {head}");
        }
        let seen = proxy.app.seen();
        let [.., bodiless, next] = seen.as_slice() else { panic!("the app has seen no request") };
        assert!(next.target.ends_with("next") && bodiless.connection != next.connection, "{line}");
    }
}

/// An app that leaves a body unread would take it for the next request on the connection.
#[test]
fn a_request_with_a_body_has_a_connection_of_its_own() {
    let proxy = TestProxy::start();
    let mut client = proxy.connect();
    let mut ask = |method: &str, body: &str| {
        let line = format!("{method} /e/status-204");
        client.write_all(&proxy.head(&line, body)).unwrap();
        assert_eq!(status_of(&read_head(&mut client)), 204, "{method}");
        proxy.app.seen().pop().unwrap()
    };
    let (counted, chunked) =
        ("Content-Length: 2\r\n\r\nhi", "Transfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n");
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "XGET"] {
        for body in [counted, chunked] {
            let [before, with_body, after] = [("GET", ""), (method, body), ("GET", "")]
                .map(|(method, body)| ask(method, body.strip_suffix("\r\n").unwrap_or(body)));
            assert_eq!(with_body.body, b"hi", "{method}");
            assert_eq!(with_body.all("connection"), ["close"], "{method}");
            assert!(before.connection != with_body.connection, "{method}");
            assert!(with_body.connection != after.connection, "{method}");
        }
    }
    assert_eq!(ask("POST", "Content-Length: 0\r\n").all("connection"), [""; 0]);
}

#[test]
fn ordinary_responses_keep_the_connection_to_the_app() {
    let proxy = TestProxy::start();
    let mut stream = proxy.connect();
    for line in [
        "GET /e/x",
        "GET /e/status-404",
        "POST /e/x",
        "DELETE /e/x",
        "GET /e/interim-3",
        "GET /e/x",
    ] {
        stream.write_all(&proxy.head(line, "Content-Length: 0\r\n")).unwrap();
        let head = read_head(&mut stream);
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        stream.read_exact(&mut vec![0; length.unwrap().parse().unwrap()]).unwrap();
    }
    let seen = proxy.app.seen();
    assert!(seen.iter().all(|one| one.connection == seen[0].connection), "{seen:?}");
}

#[test]
fn an_apps_response_does_not_speak_for_other_apps() {
    let proxy = TestProxy::start();
    let response = proxy.ask("GET /e/origin", "");
    assert!(response.contains("service-worker-allowed: /e/\r\n"), "{response}");
    assert!(!response.contains("clear-site-data") && !response.contains("nel:"), "{response}");
    let stripped = proxy.ask("GET /s/origin", "");
    assert!(stripped.contains("service-worker-allowed: /s/\r\n"), "{stripped}");
}

#[test]
fn the_readiness_probe_names_apps_only_on_this_machine() {
    let proxy = TestProxy::start();
    proxy.phase.send_replace(Phase::Failed);
    assert!(proxy.ask("GET /_appliance/ready", "").contains(r#""child":"failed""#));
    for more in ["X-Forwarded-For: 127.0.0.1\r\n", "Via: 1.1 x\r\n", "Forwarded: for=::1\r\n"] {
        let response = proxy.ask("GET /_appliance/ready", more);
        assert!(response.ends_with(r#"{"ready":true}"#), "{more} {response}");
    }
}

#[test]
fn identity_headers_of_clients_are_removed() {
    let proxy = TestProxy::start();
    let answer = proxy.ask(
        "GET /e/x",
        "X-Forwarded-User: evil\r\nX_Forwarded_User: evil\r\nX.Forwarded.Email: evil\r\n\
         Remote-User: evil\r\nX-Auth-Request-Anything: evil\r\nProxy: evil\r\nForwarded: evil\r\n\
         Remote-Groups: evil\r\nX-Forwarded-Anything: evil\r\nX-HTTP-Method-Override: evil\r\n\
         X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 6.6.6.6\r\nForwarded-Who: kept\r\n",
    );
    assert_eq!(status_of(&answer), 200);
    assert!(!answer.contains("evil") && !answer.contains("6.6.6.6"), "{answer}");
    assert!(answer.contains("kept"), "{answer}");
}
