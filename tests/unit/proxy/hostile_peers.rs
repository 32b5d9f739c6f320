//! What a hostile or broken neighbour of the front door gets.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use super::{Door, SECOND, eventually, read_head, status_of};

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

#[test]
fn interim_answers_without_end_do_not_hold_a_request() {
    let door = Door::open();
    for what in ["endless", "drip"] {
        let began = Instant::now();
        let answer = door.ask(&format!("GET /e/{what}"), "");
        assert_eq!(status_of(&answer), 504, "{what} {answer}");
        assert!(began.elapsed() < 3 * SECOND, "{what} {:?}", began.elapsed());
        eventually(|| door.app.open() == 0);
    }
    for count in [1, 100, 5000] {
        let answer = door.ask(&format!("GET /e/interim-{count}"), "");
        assert!(status_of(&answer) == 200 && answer.ends_with("\r\n\r\nok"), "{count} {answer}");
    }
    let (_, handshake) = door.websocket("/e/endless", "");
    assert_eq!(status_of(&handshake), 504);
}

#[test]
fn a_late_body_is_never_another_requests_answer() {
    let door = Door::open();
    for line in ["HEAD /e/late-200", "HEAD /e/late-404", "GET /e/late-204", "GET /e/late-304"] {
        let mut stream = door.connect();
        for line in [line, "GET /e/next"] {
            stream.write_all(&door.head(line, "")).unwrap();
            let head = read_head(&mut stream);
            assert!(!head.contains("content-length: 6\r\n"), "{line} {head}");
        }
        let seen = door.app.seen();
        let [.., bodiless, next] = seen.as_slice() else { panic!("not asked") };
        assert!(next.target.ends_with("next") && bodiless.connection != next.connection, "{line}");
    }
    for lines in [["GET /e/x", "GET /e/y"], ["GET /e/status-404", "POST /e/x"]] {
        let mut stream = door.connect();
        for line in lines {
            stream.write_all(&door.head(line, "Content-Length: 0\r\n")).unwrap();
            let head = read_head(&mut stream);
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            stream.read_exact(&mut vec![0; length.unwrap().parse().unwrap()]).unwrap();
        }
        let seen = door.app.seen();
        let [.., first, next] = seen.as_slice() else { panic!("not asked") };
        assert_eq!(first.connection, next.connection, "{lines:?}");
    }
}
