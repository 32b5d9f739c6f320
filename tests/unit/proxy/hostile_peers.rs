//! What a hostile or broken neighbour of the front door gets.

use std::io::Write;
use std::time::{Duration, Instant};

use super::{Door, SECOND, eventually, status_of};

#[test]
fn a_client_that_takes_nothing_is_let_go() {
    let door = Door::open();
    let mut stream = door.connect();
    stream.write_all(&door.head("GET /e/bytes-60000000", "")).unwrap();
    eventually(|| door.app.open() == 1);
    let began = Instant::now();
    let wait = Duration::from_secs(8);
    while door.app.open() > 0 && began.elapsed() < wait {
        std::thread::park_timeout(Duration::from_millis(50));
    }
    assert!(began.elapsed() < wait, "the app still waits");
    drop(stream);
}

#[test]
fn another_protocol_is_told_so() {
    let door = Door::open();
    let answer = door.raw(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(status_of(&answer), 400, "{answer}");
    assert!(answer.contains("x-request-id: "), "{answer}");
}

#[test]
fn a_bad_answer_is_asked_for_once() {
    let door = Door::open();
    for what in ["garbled", "lengths"] {
        assert_eq!(door.status("GET /e/x", ""), 200);
        assert_eq!(door.status(&format!("GET /e/{what}"), ""), 502, "{what}");
        let asked = door.app.seen().iter().filter(|seen| seen.target.ends_with(what)).count();
        assert_eq!(asked, 1, "{what}");
    }
}

#[test]
fn an_early_answer_ends_the_connection_at_once() {
    let door = Door::open();
    let began = Instant::now();
    let answer = door.raw(&door.head("POST /e/early", "Content-Length: 50\r\n\r\nhel"));
    assert_eq!(status_of(&answer), 413);
    assert!(answer.contains("connection: close\r\n"), "{answer}");
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
}

#[test]
fn a_stop_waits_only_a_moment_for_half_a_head() {
    let mut door = Door::open();
    let mut half = door.connect();
    half.write_all(b"GET /e/x HTTP/1.1\r\nHo").unwrap();
    let serving = door.serving.take().unwrap();
    let began = Instant::now();
    door.runtime.block_on(serving.drain(5 * SECOND));
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
}
