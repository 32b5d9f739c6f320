//! A test app in this process. It records every request.
//!
//! The response is JSON: `method`, `target`, `headers` (pairs in their order) and `body`. The last
//! segment of the path selects another behaviour:
//!
//! - `ws` echoes WebSocket frames; `ws-drop` does, too, and drops the connection at a close frame.
//! - `slow` sends a body in pieces, `halves` sends head and body in two steps, `bytes-N` sends N bytes.
//! - `drop` closes without a response, `hang` never responds, `early` responds and closes before the
//!   request body, `stale` closes a connection that it announced as persistent.
//! - `sink` says how many bytes of body have come, `stream-N` sends N bytes; neither keeps them.
//! - `grpc` responds with trailers.
//! - `101` switches protocols without a handshake, `garbled` and `lengths` send invalid responses.
//! - `page` is a page that names the person and has a button for its WebSocket `ws`; it forbids frames.
//!   `wiki?URL` is a page that frames the URL.
//! - `policies` forbids frames, and sets a cookie of the appliance.
//! - `status-NNN` sends that status, `cookies` sets a cookie, `moved` redirects, `origin` sends headers
//!   that speak for the whole origin.
//! - `endless` and `interim-drip` send interim responses without end, `interim-N` sends N of them before the
//!   final response.
//! - `late-NNN` sends that status, and some time later a body that looks like a response.
//! - `events` and `ticks` are event streams, `silent`, `drip` and `flood` are downloads without an end;
//!   `late` responds after 1.5 s.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use sha1::{Digest, Sha1};

const INTERIM: &str = "HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n";
const PAGE: &str = r#"<h1>page of {user}</h1><button id="hello">hello</button><p id="said"></p>
<script>
const socket = new WebSocket(location.href.replace("http", "ws").replace(/page.*/, "ws"));
socket.onmessage = (event) => { said.textContent = "the app says " + event.data; };
hello.onclick = () => socket.send("hello");
</script>"#;
/// A body that looks like a response.
const LATE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nSTOLEN";

/// The running app. It runs until the end of the process.
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    pub(crate) port: u16,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    seen: Mutex<Vec<Seen>>,
    connections: AtomicUsize,
    open: AtomicUsize,
}

/// A received request.
#[derive(Debug, Clone)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// The length of the body, also of one that is not kept.
    pub(crate) length: u64,
    /// The number of the connection that carried the request.
    pub(crate) connection: usize,
}

impl Seen {
    /// All values of a header.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let same = self.headers.iter().filter(|(one, _)| one.eq_ignore_ascii_case(name));
        same.map(|(_, value)| value.as_str()).collect()
    }

    fn one(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }
}

impl Upstream {
    /// Listens on a free port of 127.0.0.1.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State::default());
        let served = Self { port, state };
        let app = served.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let app = app.clone();
                std::thread::spawn(move || app.serve(stream));
            }
        });
        served
    }

    /// All requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.state.seen.lock().unwrap().clone()
    }

    /// The number of open connections.
    pub(crate) fn open(&self) -> usize {
        self.state.open.load(Ordering::SeqCst)
    }

    fn serve(&self, stream: TcpStream) {
        let connection = self.state.connections.fetch_add(1, Ordering::SeqCst);
        self.state.open.fetch_add(1, Ordering::SeqCst);
        let _ = stream.set_nodelay(true);
        let mut reader = BufReader::new(stream);
        while let Some(seen) = read_request(&mut reader, connection) {
            self.state.seen.lock().unwrap().push(seen.clone());
            if !answer(&mut reader, &seen).unwrap_or(false) {
                break;
            }
        }
        self.state.open.fetch_sub(1, Ordering::SeqCst);
    }
}

fn read_request(reader: &mut BufReader<TcpStream>, connection: usize) -> Option<Seen> {
    let mut lines = Vec::new();
    loop {
        let mut line = Vec::new();
        reader.read_until(b'\n', &mut line).ok().filter(|&count| count > 0)?;
        let line: String = line.trim_ascii_end().iter().copied().map(char::from).collect();
        if line.is_empty() {
            break;
        }
        lines.push(line);
    }
    let mut words = lines.first()?.split(' ').map(str::to_owned);
    let (method, target) = (words.next()?, words.next()?);
    let pairs = lines[1..].iter().filter_map(|line| line.split_once(':'));
    let headers = pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
    let mut seen = Seen { method, target, headers, body: Vec::new(), length: 0, connection };
    if seen.target.ends_with("/sink") {
        seen.length = read_body(reader, &seen, &mut std::io::sink())?;
    } else if !seen.target.ends_with("/early") && !seen.target.ends_with("/unread") {
        let mut body = Vec::new();
        seen.length = read_body(reader, &seen, &mut body)?;
        seen.body = body;
    }
    Some(seen)
}

