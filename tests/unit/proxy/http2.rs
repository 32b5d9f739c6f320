//! Hostile and slow clients of HTTP/2, frame by frame.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::{SECOND, TestProxy, eventually, status_of};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A header field, not compressed (RFC 7541 section 6.2.2).
fn field(name: &str, value: &str) -> Vec<u8> {
    let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    [vec![0], text(name), text(value)].concat()
}

/// A client that does only what a test says.
struct Client {
    socket: TcpStream,
    host: String,
}

/// What has become of a connection.
#[derive(Debug, Default)]
struct Outcome {
    /// The frames that came: kind, stream and payload.
    frames: Vec<(u8, u32, Vec<u8>)>,
    /// The connection was closed.
    closed: bool,
}

impl Outcome {
    fn has(&self, kind: u8, stream: u32) -> bool {
        self.frames.iter().any(|(one, of, _)| (*one, *of) == (kind, stream))
    }

    /// The status 200 of the static table.
    fn is_ok(&self, stream: u32) -> bool {
        let head = |frame: &&(u8, u32, Vec<u8>)| (frame.0, frame.1) == (HEADERS, stream);
        self.frames.iter().find(head).is_some_and(|(_, _, block)| block.contains(&0x88))
    }
}

impl Client {
    fn connect(proxy: &TestProxy) -> Self {
        let client = Self { socket: proxy.connect(), host: format!("localhost:{}", proxy.port) };
        client.send(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat());
        client
    }

    /// A client with an event stream on stream 1, so that its connection is never idle.
    fn with_events(proxy: &TestProxy) -> Self {
        let mut client = Self::connect(proxy);
        client.get(1, "/e/ticks");
        let outcome = client.until(5 * SECOND, |outcome| outcome.has(DATA, 1));
        assert!(outcome.is_ok(1), "{outcome:?}");
        client
    }

    /// Sends; whether the other side has taken it.
    fn send(&self, bytes: &[u8]) -> bool {
        (&self.socket).write_all(bytes).is_ok()
    }

    fn block(&self, method: &str, path: &str) -> Vec<u8> {
        let fields =
            [(":method", method), (":scheme", "http"), (":authority", &self.host), (":path", path)];
        fields.iter().flat_map(|(name, value)| field(name, value)).collect()
    }

    fn get(&self, stream: u32, path: &str) {
        let block = self.block("GET", path);
        self.send(&frame(HEADERS, END_STREAM | END_HEADERS, stream, &block));
    }

    /// Reads frames, and acknowledges settings, until `what` holds, the connection is closed or the time is
    /// over.
    fn until(&mut self, time: Duration, mut what: impl FnMut(&Outcome) -> bool) -> Outcome {
        let (end, mut outcome, mut bytes) = (Instant::now() + time, Outcome::default(), Vec::new());
        while !what(&outcome) && Instant::now() < end {
            while let Some(length) = whole(&bytes) {
                let frame: Vec<u8> = bytes.drain(..length).collect();
                let stream = u32::from_be_bytes([frame[5], frame[6], frame[7], frame[8]]);
                if frame[3] == SETTINGS && frame[4] == 0 {
                    self.send(&self::frame(SETTINGS, 1, 0, &[]));
                }
                if frame[3] == PING && frame[4] == 0 {
                    self.send(&self::frame(PING, 1, 0, &frame[9..]));
                }
                outcome.frames.push((frame[3], stream, frame[9..].to_vec()));
            }
            if what(&outcome) {
                break;
            }
            self.socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            let mut piece = [0; 4096];
            match self.socket.read(&mut piece) {
                Ok(0) => outcome.closed = true,
                Ok(count) => bytes.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                Err(_) => outcome.closed = true,
            }
            if outcome.closed && whole(&bytes).is_none() {
                break;
            }
        }
        outcome
    }

    /// Reads until the connection is closed, for 15 s at most.
    fn until_closed(&mut self) -> Outcome {
        self.until(15 * SECOND, |_| false)
    }
}

/// The length of the first frame if all of it is there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let length = 9 + u32::from_be_bytes([0, *bytes.first()?, *bytes.get(1)?, *bytes.get(2)?]);
    let length = usize::try_from(length).unwrap();
    (bytes.len() >= length.max(9)).then_some(length)
}

fn is_served(proxy: &TestProxy) {
    let began = Instant::now();
    let mut other = Client::connect(proxy);
    other.get(1, "/e/x");
    let outcome = other.until(5 * SECOND, |outcome| outcome.has(DATA, 1));
    assert!(outcome.is_ok(1), "{outcome:?}");
    assert!(began.elapsed() < 3 * SECOND, "{:?}", began.elapsed());
}

