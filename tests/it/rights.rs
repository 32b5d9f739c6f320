//! What lasts ends with the right that allowed it: WebSockets, event streams, long transfers.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::socket::Backlog;
use reqwest::{Method, Response};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::fixture::{Fixture, outlive};
use crate::harness::{Browser, FETCH};
use crate::issuer::Call;
use crate::reload::{edit, reload};
use crate::websocket::{closed, echoes, open_at};

const TTL: Duration = Duration::from_secs(3);
const SOON: Duration = Duration::from_millis(1300);

async fn fixture() -> Fixture {
    Fixture::with("recheck = \"1s\"", |issuer| issuer.order(|orders| orders.ttl = TTL)).await
}

/// A response whose body is read piece by piece.
struct Stream(Response);

impl Stream {
    async fn open(fixture: &Fixture, browser: &Browser, path: &str) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{}{path}", fixture.appliance.url);
        let request = client.get(url).header("cookie", browser.cookie_line());
        let mut response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(response.chunk().await.unwrap().is_some(), "{path} sends nothing");
        Self(response)
    }

    /// Whether the response is cut off within this time.
    async fn ends(&mut self, within: Duration) -> bool {
        let end = async { while matches!(self.0.chunk().await, Ok(Some(_))) {} };
        tokio::time::timeout(within, end).await.is_ok()
    }
}

fn lose_group(fixture: &Fixture) {
    fixture.issuer.order(|orders| {
        orders.people.get_mut("alice").unwrap()["groups"] = json!(["staff"]);
    });
}