/// Copies the body. Returns its length.
fn read_body(reader: &mut BufReader<TcpStream>, seen: &Seen, body: &mut impl Write) -> Option<u64> {
    if seen.one("transfer-encoding").is_none() {
        let length: u64 = seen.one("content-length").map_or(0, |length| length.parse().unwrap());
        let copied = std::io::copy(&mut reader.take(length), body).ok()?;
        return (copied == length).then_some(length);
    }
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let size = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; size + 2];
        reader.read_exact(&mut chunk).ok()?;
        if size == 0 {
            return Some(length);
        }
        body.write_all(&chunk[..size]).ok()?;
        length += size as u64;
    }
}

/// Sends the response. Returns whether the connection stays open.
fn answer(reader: &mut BufReader<TcpStream>, seen: &Seen) -> std::io::Result<bool> {
    let path = seen.target.split('?').next().unwrap_or_default();
    let what = path.rsplit('/').next().unwrap_or_default();
    let stream = reader.get_mut();
    match what {
        "ws" | "ws-drop" => return websocket(reader, seen).map(|()| false),
        "drop" => return Ok(false),
        "hang" => {
            let _ = stream.read(&mut [0]);
            return Ok(false);
        }
        "slow" => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
            for piece in ["one", "two", "six"] {
                write!(stream, "3\r\n{piece}\r\n")?;
                std::thread::park_timeout(Duration::from_millis(100));
            }
            stream.write_all(b"0\r\n\r\n")?;
        }
        "sink" => respond(stream, seen, 200, "", seen.length.to_string().as_bytes())?,
        "grpc" => {
            let head = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n\
                        Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
            stream.write_all(head.as_bytes())?;
            std::thread::park_timeout(Duration::from_millis(50));
            let end = "6\r\nsecond\r\n0\r\nGrpc-Status: 5\r\nGrpc-Message: gone\r\n\
                       Set-Cookie: a=1\r\nContent-Length: 1\r\n\r\n";
            stream.write_all(end.as_bytes())?;
        }
        "events" => return stream_until_closed(stream, "text/event-stream", None),
        "ticks" => return stream_until_closed(stream, "text/event-stream", Some(16)),
        "silent" => return stream_until_closed(stream, "application/zip", None),
        "drip" => return stream_until_closed(stream, "application/zip", Some(16)),
        "flood" => return stream_until_closed(stream, "application/zip", Some(1 << 16)),
        "late" => {
            std::thread::park_timeout(Duration::from_millis(1500));
            respond(stream, seen, 200, "", b"late")?;
        }
        "halves" => {
            // With Nagle's algorithm the body waits for the acknowledgement of the head.
            let _ = stream.set_nodelay(false);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")?;
            stream.write_all(b"body")?;
        }
        "early" => {
            respond(stream, seen, 413, "", b"own")?;
            return Ok(false);
        }
        // As many servers do when a handler refuses a request.
        "unread" => {
            respond(stream, seen, 200, "", b"own")?;
            return Ok(seen.all("connection") != ["close"]);
        }
        "101" => {
            let head = "HTTP/1.1 101 X\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nraw";
            stream.write_all(head.as_bytes())?;
            std::thread::park_timeout(Duration::from_millis(100));
            return Ok(false);
        }
        "garbled" => stream.write_all(b"HTTP/1.1 200 OK\r\nX A: b\r\nContent-Length: 0\r\n\r\n")?,
        "lengths" => stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok")?,
        "endless" => {
            while stream.write_all(INTERIM.repeat(20_000).as_bytes()).is_ok() {}
            return Ok(false);
        }
        "interim-drip" => {
            while stream.write_all(INTERIM.as_bytes()).is_ok() {
                std::thread::park_timeout(Duration::from_millis(20));
            }
            return Ok(false);
        }
        "origin" => {
            let lines = "Clear-Site-Data: \"*\"\r\nService-Worker-Allowed: /\r\nNEL: {}\r\n";
            respond(stream, seen, 200, lines, b"ok")?;
        }
        "page" => {
            let lines = "Content-Type: text/html\r\nX-Frame-Options: DENY\r\n\
                         Content-Security-Policy: frame-ancestors 'none'\r\n";
            let user = seen.one("x-forwarded-user").unwrap_or("nobody");
            respond(stream, seen, 200, lines, PAGE.replace("{user}", user).as_bytes())?;
        }
        "wiki" => {
            let framed = seen.target.split_once('?').map_or("", |(_, framed)| framed);
            let page =
                format!("<h1>wiki</h1><iframe width=900 height=500 src=\"{framed}\"></iframe>");
            respond(stream, seen, 200, "Content-Type: text/html\r\n", page.as_bytes())?;
        }
        "policies" => {
            let lines = "X-Frame-Options: DENY\r\nContent-Security-Policy: frame-ancestors 'none'; \
                         img-src 'self'\r\nSet-Cookie: appliance-embed-board=evil; Path=/board\r\n";
            respond(stream, seen, 200, lines, b"ok")?;
        }
        "cookies" => respond(stream, seen, 200, "Set-Cookie: a=1; Path=/x\r\n", b"ok")?,
        "moved" => respond(stream, seen, 302, "Location: /x\r\n", b"")?,
        _ => match what.split_once('-') {
            Some(("status", code)) => respond(stream, seen, code.parse().unwrap(), "", b"own")?,
            Some(("interim", count)) => {
                stream.write_all(INTERIM.repeat(count.parse().unwrap()).as_bytes())?;
                respond(stream, seen, 200, "", b"ok")?;
            }
            Some(("after", millis)) => {
                std::thread::park_timeout(Duration::from_millis(millis.parse().unwrap()));
                respond(stream, seen, 200, "", b"late")?;
            }
            Some(("late", code)) => {
                write!(stream, "HTTP/1.1 {code} X\r\nContent-Length: {}\r\n\r\n", LATE.len())?;
                std::thread::park_timeout(Duration::from_millis(50));
                stream.write_all(LATE.as_bytes())?;
            }
            Some(("stream", count)) => {
                let mut left: usize = count.parse().unwrap();
                write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {left}\r\n\r\n")?;
                let piece = vec![b'x'; 1 << 16];
                while left > 0 {
                    let size = left.min(piece.len());
                    stream.write_all(&piece[..size])?;
                    left -= size;
                }
            }
            Some(("bytes", count)) => {
                respond(stream, seen, 200, "", &vec![b'x'; count.parse().unwrap()])?;
            }
            _ => respond(stream, seen, 200, "", describe(seen).as_bytes())?,
        },
    }
    Ok(what != "stale")
}