#[test]
fn the_protocol_is_found_out_byte_by_byte() {
    let proxy = TestProxy::start_with(true);
    let client = Client { socket: proxy.connect(), host: format!("localhost:{}", proxy.port) };
    let mut client = client;
    for byte in PREFACE {
        client.send(&[*byte]);
        std::thread::park_timeout(Duration::from_millis(5));
    }
    client.send(&frame(SETTINGS, 0, 0, &[]));
    client.get(1, "/e/x");
    assert!(client.until(5 * SECOND, |outcome| outcome.has(DATA, 1)).is_ok(1));
    // HTTP/1 on the same address, also with a method that begins like the preface.
    assert_eq!(proxy.status("GET /e/x", ""), 200);
    assert_eq!(proxy.status("PRI /e/x", ""), 200);
    assert_eq!(proxy.status("POST /e/x", "Content-Length: 2\r\n\r\nhi"), 200);
    let mut slow = proxy.connect();
    for byte in proxy.head("PUT /e/x", "Connection: close\r\n") {
        slow.write_all(&[byte]).unwrap();
    }
    let mut answer = String::new();
    slow.read_to_string(&mut answer).unwrap();
    assert_eq!(status_of(&answer), 200, "{answer}");
    let (mut tunnel, head) = proxy.websocket("/e/ws", "");
    assert_eq!(status_of(&head), 101, "{head}");
    tunnel.write_all(&super::frame(1, b"hi", true)).unwrap();
    assert_eq!(super::read_frame(&mut tunnel).unwrap(), (1, b"hi".to_vec()));
    let garbage = proxy.raw(b"PRI * HTTP/2.0\r\n\r\nSX\r\n\r\n");
    assert_eq!(status_of(&garbage), 400, "{garbage}");
}

/// `header_timeout` is 1 s, `idle_timeout` 2 s.
#[test]
fn a_client_that_does_not_ask_is_closed() {
    let proxy = TestProxy::start_with(true);
    let rest = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    // Nothing, half a preface, settings but no request, half a head.
    for (sent, goodbye) in [(0, false), (10, false), (rest.len(), true), (rest.len() + 1, true)] {
        let began = Instant::now();
        let mut client = Client { socket: proxy.connect(), host: String::new() };
        client.send(&rest[..sent.min(rest.len())]);
        if sent > rest.len() {
            // Nothing may come between the frames of a head, so the settings are acknowledged first.
            client.until(5 * SECOND, |outcome| outcome.has(SETTINGS, 0));
            client.send(&frame(HEADERS, END_STREAM, 1, &field("x", "y")));
        }
        let outcome = client.until_closed();
        let took = began.elapsed();
        assert!(outcome.closed && took > SECOND * 8 / 10 && took < 4 * SECOND, "{sent} {took:?}");
        assert!(outcome.has(GOAWAY, 0) || !goodbye || sent > rest.len(), "{sent} {outcome:?}");
    }
    // An idle connection gets a GOAWAY, and stays open as long as a stream is open.
    let mut client = Client::connect(&proxy);
    client.get(1, "/e/ticks");
    client.get(3, "/e/x");
    let outcome = client.until(3 * SECOND, |_| false);
    assert!(!outcome.closed && !outcome.has(GOAWAY, 0), "{outcome:?}");
    client.send(&frame(RESET, 0, 1, &8_u32.to_be_bytes()));
    let began = Instant::now();
    let outcome = client.until_closed();
    assert!(outcome.closed && outcome.has(GOAWAY, 0), "{outcome:?}");
    assert!(began.elapsed() > SECOND && began.elapsed() < 6 * SECOND, "{:?}", began.elapsed());
}

/// `header_timeout` is 1 s, `idle_timeout` 2 s.
#[test]
fn pings_do_not_keep_a_connection_that_was_told_to_end() {
    let proxy = TestProxy::start_with(true);
    for asks in [false, true] {
        let mut client = Client::connect(&proxy);
        if asks {
            client.get(1, "/e/x");
        }
        let began = Instant::now();
        // `until` confirms PINGs of the proxy, so what it reads is thrown away unconfirmed.
        client.socket.set_nonblocking(true).unwrap();
        let (mut closed, mut buffer) = (false, [0; 4096]);
        while !closed && began.elapsed() < 20 * SECOND {
            std::thread::park_timeout(Duration::from_millis(300));
            closed |= !client.send(&frame(PING, 0, 0, &[7; 8]));
            closed |= matches!(client.socket.read(&mut buffer), Ok(0));
        }
        assert!(closed && began.elapsed() < 15 * SECOND, "{asks} {:?}", began.elapsed());
    }
}

