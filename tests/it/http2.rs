//! HTTP/2 from clients: one pipeline with HTTP/1, many requests at the same time.

pub(crate) mod client;
mod messages;
mod untaken_files;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request};
use nix::sys::signal::Signal;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use self::client::{Client, whole};
use crate::fixture::Fixture;
use crate::harness::{Appliance, FETCH, NAVIGATION, PATIENCE, eventually, free_port};
use crate::replicas::{edit, run};
use crate::tls::certificate_for;
use crate::upstream::Upstream;

const SMALL: &str = r#"
[apps.small]
path = "/small"
upstream = "http://127.0.0.1:{UP}"
access = "public"
max_body = "10B"
"#;

/// The longest time for what happens at once.
const SOON: Duration = Duration::from_secs(5);

async fn fixture(server: &str) -> Fixture {
    Fixture::beside(&format!("h2c = true\n{server}"), SMALL).await
}

/// An appliance without a login, with a public app at `/e`. `server` is more of `[server]`.
pub(crate) async fn public(server: &str) -> (Upstream, Appliance) {
    let app = Upstream::start();
    let config = format!(
        "h2c = true\n{server}\n[apps.e]\nupstream = \"http://127.0.0.1:{}\"\npath = \"/e\"\naccess = \"public\"\n",
        app.port
    );
    let appliance = Appliance::start(&config);
    appliance.wait_ready().await;
    (app, appliance)
}