/// Until the issuer has refreshed the session, which nobody asks for.
async fn refreshed(fixture: &Fixture) {
    let before = fixture.issuer.count(Call::Refresh);
    let end = Instant::now() + Duration::from_secs(6);
    while fixture.issuer.count(Call::Refresh) == before {
        assert!(Instant::now() < end, "the session is not refreshed by itself");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_lost_group_ends_what_needed_it_also_while_the_app_is_silent() {
    let fixture = fixture().await;
    let alice = fixture.signed_in("alice").await;
    let mut needing = Vec::new();
    for path in ["/two/events", "/two/ticks", "/two/silent", "/two/drip", "/two/flood"] {
        needing.push((path, Stream::open(&fixture, &alice, path).await));
    }
    let mut others = Vec::new();
    for path in ["/open/ticks", "/open/drip", "/app/drip", "/app/silent", "/plain/ticks"] {
        others.push((path, Stream::open(&fixture, &alice, path).await));
    }
    lose_group(&fixture);
    refreshed(&fixture).await;
    let begun = Instant::now();
    for (path, stream) in &mut needing {
        let left = SOON.saturating_sub(begun.elapsed());
        assert!(stream.ends(left).await, "{path} goes on");
    }
    for (path, stream) in &mut others {
        assert!(!stream.ends(Duration::from_millis(300)).await, "{path} was cut off");
    }
    let log = fixture.appliance.log();
    assert!(log.contains("the person lost access"), "{log}");
}

#[tokio::test]
async fn a_stream_alone_does_not_outlive_the_issuers_session() {
    let fixture = fixture().await;
    let alice = fixture.signed_in("alice").await;
    let mut streams = Vec::new();
    for path in ["/app/events", "/app/silent", "/app/flood"] {
        streams.push((path, Stream::open(&fixture, &alice, path).await));
    }
    let mut public = Stream::open(&fixture, &alice, "/open/ticks").await;
    let nobody = fixture.browser();
    let mut anonymous = Stream::open(&fixture, &nobody, "/open/ticks").await;
    fixture.issuer.revoke("alice");
    let begun = Instant::now();
    for (path, stream) in &mut streams {
        let left = (TTL + SOON).saturating_sub(begun.elapsed());
        assert!(stream.ends(left).await, "{path} goes on");
    }
    // A public app serves everybody, but the identity that it received holds no longer.
    assert!(public.ends(SOON).await, "the stream with an identity goes on");
    assert!(!anonymous.ends(Duration::from_millis(300)).await, "a public app serves everybody");
}

#[tokio::test]
async fn a_sign_out_ends_streams_within_a_second() {
    let fixture = Fixture::new().await;
    let mut alice = fixture.signed_in("alice").await;
    let bob = fixture.signed_in("bob").await;
    let mut hers = Vec::new();
    for path in ["/app/events", "/app/ticks", "/app/silent"] {
        hers.push((path, Stream::open(&fixture, &alice, path).await));
    }
    let mut his = Stream::open(&fixture, &bob, "/app/ticks").await;
    alice.open("/oauth2/sign_out").await;
    let begun = Instant::now();
    for (path, stream) in &mut hers {
        let left = SOON.saturating_sub(begun.elapsed());
        assert!(stream.ends(left).await, "{path} goes on");
    }
    assert!(!his.ends(Duration::from_millis(300)).await, "another person's stream was cut off");
}

#[tokio::test]
async fn a_client_that_reads_nothing_gets_nothing_more() {
    let fixture = Fixture::new().await;
    let mut alice = fixture.signed_in("alice").await;
    let mut socket = TcpStream::connect(("127.0.0.1", fixture.appliance.port)).await.unwrap();
    let (port, cookies) = (fixture.appliance.port, alice.cookie_line());
    let head =
        format!("GET /app/flood HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: {cookies}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    // Longer than the buffers take to fill.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    alice.open("/oauth2/sign_out").await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let mut read = 0;
    let mut buffer = vec![0; 1 << 16];
    let error = loop {
        match tokio::time::timeout(SOON, socket.read(&mut buffer)).await.unwrap() {
            Ok(0) => break None,
            Ok(count) => read += count,
            Err(error) => break Some(error.kind()),
        }
    };
    assert_eq!(error, Some(std::io::ErrorKind::ConnectionReset), "after {read} bytes");
}

#[tokio::test]
async fn an_upload_ends_with_its_session() {
    let fixture = Fixture::new().await;
    let mut alice = fixture.signed_in("alice").await;
    let (port, cookies) = (fixture.appliance.port, alice.cookie_line());
    for path in ["/app/upload", "/open/upload"] {
        let mut socket = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost:{port}\r\nCookie: {cookies}\r\n\
             Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n3\r\none\r\n"
        );
        socket.write_all(head.as_bytes()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        alice.open("/oauth2/sign_out").await;
        socket.write_all(b"3\r\ntwo\r\n0\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        let _ = socket.read_to_end(&mut answer).await;
        let answer = String::from_utf8_lossy(&answer);
        let wanted = if path.starts_with("/app") { "HTTP/1.1 401" } else { "HTTP/1.1 200" };
        assert!(answer.starts_with(wanted), "{path}: {answer}");
    }
    let uploads = fixture.upstream.seen();
    assert!(uploads.iter().all(|seen| seen.target != "/app/upload"), "the app got all of it");
}

#[tokio::test]
async fn a_response_that_comes_after_the_end_of_the_session_is_not_delivered() {
    let fixture = Fixture::new().await;
    let mut alice = fixture.signed_in("alice").await;
    let before = alice.clone();
    let waiting = async {
        tokio::join!(
            before.send(Method::GET, "/app/late", FETCH),
            before.send(Method::GET, "/open/late", FETCH)
        )
    };
    let ((private, public), _) = tokio::join!(waiting, async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        alice.open("/oauth2/sign_out").await
    });
    assert_eq!(private.unwrap().status, 401);
    assert_eq!(public.unwrap().body, "late");
}

#[tokio::test]
async fn a_response_that_takes_long_is_not_delivered_after_the_issuers_session() {
    let fixture = fixture().await;
    let alice = fixture.signed_in("alice").await;
    let before = fixture.issuer.count(Call::Refresh);
    outlive(TTL).await;
    assert_eq!(fixture.issuer.count(Call::Refresh), before, "a short request refreshes nothing");
    assert_eq!(alice.send(Method::GET, "/app/x", FETCH).await.unwrap().status, 200);
    fixture.issuer.revoke("alice");
    assert_eq!(alice.send(Method::GET, "/app/after-6000", FETCH).await.unwrap().status, 401);
    assert_eq!(fixture.upstream.seen().last().unwrap().target, "/app/after-6000");
}

/// A reload takes the access to the path that `Destination` names.
#[tokio::test]
async fn the_second_path_of_a_request_is_judged_again_after_a_reload() {
    let apps = "[apps.dav]\npath = \"/dav\"\nupstream = \"http://127.0.0.1:{UP}\"\n\
         rules = [{ path = \"/secret/**\", access = { groups = [\"group2\"] } }]\n";
    let fixture = Fixture::beside("", apps).await;
    let alice = fixture.signed_in("alice").await;
    let copy = async |to: &str| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let method = Method::from_bytes(b"COPY").unwrap();
        let request = client.request(method, format!("{}/dav/ticks", fixture.appliance.url));
        let request = request.header("cookie", alice.cookie_line()).header("destination", to);
        let mut response = request.send().await.unwrap();
        assert_eq!(response.status(), 200, "{to}");
        assert!(response.chunk().await.unwrap().is_some(), "{to}");
        Stream(response)
    };
    let (mut shut, mut open) = (copy("/dav/secret/x").await, copy("/dav/x").await);
    edit(
        &fixture.appliance,
        &[(
            "rules = [{ path = \"/secret/**\", access = { groups = [\"group2\"] } }]",
            "rules = [{ path = \"/secret/**\", access = { groups = [\"nobody\"] } }]",
        )],
    );
    reload(&fixture.appliance);
    assert!(shut.ends(Duration::from_secs(20)).await, "the copy into the shut folder goes on");
    assert!(!open.ends(Duration::from_millis(300)).await, "the other copy was cut off");
}

/// A reload gives an app its first rule, for what a request copies from.
#[tokio::test]
async fn the_source_of_a_copy_is_judged_again_after_a_reload() {
    let apps = "[apps.store]\npath = \"/store\"\nupstream = \"http://127.0.0.1:{UP}\"\n";
    let fixture = Fixture::beside("", apps).await;
    let alice = fixture.signed_in("alice").await;
    let copy = async |from: &str| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.put(format!("{}/store/ticks", fixture.appliance.url));
        let request = request.header("cookie", alice.cookie_line());
        let mut response = request.header("x-amz-copy-source", from).send().await.unwrap();
        assert_eq!(response.status(), 200, "{from}");
        assert!(response.chunk().await.unwrap().is_some(), "{from}");
        Stream(response)
    };
    let (mut shut, mut open) = (copy("/store/secret/x").await, copy("/store/x").await);
    let rule = "path = \"/store\"\nrules = [{ path = \"/secret/**\", access = { groups = [\"nobody\"] } }]";
    edit(&fixture.appliance, &[("path = \"/store\"", rule)]);
    reload(&fixture.appliance);
    assert!(shut.ends(Duration::from_secs(20)).await, "the copy from the shut folder goes on");
    assert!(!open.ends(Duration::from_millis(300)).await, "the other copy was cut off");
}

/// An app whose listener accepts nothing until [`Self::accept`].
struct FullApp {
    listener: TcpListener,
    _waiting: Vec<std::net::TcpStream>,
}

impl FullApp {
    fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        // Shortens the queue of connections that wait to be accepted.
        nix::sys::socket::listen(&listener, Backlog::new(0).unwrap()).unwrap();
        let address = listener.local_addr().unwrap();
        let short = Duration::from_millis(100);
        let waiting = (0..3).flat_map(|_| std::net::TcpStream::connect_timeout(&address, short));
        Self { _waiting: waiting.collect(), listener }
    }

    fn port(&self) -> u16 {
        self.listener.local_addr().unwrap().port()
    }

    /// Accepts connections from now on, and responds. The heads of the requests.
    fn accept(&self) -> mpsc::Receiver<String> {
        let (heads, received) = mpsc::channel();
        let listener = self.listener.try_clone().unwrap();
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let heads = heads.clone();
                std::thread::spawn(move || {
                    let mut bytes = [0; 16 * 1024];
                    let count = stream.read(&mut bytes).unwrap_or(0);
                    if count > 0 {
                        let _ = heads.send(String::from_utf8_lossy(&bytes[..count]).into_owned());
                        let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
                    }
                });
            }
        });
        received
    }
}

