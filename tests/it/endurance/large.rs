//! Bodies of a gigabyte pass both ways, over each version of HTTP, in the clear and over TLS, in constant
//! memory.

use bytes::Bytes;
use http::Method;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{rounds, show};
use crate::harness::{Appliance, eventually};
use crate::http2::client::{Client, whole};
use crate::http2::{public, secure, secured};
use crate::upstream::Upstream;

/// How much the resident memory may grow at its peak, kB: windows and buffers of a few connections.
const GROWTH: u64 = 16 << 10;
const PIECE: usize = 1 << 16;

fn size() -> usize {
    rounds(32 << 20, 1 << 30)
}

/// The largest resident memory so far, kB.
fn peak(appliance: &Appliance) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", appliance.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.split_whitespace().next().unwrap().parse().unwrap()
}

/// Sends and fetches bodies over HTTP/1.1.
async fn over_http_1<S: AsyncRead + AsyncWrite + Unpin>(mut socket: S, host: &str, size: usize) {
    let head = format!("POST /e/sink HTTP/1.1\r\nHost: {host}\r\nContent-Length: {size}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    let piece = vec![b'u'; PIECE];
    for _ in 0..size / PIECE {
        socket.write_all(&piece).await.unwrap();
    }
    let received = body(&mut socket, size.to_string().len()).await;
    assert_eq!(received, size.to_string().len());
    let head = format!("GET /e/stream-{size} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(body(&mut socket, size).await, size);
}

/// Reads a response with this length of its body. Returns how much has come.
async fn body<S: AsyncRead + Unpin>(socket: &mut S, size: usize) -> usize {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(socket.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(head.contains(&format!("content-length: {size}\r\n")), "{head}");
    let mut piece = vec![0; PIECE];
    let mut taken = 0;
    while taken < size {
        let count = socket.read(&mut piece).await.unwrap();
        if count == 0 {
            break;
        }
        taken += count;
    }
    taken
}

/// Sends and fetches bodies over HTTP/2, both at the same time.
async fn over_http_2(client: Client, size: usize) {
    let sending = async {
        let (response, mut stream) =
            client.begin(client.request(Method::POST, "/e/sink", &[])).await;
        let piece = Bytes::from(vec![b'u'; PIECE]);
        let mut left = size;
        while left > 0 {
            stream.reserve_capacity(left.min(PIECE));
            let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
            let room = room.unwrap().unwrap().min(left).min(PIECE);
            left -= room;
            stream.send_data(piece.slice(..room), left == 0).unwrap();
        }
        whole(response.await.unwrap()).await.unwrap().text()
    };
    let fetching = async {
        let path = format!("/e/stream-{size}");
        let response = client.head(client.request(Method::GET, &path, &[])).await.unwrap();
        let mut stream = response.into_body();
        let mut taken = 0;
        while let Some(piece) = stream.data().await {
            let length = piece.unwrap().len();
            stream.flow_control().release_capacity(length).unwrap();
            taken += length;
        }
        taken
    };
    let (sent, taken) = tokio::join!(sending, fetching);
    assert_eq!((sent, taken), (size.to_string(), size));
}

/// Judges the memory after each way.
struct Memory(u64);

impl Memory {
    fn judge(&self, appliance: &Appliance, way: &str) {
        let now = peak(appliance);
        show(&format!("{} MiB each way over {way}: {} kB before, {now} kB", size() >> 20, self.0));
        assert!(now - self.0 < GROWTH, "{way}: {} kB, then {now} kB", self.0);
    }
}

#[tokio::test]
async fn large_bodies_pass_in_constant_memory() {
    let (_app, appliance) = public("").await;
    let host = format!("localhost:{}", appliance.port);
    let before = Memory(peak(&appliance));
    let socket = TcpStream::connect(("127.0.0.1", appliance.port)).await.unwrap();
    over_http_1(socket, &host, size()).await;
    before.judge(&appliance, "HTTP/1.1");
    let (client, _) = Client::connect(&appliance).await;
    over_http_2(client, size()).await;
    before.judge(&appliance, "HTTP/2");
}

#[tokio::test]
async fn large_bodies_pass_in_constant_memory_over_tls() {
    let app = Upstream::start();
    let appliance = secure(&app, "");
    let host = format!("localhost:{}", appliance.port);
    let socket = eventually("https", async || secured(&appliance, &["http/1.1"]).await).await;
    let before = Memory(peak(&appliance));
    over_http_1(socket, &host, size()).await;
    before.judge(&appliance, "TLS, HTTP/1.1");
    let socket = secured(&appliance, &["h2"]).await.unwrap();
    let (client, _) = Client::over(socket, &format!("https://{host}")).await;
    over_http_2(client, size()).await;
    before.judge(&appliance, "TLS, HTTP/2");
}