#[tokio::test]
async fn the_requests_of_one_connection_reach_the_app_as_http_1() {
    let fixture = fixture("").await;
    let (client, _) = Client::connect(&fixture.appliance).await;
    let host = format!("localhost:{}", fixture.appliance.port);
    let asking: Vec<_> = (0..60)
        .map(|at| {
            let client = client.clone();
            tokio::spawn(async move {
                let path = format!("/open/{at}?q=%2F");
                let body = format!("body {at}");
                let lines = [
                    ("cookie", "a=1"),
                    ("cookie", "appliance=x"),
                    ("cookie", "b=2; c=3"),
                    ("te", "trailers"),
                    ("x-forwarded-user", "mallory"),
                    ("x_forwarded_user", "mallory"),
                ];
                (path.clone(), body.clone(), client.post(&path, &lines, body.as_bytes()).await)
            })
        })
        .collect();
    for answer in asking {
        let (path, body, answer) = answer.await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.headers.get_all("x-request-id").iter().count(), 1, "{answer:?}");
        assert_eq!(answer.headers.get_all("date").iter().count(), 1, "{answer:?}");
        let seen = answer.seen();
        assert_eq!((&seen["method"], &seen["target"]), (&"POST".into(), &path.as_str().into()));
        assert_eq!(seen["body"], body.as_str());
        assert!(!seen.to_string().contains("mallory"), "{seen}");
    }
    let seen = fixture.upstream.seen().pop().unwrap();
    assert_eq!(seen.all("host"), [&host]);
    assert_eq!(seen.all("x-forwarded-host"), [&host]);
    assert_eq!(seen.all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.all("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.all("cookie"), ["a=1; b=2; c=3"]);
    assert_eq!(seen.all("transfer-encoding"), ["chunked"]);

    // Other shapes of a body.
    let answer = client.post("/open/x", &[("content-length", "2")], b"hi").await;
    assert_eq!(answer.seen()["body"], "hi");
    let seen = fixture.upstream.seen().pop().unwrap();
    assert_eq!((seen.all("content-length"), seen.all("transfer-encoding").len()), (vec!["2"], 0));
    let (response, mut stream) = client.begin(client.request(Method::GET, "/open/x", &[])).await;
    stream.send_data(Bytes::from_static(b"of a GET"), false).unwrap();
    let mut evil = http::HeaderMap::new();
    evil.insert("x-forwarded-user", "mallory".parse().unwrap());
    stream.send_trailers(evil).unwrap();
    let answer = whole(response.await.unwrap()).await.unwrap();
    assert_eq!(answer.seen()["body"], "of a GET");
    assert!(!answer.text().contains("mallory"), "{answer:?}");
    let answer = client.ask(client.request(Method::HEAD, "/open/bytes-1000", &[])).await.unwrap();
    assert_eq!(answer.headers["content-length"], "1000");
    assert!(answer.body.is_empty() && answer.status == 200, "{answer:?}");
    let answer = client.get("/open/cookies", &[]).await;
    assert_eq!(answer.headers["set-cookie"], "a=1; Path=/x");
}

#[tokio::test]
async fn heads_are_judged_as_on_http_1() {
    let fixture = fixture("").await;
    let (client, _) = Client::connect(&fixture.appliance).await;
    let before = fixture.upstream.seen().len();
    let own = client.origin.clone();
    let host = own.strip_prefix("http://").unwrap().to_owned();
    let (long, path) = ("x".repeat(40 * 1024), format!("{own}/open/{}", "x".repeat(17 * 1024)));
    let at = |path: &str| format!("{own}{path}");
    let many: Vec<_> = (0..140).map(|_| ("x-y", "v")).collect();
    let crumbs: Vec<_> = (0..140).map(|_| ("cookie", "a=1")).collect();
    for (method, uri, lines, status) in [
        ("GET", "http://evil.test/open/x".to_owned(), &[][..], 421),
        ("GET", "http://evil.test/open/x".to_owned(), &[("host", host.as_str())], 400),
        ("GET", at("/open/x"), &[("host", "evil.test")], 400),
        ("GET", at("/open/x"), &[("host", host.as_str()), ("host", host.as_str())], 400),
        ("GET", at("/open/x").replace("http://", "http://u@"), &[], 400),
        ("GET", at("/open/x").replace("http:", "ftp:"), &[], 400),
        ("GET", at("/open/../app/x"), &[], 400),
        ("GET", at("/open/%2e%2e/app/x"), &[], 400),
        ("GET", at("/open//x"), &[], 400),
        ("GET", at("/missing"), &[], 404),
        ("GET", path, &[], 414),
        ("GET", at("/open/x"), &many, 431),
        ("GET", at("/open/x"), &[("cookie", long.as_str())], 431),
        ("get", at("/open/x"), &[], 400),
        ("TRACE", at("/open/x"), &[], 405),
        ("POST", at("/open/x"), &[("expect", "foo")], 417),
        ("GET", at("/app/x"), FETCH, 401),
        ("GET", at("/app/x"), NAVIGATION, 302),
    ] {
        let mut request = Request::builder().method(method).uri(&uri);
        for (name, value) in lines {
            request = request.header(*name, *value);
        }
        let answer = client.ask(request.body(()).unwrap()).await.unwrap();
        assert_eq!(answer.status, status, "{method} {uri:.60} {answer:?}");
        assert_eq!(answer.headers.get_all("x-request-id").iter().count(), 1, "{answer:?}");
        assert!(!answer.headers.contains_key("connection"), "{answer:?}");
    }
    let mut tunnel = Request::new(());
    *tunnel.method_mut() = Method::CONNECT;
    *tunnel.uri_mut() = format!("127.0.0.1:{}", fixture.upstream.port).parse().unwrap();
    assert_eq!(client.ask(tunnel).await.unwrap().status, 405);
    assert_eq!(fixture.upstream.seen().len(), before, "nothing of this reaches an app");
    // A browser sends each cookie in a field of its own.
    assert_eq!(client.get("/open/x", &crumbs).await.status, 200);
    assert_eq!(fixture.upstream.seen().pop().unwrap().all("cookie").len(), 1);
    // A page names the header that is too large.
    let answer = client.get("/open/x", &[("cookie", &long), ("accept", "text/html")]).await;
    assert!(answer.text().contains("header Cookie"), "{answer:?}");
    assert!(!client.send.is_extended_connect_protocol_enabled());
}

#[tokio::test]
async fn a_session_of_http_1_is_one_of_http_2_and_its_end_ends_streams() {
    let fixture = fixture("").await;
    let mut alice = fixture.signed_in("alice").await;
    let bob = fixture.signed_in("bob").await;
    let (client, _) = Client::connect(&fixture.appliance).await;
    let (alices, bobs) = (alice.cookie_line(), bob.cookie_line());
    let answer = client.get("/app/x", &[("cookie", "other=1"), ("cookie", &alices)]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = fixture.upstream.seen().pop().unwrap();
    assert_eq!(
        (seen.all("x-forwarded-user"), seen.all("cookie")),
        (vec!["alice"], vec!["other=1"])
    );

    let open = async |cookie: &str, path: &str| {
        let request = client.request(Method::GET, path, &[("cookie", cookie)]);
        let response = client.head(request).await.unwrap();
        assert_eq!(response.status(), 200);
        response.into_body()
    };
    let mut events = open(&alices, "/app/events").await;
    let mut others = open(&bobs, "/app/ticks").await;
    // Nothing of this one is read: its window is full.
    let mut flood = open(&alices, "/app/flood").await;
    assert_eq!(events.data().await.unwrap().unwrap(), "data: 0\n\n");
    tokio::time::sleep(Duration::from_secs(2)).await;

    let own = [("origin", client.origin.as_str())];
    let out = alice.send(reqwest::Method::POST, "/oauth2/sign_out", &own).await.unwrap();
    assert_eq!(out.status, 302, "{out:?}");
    alice.cookies.clear();
    let ended = timeout(SOON, events.data()).await.expect("the stream ends");
    assert!(ended.is_none_or(|piece| piece.is_err()));
    let mut taken = 0;
    let ended = timeout(SOON, async {
        while let Some(Ok(piece)) = flood.data().await {
            taken += piece.len();
        }
    });
    assert!(ended.await.is_ok(), "the other stream ends, too, although nothing is acknowledged");
    assert!(taken <= 1 << 17, "{taken}");
    // The connection, and the stream of another session on it, go on.
    for _ in 0..5 {
        let piece = timeout(SOON, others.data()).await.unwrap().unwrap().unwrap();
        others.flow_control().release_capacity(piece.len()).unwrap();
    }
    assert_eq!(client.get("/open/x", &[]).await.status, 200);
}

#[tokio::test]
async fn uploads_have_limits_and_leave_the_connection_open() {
    let fixture = fixture("body_timeout = \"1s\"").await;
    let (client, _) = Client::connect(&fixture.appliance).await;
    // The length is known, or too much has come.
    let answer = client.post("/small/x", &[("content-length", "11")], b"12345678901").await;
    assert_eq!(answer.status, 413, "{answer:?}");
    let answer = client.post("/small/x", &[], b"12345678901").await;
    assert_eq!(answer.status, 413, "{answer:?}");
    assert_eq!(client.post("/small/x", &[], b"1234567890").await.status, 200);
    // The app answers before the body has come.
    let (response, mut stream) =
        client.begin(client.request(Method::POST, "/open/early", &[("content-length", "9")])).await;
    stream.send_data(Bytes::from_static(b"hel"), false).unwrap();
    let answer = whole(response.await.unwrap()).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.text().as_str()), (413, "own"));
    // The client sends nothing more.
    let (response, mut stream) =
        client.begin(client.request(Method::POST, "/open/x", &[("content-length", "9")])).await;
    stream.send_data(Bytes::from_static(b"hel"), false).unwrap();
    let answer = timeout(SOON, response).await.unwrap().unwrap();
    assert_eq!(answer.status(), 408);
    // A stranger's body is not waited for, and `Expect` is answered by the status.
    let lines = [FETCH, &[("expect", "100-continue"), ("content-length", "9")]].concat();
    let (response, _stream) = client.begin(client.request(Method::POST, "/app/x", &lines)).await;
    assert_eq!(timeout(SOON, response).await.unwrap().unwrap().status(), 401);
    assert_eq!(client.get("/open/x", &[]).await.status, 200);
}