#[tokio::test]
async fn a_right_that_is_lost_while_the_app_is_connected_to_is_not_used() {
    let narrow = ("[apps.full]\n", "[apps.full]\naccess = { groups = [\"nobody\"] }\n");
    let titled = ("[apps.full]\n", "[apps.full]\ntitle = \"x\"\n");
    for (sign_out, change, access, wanted) in [
        (true, None, "", 401),
        (false, Some(narrow), "", 403),
        (false, Some(titled), "", 204),
        (true, None, "access = \"public\"\n", 204),
    ] {
        let app = FullApp::new();
        let port = app.port();
        let table = format!(
            "[apps.full]\npath = \"/full\"\nupstream = \"http://127.0.0.1:{port}\"\n{access}"
        );
        let fixture = Fixture::beside("", &table).await;
        let mut alice = fixture.signed_in("alice").await;
        let asking = tokio::spawn({
            let alice = alice.clone();
            async move { alice.send(Method::DELETE, "/full/x", FETCH).await.unwrap().status }
        });
        tokio::time::sleep(Duration::from_millis(500)).await;
        if sign_out {
            alice.open("/oauth2/sign_out").await;
        }
        if let Some(change) = change {
            edit(&fixture.appliance, &[change]);
            reload(&fixture.appliance);
        }
        let received = app.accept();
        assert_eq!(asking.await.unwrap(), wanted, "{sign_out} {change:?} {access}");
        let head = received.try_recv();
        assert_eq!(head.is_ok(), wanted == 204, "{sign_out} {change:?} {access}");
        let names = head.is_ok_and(|head| head.contains("x-forwarded-user"));
        assert_eq!(names, wanted == 204 && !sign_out, "{sign_out} {change:?} {access}");
    }
}

