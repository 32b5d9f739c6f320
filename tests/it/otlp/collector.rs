//! A small collector of spans, and what it reads from them.

use std::sync::{Arc, Mutex};

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::harness::eventually;

/// Head and body of a request.
type Received = (String, Vec<u8>);

/// A collector that keeps what it receives.
#[derive(Clone)]
pub(super) struct Collector {
    pub(super) url: String,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Collector {
    /// `status`: that of every answer; `None` for a collector that never answers.
    pub(super) async fn new(status: Option<u16>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let seen = received.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let seen: Arc<Mutex<Vec<Received>>> = seen.clone();
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    while let Some((head, body)) = read(&mut stream, &mut bytes).await {
                        seen.lock().unwrap().push((head, body));
                        let Some(status) = status else { return std::future::pending().await };
                        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                        if stream.write_all(head.as_bytes()).await.is_err() {
                            return;
                        }
                    }
                });
            }
        });
        Self { url, received }
    }

    pub(super) fn all(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// All spans that arrived as JSON.
    pub(super) fn spans(&self) -> Vec<Value> {
        let mut spans = Vec::new();
        for (_, body) in self.all() {
            let body: Value = serde_json::from_slice(&body).unwrap();
            for resource in body["resourceSpans"].as_array().unwrap() {
                for scope in resource["scopeSpans"].as_array().unwrap() {
                    spans.extend(scope["spans"].as_array().unwrap().iter().cloned());
                }
            }
        }
        spans
    }

    pub(super) async fn span(&self, name: &str) -> Value {
        eventually(&format!("the span {name}"), async || {
            self.spans().into_iter().find(|span| span["name"] == name)
        })
        .await
    }

    /// The span of a request for this path, if it has arrived.
    pub(super) fn request(&self, path: &str) -> Option<Value> {
        self.spans().into_iter().find(|span| attribute(span, "url.path") == path)
    }

    /// The span of a request for this path.
    pub(super) async fn wait_for_request(&self, path: &str) -> Value {
        eventually(&format!("the span of {path}"), async || self.request(path)).await
    }
}

/// The next request of a connection: its head in small letters, and its body.
async fn read(stream: &mut tokio::net::TcpStream, bytes: &mut Vec<u8>) -> Option<Received> {
    let mut part = vec![0; 16 << 10];
    loop {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(end) = end {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let (_, length) = head.split_once("content-length: ").unwrap();
            let length: usize = length.lines().next().unwrap().trim().parse().unwrap();
            if bytes.len() >= end + 4 + length {
                let rest = bytes.split_off(end + 4 + length);
                let body = std::mem::replace(bytes, rest).split_off(end + 4);
                return Some((head, body));
            }
        }
        match stream.read(&mut part).await {
            Ok(read @ 1..) => bytes.extend_from_slice(&part[..read]),
            _ => return None,
        }
    }
}

/// The value of an attribute, as text.
pub(super) fn attribute(span: &Value, key: &str) -> String {
    let all = span["attributes"].as_array().unwrap();
    let found = all.iter().find(|one| one["key"] == key);
    let Some(value) = found.map(|one| &one["value"]) else { return String::new() };
    let text = value["stringValue"].as_str().map(str::to_owned);
    text.unwrap_or_else(|| value["intValue"].to_string().replace('"', ""))
}

/// All texts of a protobuf message and of the messages in it.
pub(super) fn strings_of(mut bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while !bytes.is_empty() {
        let Some(key) = varint(&mut bytes) else { break };
        let length = match key & 7 {
            0 => {
                varint(&mut bytes);
                continue;
            }
            1 => 8,
            2 => varint(&mut bytes).unwrap_or(u64::MAX),
            5 => 4,
            _ => break,
        };
        let Some((part, rest)) =
            usize::try_from(length).ok().and_then(|at| bytes.split_at_checked(at))
        else {
            break;
        };
        bytes = rest;
        found.extend(std::str::from_utf8(part).map(str::to_owned));
        found.extend(strings_of(part));
    }
    found
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}