#[tokio::test]
async fn large_bodies_pass_both_ways_and_one_that_is_not_read_holds_up_no_other() {
    const LARGE: usize = 24 << 20;
    let (app, appliance) = public("").await;
    let (client, _) = Client::connect(&appliance).await;
    let unread = client.head(client.request(Method::GET, "/e/flood", &[])).await.unwrap();
    let sending = tokio::spawn({
        let client = client.clone();
        async move {
            let (response, mut stream) =
                client.begin(client.request(Method::POST, "/e/x", &[])).await;
            let mut left = LARGE;
            while left > 0 {
                stream.reserve_capacity(left.min(1 << 16));
                let room = std::future::poll_fn(|cx| stream.poll_capacity(cx)).await;
                let size = room.unwrap().unwrap().min(left);
                left -= size;
                stream.send_data(Bytes::from(vec![b'u'; size]), left == 0).unwrap();
            }
            whole(response.await.unwrap()).await.unwrap()
        }
    });
    let (other, _) = Client::connect(&appliance).await;
    let answer = other.get(&format!("/e/bytes-{LARGE}"), &[]).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, LARGE));
    assert_eq!(timeout(PATIENCE, sending).await.unwrap().unwrap().status, 200);
    let uploaded = app.seen().into_iter().find(|seen| seen.method == "POST").unwrap();
    assert!(uploaded.body.len() == LARGE && uploaded.body.iter().all(|&byte| byte == b'u'));
    let memory = std::fs::read_to_string(format!("/proc/{}/status", appliance.pid())).unwrap();
    let peak = memory.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak: usize = peak.trim().trim_end_matches(" kB").trim().parse().unwrap();
    assert!(peak < 200_000, "{peak} kB");
    drop(unread);
    eventually("the app's connection is closed with the stream", async || {
        (app.open() <= 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_client_that_leaves_the_last_piece_of_a_response_does_not_keep_its_connection_for_ever() {
    let (_app, appliance) = public("send_timeout = \"2s\"").await;
    let socket = TcpStream::connect(("127.0.0.1", appliance.port)).await.unwrap();
    let mut settings = h2::client::Builder::new();
    settings.initial_window_size(10);
    let (send, connection) = settings.handshake::<_, Bytes>(socket).await.unwrap();
    let client = Client { send, origin: appliance.url.clone() };
    let mut ended = tokio::spawn(connection);
    let untaken = client.head(client.request(Method::GET, "/e/bytes-1000", &[])).await.unwrap();
    // In use all the time, by requests whose responses need no room.
    let until = Instant::now() + PATIENCE;
    while timeout(Duration::from_millis(100), &mut ended).await.is_err() {
        assert!(Instant::now() < until, "the connection is still open");
        let request = client.request(Method::HEAD, "/e/x", &[]);
        if let Ok(answer) = client.head(request).await {
            assert_eq!(answer.status(), 200);
        }
    }
    drop(untaken);
    // A client that takes its responses goes on for longer than that.
    let (other, _) = Client::connect(&appliance).await;
    for _ in 0..30 {
        assert_eq!(other.get("/e/bytes-1000", &[]).await.body.len(), 1000);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_stop_lets_streams_finish_and_takes_no_new_ones() {
    let (_app, mut appliance) = public("").await;
    let (client, ended) = Client::connect(&appliance).await;
    let (idle, idle_ended) = Client::connect(&appliance).await;
    assert_eq!(idle.get("/e/x", &[]).await.status, 200);
    let late = tokio::spawn({
        let client = client.clone();
        async move { client.get("/e/late", &[]).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    appliance.signal(Signal::SIGTERM);
    assert!(timeout(SOON, idle_ended).await.unwrap().unwrap().is_ok(), "GOAWAY without an error");
    assert_eq!(late.await.unwrap().text(), "late");
    assert!(timeout(SOON, ended).await.unwrap().unwrap().is_ok());
    assert!(client.ask(client.request(Method::GET, "/e/x", &[])).await.is_err());
    assert_eq!(appliance.end().await, 0);
}

#[tokio::test]
async fn a_reload_that_gives_up_the_address_says_goodbye() {
    let (_app, appliance) = public("").await;
    let (client, ended) = Client::connect(&appliance).await;
    assert_eq!(client.get("/e/x", &[]).await.status, 200);
    let late = tokio::spawn({
        let client = client.clone();
        async move { client.get("/e/late", &[]).await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    let (before, after) = (appliance.port, free_port());
    edit(
        &appliance,
        &format!("listen = \"127.0.0.1:{before}\""),
        &format!("listen = \"127.0.0.1:{after}\""),
    );
    assert!(run(&appliance, &["reload"]).contains("update server: listen"));
    assert_eq!(late.await.unwrap().text(), "late");
    assert!(timeout(SOON, ended).await.unwrap().unwrap().is_ok());
}

#[tokio::test]
async fn an_idle_connection_makes_room_and_one_with_a_stream_does_not() {
    let (_app, appliance) = public("max_connections = 1").await;
    // The connection of the readiness probe may still have the only place.
    let (_idle, ended) = eventually("a place", async || {
        let (idle, ended) = Client::connect(&appliance).await;
        let answer = idle.ask(idle.request(Method::GET, "/e/x", &[])).await.ok()?;
        (answer.status == 200).then_some((idle, ended))
    })
    .await;
    let (_busy, events) = eventually("the place of the idle one", async || {
        let (busy, _) = Client::connect(&appliance).await;
        let events = busy.head(busy.request(Method::GET, "/e/events", &[])).await.ok()?;
        (events.status() == 200).then_some((busy, events))
    })
    .await;
    let closed = timeout(SOON, ended).await.unwrap().unwrap();
    // Its place is free at once, so what the client just sends may meet a closed socket.
    assert!(closed.as_ref().err().is_none_or(h2::Error::is_io), "{closed:?}");
    let (refused, ended) = Client::connect(&appliance).await;
    let answer = refused.get("/e/x", &[]).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(timeout(SOON, ended).await.unwrap().unwrap().is_ok());
    drop(events);
    eventually("a free place", async || {
        let (client, _) = Client::connect(&appliance).await;
        let answer = client.ask(client.request(Method::GET, "/e/x", &[])).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn streams_leave_descriptors_for_other_clients() {
    let app = Upstream::start();
    let config = format!(
        "h2c = true\n[apps.e]\nupstream = \"http://127.0.0.1:{}\"\npath = \"/e\"\naccess = \"public\"\n",
        app.port
    );
    let appliance = Appliance::start_with_open_files(128, &config);
    appliance.wait_ready().await;
    let (client, _) = Client::connect(&appliance).await;
    let mut waiting = Vec::new();
    for _ in 0..100 {
        let client = client.clone();
        waiting.push(tokio::spawn(async move {
            client.ask(client.request(Method::GET, "/e/events", FETCH)).await
        }));
    }
    eventually("the streams that the descriptors allow", async || {
        waiting.iter().any(tokio::task::JoinHandle::is_finished).then_some(())
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    let (done, open): (Vec<_>, Vec<_>) =
        waiting.into_iter().partition(tokio::task::JoinHandle::is_finished);
    assert!(open.len() > 5, "{}", open.len());
    for refused in done {
        assert_eq!(refused.await.unwrap().unwrap().status, 503);
    }
    let (other, _) = Client::connect(&appliance).await;
    assert_eq!(other.get("/e/x", &[]).await.status, 200);
    drop((open, client));
}

/// The streams of a few connections take the descriptors of idle connections, which are closed for them.
#[tokio::test]
async fn idle_connections_make_room_for_streams_before_anybody_is_refused() {
    let app = Upstream::start();
    let config = format!(
        "h2c = true\n[apps.e]\nupstream = \"http://127.0.0.1:{}\"\npath = \"/e\"\naccess = \"public\"\n",
        app.port
    );
    let appliance = Appliance::start_with_open_files(400, &config);
    appliance.wait_ready().await;
    let head =
        format!("GET /_appliance/live HTTP/1.1\r\nHost: localhost:{}\r\n\r\n", appliance.port);
    let mut idle = Vec::new();
    for _ in 0..120 {
        let mut one = TcpStream::connect(("127.0.0.1", appliance.port)).await.unwrap();
        one.write_all(head.as_bytes()).await.unwrap();
        assert!(one.read(&mut [0; 4096]).await.unwrap() > 0);
        idle.push(one);
    }
    let mut waiting = Vec::new();
    for _ in 0..6 {
        let (client, _) = Client::connect(&appliance).await;
        for _ in 0..12 {
            let client = client.clone();
            waiting.push(tokio::spawn(async move {
                client.head(client.request(Method::GET, "/e/events", FETCH)).await.unwrap()
            }));
        }
    }
    let mut open = Vec::new();
    for stream in waiting {
        open.push(stream.await.unwrap());
    }
    let served = open.iter().filter(|response| response.status() == 200).count();
    assert!(served > 40, "{served} streams are open");
    for number in 0..30 {
        let (person, _) = Client::connect(&appliance).await;
        let answer = person.get("/e/x", &[]).await;
        assert_eq!(answer.status, 200, "person {number}: {}", appliance.log());
    }
    assert!(!appliance.log().contains("too many connections"), "{}", appliance.log());
}

/// A connection whose window is shut: the client takes nothing of any response.
async fn shut(appliance: &Appliance) -> Client {
    let socket = TcpStream::connect(("127.0.0.1", appliance.port)).await.unwrap();
    let mut settings = h2::client::Builder::new();
    settings.initial_window_size(0).initial_max_send_streams(100);
    let (send, connection) = settings.handshake(socket).await.unwrap();
    tokio::spawn(connection);
    Client { send, origin: appliance.url.clone() }
}

#[tokio::test]
async fn streams_of_files_leave_descriptors_for_other_clients() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, length: u64| {
        std::fs::File::create(folder.path().join(name)).unwrap().set_len(length).unwrap();
    };
    write("large.bin", 1 << 20);
    write("large.css", 1 << 20);
    write("small.bin", 1000);
    let site = format!("[apps.site]\nstatic = \"{}\"\n", folder.path().display());
    let config = format!("h2c = true\n{site}path = \"/site\"\naccess = \"public\"\n");
    let members = [
        ("/site/large.bin", &[][..]),
        ("/site/large.bin", &[("range", "bytes=9-")]),
        ("/site/large.css", &[("accept-encoding", "gzip")]),
        ("/site/small.bin", &[]),
    ];
    let each = members.map(|(path, lines)| files_leave_descriptors(&config, path, lines));
    futures_util::future::join_all(each).await;
}

/// Asks for a file as often as a few clients can who take nothing of it.
async fn files_leave_descriptors(config: &str, path: &str, lines: &[(&str, &str)]) {
    let appliance = Appliance::start_with_open_files(256, config);
    let before = eventually("the appliance to listen", async || {
        TcpStream::connect(("127.0.0.1", appliance.port)).await.ok()?;
        Some(descriptors(&appliance))
    })
    .await;
    let mut streams = Vec::new();
    for _ in 0..6 {
        let client = shut(&appliance).await;
        for _ in 0..100 {
            let client = client.clone();
            let get = client.request(Method::GET, path, lines);
            streams.push(tokio::spawn(async move { client.head(get).await }));
        }
    }
    let mut served = Vec::new();
    for stream in streams {
        served.push(stream.await.unwrap().unwrap());
    }
    let files = served.iter().filter(|one| one.status().is_success()).count();
    assert!((6..256).contains(&files), "{path} {lines:?}: {files} files");
    let held = descriptors(&appliance) - before;
    let most = if path.contains("small") { 20 } else { 256 - 64 };
    assert!(held < most, "{path} {lines:?}: {held} descriptors");
    let (other, _) = Client::connect(&appliance).await;
    let answer = other.get("/site/large.bin", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 1 << 20));
    // A page with many small files is loaded at once.
    let all = (0..60).map(|_| other.get("/site/small.bin", &[]));
    let all = futures_util::future::join_all(all).await;
    assert!(all.iter().all(|one| one.status == 200), "{path} {lines:?}");
}

fn descriptors(appliance: &Appliance) -> usize {
    std::fs::read_dir(format!("/proc/{}/fd", appliance.pid())).unwrap().count()
}

#[tokio::test]
async fn each_request_has_its_access_line() {
    let (_app, appliance) = public("[log]\nformat = \"json\"").await;
    let (client, _) = Client::connect(&appliance).await;
    let id = |answer: &client::Answer| answer.headers["x-request-id"].to_str().unwrap().to_owned();
    let sent = client.post("/e/one?secret", &[], b"hello").await;
    let missing = client.get("/missing", &[]).await;
    let cancelled = client.head(client.request(Method::GET, "/e/events", &[])).await.unwrap();
    let third = cancelled.headers()["x-request-id"].to_str().unwrap().to_owned();
    drop(cancelled);
    let wanted = [(id(&sent), 200), (id(&missing), 404), (third, 499)];
    eventually("the lines", async || {
        let log = appliance.log();
        let lines: Vec<serde_json::Value> =
            log.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        wanted
            .iter()
            .all(|(id, status)| {
                let own: Vec<_> = lines.iter().filter(|line| line["request_id"] == **id).collect();
                own.len() == 1 && own[0]["status"] == *status
            })
            .then_some(())
    })
    .await;
    let log = appliance.log();
    let line = log.lines().find(|line| line.contains(&wanted[0].0)).unwrap();
    let line: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!((&line["path"], &line["bytes_in"]), (&"/e/one".into(), &5.into()), "{line}");
    assert_eq!(line["host"], format!("localhost:{}", appliance.port), "{line}");
}

#[tokio::test]
async fn events_arrive_one_by_one_and_a_cancelled_stream_ends_the_request_to_the_app() {
    let (app, appliance) = public("").await;
    let (client, _) = Client::connect(&appliance).await;
    let mut ticks = client.head(client.request(Method::GET, "/e/ticks", &[])).await.unwrap();
    let began = Instant::now();
    for _ in 0..10 {
        let piece = timeout(SOON, ticks.body_mut().data()).await.unwrap().unwrap().unwrap();
        assert!(piece.len() < 100, "{piece:?}");
        ticks.body_mut().flow_control().release_capacity(piece.len()).unwrap();
    }
    assert!(began.elapsed() < SOON);
    assert!(app.open() >= 1);
    // Before and after the head of the response.
    drop(ticks);
    let hanging = client.head(client.request(Method::GET, "/e/hang", &[]));
    assert!(timeout(Duration::from_millis(500), hanging).await.is_err());
    eventually("the app is rid of both", async || (app.open() == 0).then_some(())).await;
    assert_eq!(client.get("/e/x", &[]).await.status, 200);
}

/// An appliance with certificates for `localhost`, and a public app.
pub(crate) fn secure(app: &Upstream, server: &str) -> Appliance {
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:{{PORT}}\"\npublic_url = \"https://localhost:{{PORT}}\"\n\
         state_dir = \"{{DIR}}/state\"\ntls = {{ cert = \"one.pem\", key = \"one.key\" }}\n{server}\n\
         [apps.e]\nupstream = \"http://127.0.0.1:{}\"\npath = \"/e\"\naccess = \"public\"\n\
         [apps.other]\nupstream = \"http://127.0.0.1:{}\"\nhost = \"other.example\"\naccess = \"public\"\n",
        app.port, app.port
    );
    let prepare = |folder: &std::path::Path| certificate_for(folder, "one", &["localhost"], 90);
    Appliance::start_with_in(prepare, &config)
}

/// Connects with these protocols; `None` if nothing listens yet, or the client was refused.
pub(crate) async fn secured(
    appliance: &Appliance,
    protocols: &[&str],
) -> Option<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(("127.0.0.1", appliance.port)).await.ok()?;
    secured_over(socket, appliance, protocols).await
}

/// The same over a connection that leads to the appliance.
pub(crate) async fn secured_over(
    socket: TcpStream,
    appliance: &Appliance,
    protocols: &[&str],
) -> Option<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(appliance.path("one.pem")).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider);
    let mut config = config
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|one| one.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await.ok()
}

#[tokio::test]
async fn tls_offers_http_2_unless_it_is_switched_off() {
    let app = Upstream::start();
    let appliance = secure(&app, "");
    let socket = eventually("https", async || secured(&appliance, &["h2", "http/1.1"]).await).await;
    assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let origin = format!("https://localhost:{}", appliance.port);
    let (client, ended) = Client::over(socket, &origin).await;
    let answer = client.get("/e/bytes-3000000", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.body.len()), (200, 3_000_000));
    let seen = client.get("/e/x", &[]).await.seen().to_string();
    assert!(seen.contains(r#"["X-Forwarded-Proto","https"]"#.to_lowercase().as_str()), "{seen}");
    // A browser may ask for every name of the certificate on one connection.
    let other = Request::get("https://other.example/x").body(()).unwrap();
    assert_eq!(client.ask(other).await.unwrap().status, 421);
    let other = Request::get("https://other.example/_appliance/live").body(()).unwrap();
    assert_eq!(client.ask(other).await.unwrap().status, 200);

    let both = secured(&appliance, &["http/1.1", "h2"]).await.unwrap();
    assert_eq!(both.get_ref().1.alpn_protocol(), Some(&b"h2"[..]), "the appliance chooses");
    for protocols in [&["http/1.1"][..], &[]] {
        let old = secured(&appliance, protocols).await.unwrap();
        assert_ne!(old.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    }
    edit(&appliance, "state_dir", "http2 = false\nstate_dir");
    assert!(run(&appliance, &["reload"]).contains("update server: http2\n"));
    let now = secured(&appliance, &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(now.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(timeout(SOON, ended).await.unwrap().unwrap().is_ok(), "GOAWAY without an error");
    drop(client);
}