#[tokio::test]
async fn a_tunnel_whose_app_knows_an_outdated_identity_is_closed_for_a_new_one() {
    let fixture = fixture().await;
    let alice = fixture.signed_in("alice").await;
    let mut told = open_at(&fixture, &alice, "/app/ws", None).await.unwrap();
    let mut public = open_at(&fixture, &alice, "/open/ws", None).await.unwrap();
    let mut plain = open_at(&fixture, &alice, "/plain/ws", None).await.unwrap();
    let mut needing = open_at(&fixture, &alice, "/two/ws", None).await.unwrap();
    let mut events = Stream::open(&fixture, &alice, "/app/ticks").await;
    let mut download = Stream::open(&fixture, &alice, "/app/drip").await;
    for socket in [&mut told, &mut public, &mut plain, &mut needing] {
        echoes(socket).await;
    }
    lose_group(&fixture);
    refreshed(&fixture).await;
    assert_eq!(closed(&mut needing).await.0, Some(CloseCode::Policy));
    // The app can complete what it is sending.
    tokio::time::sleep(Duration::from_millis(300)).await;
    echoes(&mut told).await;
    for socket in [&mut told, &mut public] {
        let (code, took) = closed(socket).await;
        assert_eq!(code, Some(CloseCode::Restart));
        assert!(took < SOON, "{took:?}");
    }
    assert!(events.ends(SOON).await, "an event stream connects again by itself");
    assert!(!download.ends(Duration::from_millis(300)).await, "a download does not");
    echoes(&mut plain).await;
    // The next handshake tells what is right now.
    let mut again = open_at(&fixture, &alice, "/app/ws", None).await.unwrap();
    echoes(&mut again).await;
    let seen = fixture.upstream.seen();
    let last = seen.iter().rfind(|seen| seen.target == "/app/ws").unwrap();
    assert_eq!(last.all("x-forwarded-groups"), ["staff"]);
}