#[test]
fn an_upload_that_is_taken_back_is_not_complete() {
    let proxy = TestProxy::start_with(true);
    let mut client = Client::connect(&proxy);
    for (stream, code) in [(1, 0_u32), (3, 8)] {
        let path = format!("/e/x?{stream}");
        let block = client.block("POST", &path);
        client.send(&frame(HEADERS, END_HEADERS, stream, &block));
        client.send(&frame(DATA, 0, stream, b"half"));
        eventually(|| proxy.app.open() > 0);
        client.send(&frame(RESET, 0, stream, &code.to_be_bytes()));
        client.until(SECOND / 2, |_| false);
        let seen = proxy.app.seen();
        assert!(!seen.iter().any(|seen| seen.target == path), "{code}: {seen:?}");
    }
    is_served(&proxy);
}

#[test]
fn a_head_without_an_end_closes_a_connection_with_streams() {
    let proxy = TestProxy::start_with(true);
    let mut client = Client::with_events(&proxy);
    let began = Instant::now();
    client.send(&frame(HEADERS, END_STREAM, 3, &client.block("GET", "/e/x")));
    assert!(client.until_closed().closed);
    assert!(began.elapsed() < 4 * SECOND, "{:?}", began.elapsed());
    eventually(|| proxy.app.open() == 0);
    assert!(!proxy.app.seen().iter().any(|seen| seen.target == "/e/x"));
}

/// `send_timeout` is 2 s.
#[test]
fn a_client_without_a_window_loses_the_stream_and_not_the_connection() {
    let proxy = TestProxy::start_with(true);
    let mut client = Client { socket: proxy.connect(), host: format!("localhost:{}", proxy.port) };
    // The initial window of each stream is 0.
    let none = [0, 4, 0, 0, 0, 0];
    client.send(&[PREFACE, &frame(SETTINGS, 0, 0, &none)].concat());
    let began = Instant::now();
    client.get(1, "/e/bytes-100000");
    client.get(3, "/e/x");
    client.send(&frame(WINDOW, 0, 3, &60000_u32.to_be_bytes()));
    let outcome = client.until(8 * SECOND, |outcome| outcome.has(RESET, 1));
    let took = began.elapsed();
    assert!(outcome.has(RESET, 1) && took > SECOND && took < 6 * SECOND, "{took:?} {outcome:?}");
    assert!(outcome.has(HEADERS, 1) && !outcome.has(DATA, 1), "{outcome:?}");
    assert!(outcome.is_ok(3) && outcome.has(DATA, 3), "{outcome:?}");
    client.get(5, "/e/x");
    assert!(client.until(5 * SECOND, |outcome| outcome.has(HEADERS, 5)).is_ok(5));
    eventually(|| proxy.app.open() <= 1);
}