/// A response without an end: one piece, then silence, or pieces of this size (small ones with
/// pauses).
fn stream_until_closed(
    stream: &mut TcpStream,
    kind: &str,
    piece: Option<usize>,
) -> std::io::Result<bool> {
    write!(
        stream,
        "HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )?;
    stream.write_all(b"9\r\ndata: 0\n\n\r\n")?;
    let Some(size) = piece else {
        let _ = stream.read(&mut [0]);
        return Ok(false);
    };
    let data = vec![b'x'; size];
    loop {
        write!(stream, "{size:x}\r\n")?;
        stream.write_all(&data)?;
        stream.write_all(b"\r\n")?;
        if size < 1 << 10 {
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }
}

fn describe(seen: &Seen) -> String {
    serde_json::json!({
        "method": seen.method,
        "target": seen.target,
        "headers": seen.headers,
        "body": String::from_utf8_lossy(&seen.body),
    })
    .to_string()
}

fn respond(
    stream: &mut TcpStream,
    seen: &Seen,
    status: u16,
    headers: &str,
    body: &[u8],
) -> std::io::Result<()> {
    let length = body.len();
    let head = format!("HTTP/1.1 {status} X\r\n{headers}Content-Length: {length}\r\n\r\n");
    let body = if seen.method == "HEAD" { b"" } else { body };
    stream.write_all(&[head.as_bytes(), body].concat())
}

fn websocket(reader: &mut BufReader<TcpStream>, seen: &Seen) -> std::io::Result<()> {
    let key = seen.one("sec-websocket-key").unwrap_or_default();
    let digest = Sha1::new()
        .chain_update(key)
        .chain_update("258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
        .finalize();
    let accept = base64::engine::general_purpose::STANDARD.encode(digest);
    let chosen = seen.one("sec-websocket-protocol").and_then(|list| list.split(',').next());
    let protocol = chosen
        .map_or_else(String::new, |one| format!("Sec-WebSocket-Protocol: {}\r\n", one.trim()));
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{protocol}\r\n"
    );
    reader.get_mut().write_all(head.as_bytes())?;
    loop {
        let (opcode, payload) = read_frame(reader)?;
        if opcode == 8 && seen.target.ends_with("/ws-drop") {
            return Ok(());
        }
        let answer = if opcode == 9 { 10 } else { opcode };
        reader.get_mut().write_all(&frame(answer, &payload, false))?;
        if opcode == 8 {
            return Ok(());
        }
    }
}

/// Reads one WebSocket frame: its opcode and its unmasked payload.
pub(crate) fn read_frame(reader: &mut impl Read) -> std::io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    reader.read_exact(&mut head)?;
    let length = match head[1] & 0x7f {
        126 => {
            let mut length = [0; 2];
            reader.read_exact(&mut length)?;
            u64::from(u16::from_be_bytes(length))
        }
        127 => {
            let mut length = [0; 8];
            reader.read_exact(&mut length)?;
            u64::from_be_bytes(length)
        }
        short => u64::from(short),
    };
    let mut mask = [0; 4];
    if head[1] & 0x80 != 0 {
        reader.read_exact(&mut mask)?;
    }
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    reader.read_exact(&mut payload)?;
    for (at, byte) in payload.iter_mut().enumerate() {
        *byte ^= mask[at % 4];
    }
    Ok((head[0] & 0x0f, payload))
}

/// A WebSocket frame. A frame of a client has a mask of zeroes.
pub(crate) fn frame(opcode: u8, payload: &[u8], masked: bool) -> Vec<u8> {
    let mask = if masked { 0x80 } else { 0 };
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        length @ 0..126 => bytes.push(mask | u8::try_from(length).unwrap()),
        length @ 126..65536 => {
            bytes.push(mask | 0x7e);
            bytes.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
        length => {
            bytes.push(mask | 0x7f);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    if masked {
        bytes.extend([0; 4]);
    }
    bytes.extend_from_slice(payload);
    bytes
}
