//! Hostile and broken clients and apps.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::{SECOND, TestProxy, eventually, read_head, status_of};

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
