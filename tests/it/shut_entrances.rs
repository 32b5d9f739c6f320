//! Connections that have come in by a way that a reload shuts.

use std::io::Write as _;
use std::net::TcpStream;
use std::time::Duration;

use tokio::time::timeout;

use crate::connections::{is_closed_within, send, status};
use crate::harness::{Appliance, eventually, free_port};
use crate::http2::client::Client;
use crate::http2::public;
use crate::replicas::{edit, run};
use crate::upstream::{frame, read_frame};

/// The longest time for what happens at once.
const SOON: Duration = Duration::from_secs(5);
const HANDSHAKE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

fn connect(port: u16) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(crate::harness::PATIENCE)).unwrap();
    stream
}

/// Whether the response to a request leaves the connection open.
fn is_served(stream: &TcpStream, appliance: &Appliance) -> bool {
    send(stream, appliance, "/e/x", "");
    let (code, text) = status(stream);
    assert_eq!(code, 200, "{text}");
    !is_last(&text)
}

fn is_last(response: &str) -> bool {
    response.to_ascii_lowercase().contains("connection: close")
}

#[tokio::test]
async fn an_address_that_a_reload_gives_up_serves_the_request_under_way_and_no_other() {
    let (app, appliance) = public("").await;
    let (first, second) = (appliance.port, free_port());
    let (idle, busy, tunnel) = (connect(first), connect(first), connect(first));
    assert!(is_served(&idle, &appliance));
    let one = format!("listen = \"127.0.0.1:{first}\"");
    let both = format!("listen = [\"127.0.0.1:{first}\", \"127.0.0.1:{second}\"]");
    edit(&appliance, &one, &both);
    assert!(run(&appliance, &["reload"]).contains("update server: listen"));
    assert!(is_served(&idle, &appliance), "another address changes nothing for it");
    let kept = connect(second);
    assert!(is_served(&kept, &appliance));
    send(&tunnel, &appliance, "/e/ws", &format!("Origin: {}\r\n{HANDSHAKE}", appliance.url));
    assert_eq!(status(&tunnel).0, 101);
    send(&busy, &appliance, "/e/late", "");
    eventually("the request", async || {
        app.seen().iter().any(|seen| seen.target == "/e/late").then_some(())
    })
    .await;

    edit(&appliance, &both, &format!("listen = \"127.0.0.1:{second}\""));
    assert!(run(&appliance, &["reload"]).contains("update server: listen"));
    assert!(is_closed_within(&idle, SOON));
    let (code, text) = status(&busy);
    assert!(code == 200 && text.ends_with("late") && is_last(&text), "{text}");
    assert!(is_closed_within(&busy, SOON));
    (&tunnel).write_all(&frame(1, b"still here", true)).unwrap();
    assert_eq!(read_frame(&mut &tunnel).unwrap(), (1, b"still here".to_vec()));
    assert!(is_served(&kept, &appliance), "its address is in use");
}

/// A browser connects before it has a request, and does not send the first request again.
#[tokio::test]
async fn a_new_connection_has_its_first_request_served() {
    let (_app, appliance) = public("").await;
    let (first, second) = (appliance.port, free_port());
    let (new, silent) = (connect(first), connect(first));
    // Connections are accepted in order: these are.
    assert!(is_served(&connect(first), &appliance));
    edit(
        &appliance,
        &format!("listen = \"127.0.0.1:{first}\""),
        &format!("listen = \"127.0.0.1:{second}\""),
    );
    assert!(run(&appliance, &["reload"]).contains("update server: listen"));
    eventually("the way to be shut", async || TcpStream::connect(("127.0.0.1", first)).err()).await;
    assert!(!is_served(&new, &appliance), "the response is its last one");
    assert!(is_closed_within(&silent, 2 * SOON), "others end after a while");
}

#[tokio::test]
async fn a_reload_that_switches_h2c_off_ends_its_connections_and_no_others() {
    let (_app, appliance) = public("").await;
    let (client, ended) = Client::connect(&appliance).await;
    assert_eq!(client.get("/e/x", &[]).await.status, 200);
    let old = connect(appliance.port);
    assert!(is_served(&old, &appliance));
    edit(&appliance, "h2c = true", "h2c = false");
    assert!(run(&appliance, &["reload"]).contains("update server: h2c"));
    assert!(timeout(SOON, ended).await.unwrap().unwrap().is_ok(), "GOAWAY without an error");
    assert!(is_served(&old, &appliance));
}