#[test]
fn a_client_that_reads_nothing_is_disconnected_with_all_streams() {
    let proxy = TestProxy::start_with(true);
    let client = Client::connect(&proxy);
    let window = [0, 4, 0x7f, 0xff, 0xff, 0xff];
    client.send(&frame(SETTINGS, 0, 0, &window));
    client.send(&frame(WINDOW, 0, 0, &0x7fff_0000_u32.to_be_bytes()));
    for stream in 0..5 {
        client.get(1 + 2 * stream, "/e/bytes-60000000");
    }
    eventually(|| proxy.app.open() == 5);
    is_served(&proxy);
    let began = Instant::now();
    while proxy.app.open() > 1 {
        assert!(began.elapsed() < 10 * SECOND, "the app's connections are still open");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

#[test]
fn a_flood_ends_its_connection_and_others_are_served() {
    let proxy = TestProxy::start_with(true);
    let settings = frame(SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
    let priority = frame(PRIORITY, 0, 99, &[0, 0, 0, 0, 1]);
    let reserved = frame(0x77, 0, 0, &[]);
    let update = frame(WINDOW, 0, 0, &1_u32.to_be_bytes());
    let empty = frame(DATA, 0, 3, &[]);
    for (name, frame) in [
        ("settings", settings),
        ("pings", frame(PING, 0, 0, &[7; 8])),
        ("priorities", priority),
        ("unknown frames", reserved),
        ("window updates", update),
        ("empty data", empty),
    ] {
        let mut client = Client::with_events(&proxy);
        let block = client.block("POST", "/e/x");
        client.send(&self::frame(HEADERS, END_HEADERS, 3, &block));
        let many = frame.repeat(500);
        for _ in 0..200 {
            if !client.send(&many) {
                break;
            }
        }
        assert!(client.until_closed().closed, "{name}");
        is_served(&proxy);
    }
    eventually(|| proxy.app.open() <= 1);
}

#[test]
fn requests_that_are_reset_at_once_end_the_connection() {
    let proxy = TestProxy::start_with(true);
    let reset = |stream| frame(RESET, 0, stream, &8_u32.to_be_bytes());
    // All at once, and a few at a time, so that each one becomes a request.
    for (at_once, pause) in [(1000, Duration::ZERO), (8, Duration::from_millis(2))] {
        let mut client = Client::with_events(&proxy);
        let block = client.block("GET", "/e/hang");
        let (mut stream, mut open) = (3, true);
        while open && stream < 20_000 {
            let mut bytes = Vec::new();
            for _ in 0..at_once {
                bytes.extend(frame(HEADERS, END_STREAM | END_HEADERS, stream, &block));
                bytes.extend(reset(stream));
                stream += 2;
            }
            open = client.send(&bytes);
            std::thread::park_timeout(pause);
        }
        assert!(client.until_closed().closed, "{at_once}");
        is_served(&proxy);
    }
    eventually(|| proxy.app.open() <= 1);
}

#[test]
fn header_blocks_are_bounded() {
    let proxy = TestProxy::start_with(true);
    // Frames without an end; an entry of 4000 bytes that is named again and again.
    let mut client = Client::with_events(&proxy);
    client.send(&frame(HEADERS, END_STREAM, 3, &client.block("GET", "/e/x")));
    let piece = frame(CONTINUATION, 0, 3, &field("x", &"v".repeat(100)).repeat(100));
    for _ in 0..20 {
        client.send(&piece);
    }
    let outcome = client.until_closed();
    assert!(outcome.closed && outcome.has(GOAWAY, 0), "{outcome:?}");

    let mut client = Client::connect(&proxy);
    // A literal with indexing: name `x`, and a value of 4000 bytes.
    let entry = [&[0x40, 1, b'x', 0x7f, 0xa1, 0x1e][..], &[b'v'; 4000]].concat();
    let bomb = [client.block("GET", "/e/x"), entry, vec![0xbe; 12_000]].concat();
    client.send(&frame(HEADERS, END_STREAM, 1, &bomb[..16_000]));
    client.send(&frame(CONTINUATION, END_HEADERS, 1, &bomb[16_000..]));
    let outcome = client.until(10 * SECOND, |outcome| outcome.has(HEADERS, 1));
    assert!(!outcome.is_ok(1) && (outcome.closed || outcome.has(HEADERS, 1)), "{outcome:?}");
    is_served(&proxy);
    let asked: Vec<_> = proxy.app.seen().into_iter().map(|seen| seen.target).collect();
    assert_eq!(asked, ["/e/ticks", "/e/x"], "only the first request, and that of the other client");
}

#[test]
fn malformed_requests_are_reset_and_many_of_them_end_the_connection() {
    let proxy = TestProxy::start_with(true);
    let mut client = Client::connect(&proxy);
    let bad = [client.block("GET", "/e/x"), field("connection", "close")].concat();
    client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 1, &bad));
    assert!(client.until(5 * SECOND, |outcome| outcome.has(RESET, 1)).has(RESET, 1));
    // Without an authority and a host.
    let none: Vec<u8> =
        [(":method", "GET"), (":scheme", "http"), (":authority", ""), (":path", "/e/x")]
            .iter()
            .flat_map(|(name, value)| field(name, value))
            .collect();
    client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 3, &none));
    let outcome =
        client.until(5 * SECOND, |outcome| outcome.has(HEADERS, 3) || outcome.has(RESET, 3));
    assert!(!outcome.is_ok(3) && !outcome.frames.is_empty(), "{outcome:?}");
    for stream in 0..2000 {
        client.send(&frame(HEADERS, END_STREAM | END_HEADERS, 5 + 2 * stream, &bad));
    }
    assert!(client.until_closed().closed);
    assert!(proxy.app.seen().is_empty());
}

#[test]
fn one_hundred_requests_at_a_time_are_accepted() {
    let proxy = TestProxy::start_with(true);
    let mut client = Client::connect(&proxy);
    for stream in 0..101 {
        client.get(1 + 2 * stream, "/e/hang");
    }
    let outcome = client.until(5 * SECOND, |outcome| outcome.has(RESET, 201));
    assert!(outcome.has(RESET, 201), "the last one is refused");
    assert!(!outcome.has(RESET, 199) && !outcome.closed);
    eventually(|| proxy.app.open() == 100);
    is_served(&proxy);
    drop(client);
    eventually(|| proxy.app.open() <= 1);
}
