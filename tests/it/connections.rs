//! Limits of client connections, and what still works at the limit.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Appliance, eventually};
use crate::upstream::Upstream;

const SOON: Duration = Duration::from_secs(5);

fn public(app: &Upstream) -> String {
    format!(
        "[apps.app]\nupstream = \"http://127.0.0.1:{}\"\npath = \"/app\"\naccess = \"public\"\n",
        app.port
    )
}

/// A client connection without a request.
pub(crate) fn connect(appliance: &Appliance) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", appliance.port)).unwrap();
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

pub(crate) fn send(stream: &TcpStream, appliance: &Appliance, path: &str, more: &str) {
    send_method(stream, appliance, "GET", path, more);
}

fn send_method(
    mut stream: &TcpStream,
    appliance: &Appliance,
    method: &str,
    path: &str,
    more: &str,
) {
    let host = format!("localhost:{}", appliance.port);
    let _ = write!(stream, "{method} {path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n");
}

/// The status of the next response, whose body is read as well; 0 if the connection is closed.
pub(crate) fn status(mut stream: &TcpStream) -> (u16, String) {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                let (name, value) = line.split_once(':')?;
                name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().unwrap())
            });
            if body.len() >= length.unwrap_or(0) {
                return (head[9..12].parse().unwrap(), text);
            }
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return (0, text),
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

fn ask(stream: &TcpStream, appliance: &Appliance, path: &str) -> u16 {
    send(stream, appliance, path, "");
    status(stream).0
}

/// Whether the appliance closes the connection within that time.
pub(crate) fn is_closed_within(mut stream: &TcpStream, time: Duration) -> bool {
    stream.set_read_timeout(Some(time)).unwrap();
    matches!(stream.read(&mut [0]), Ok(0))
}

async fn live(appliance: &Appliance) {
    eventually("the listener to respond", async || {
        let stream = TcpStream::connect(("127.0.0.1", appliance.port)).ok()?;
        stream.set_read_timeout(Some(SOON)).unwrap();
        (ask(&stream, appliance, "/_appliance/live") == 200).then_some(())
    })
    .await;
    // Until the appliance has noticed the end of these connections.
    tokio::time::sleep(Duration::from_millis(300)).await;
}

#[tokio::test]
async fn commands_and_new_clients_are_served_beside_a_thousand_idle_clients() {
    let app = Upstream::start();
    let appliance = Appliance::start_with_open_files(400, &public(&app));
    live(&appliance).await;
    let mut idle = Vec::new();
    for number in 0..1000 {
        let stream = connect(&appliance);
        if number % 3 == 0 {
            assert_eq!(ask(&stream, &appliance, "/app/x"), 200, "{number}");
        }
        idle.push(stream);
    }
    for command in [&["healthcheck"][..], &["status"], &["logs", "-n", "1"]] {
        let begin = Instant::now();
        assert_eq!(appliance.cli(command).status.code(), Some(0), "{command:?}");
        assert!(begin.elapsed() < Duration::from_secs(2), "{command:?}");
    }
    assert_eq!(ask(&connect(&appliance), &appliance, "/app/x"), 200);
    assert!(is_closed_within(&idle[0], SOON), "the longest idle connection goes first");
    assert_eq!(ask(idle.last().unwrap(), &appliance, "/app/x"), 200, "the newest stays");
    let log = appliance.log();
    assert!(log.contains("what the limit of open files allows"), "{log}");
    assert!(!log.contains("cannot accept"), "{log}");
}

/// Idle connections to one app are closed when the clients need their descriptors for another app.
#[tokio::test]
async fn idle_connections_to_apps_leave_descriptors_for_everything_else() {
    let (app, other) = (Upstream::start(), Upstream::start());
    let others = public(&other).replace("apps.app", "apps.other").replace("/app", "/other");
    let appliance = Appliance::start_with_open_files(400, &(public(&app) + &others));
    live(&appliance).await;
    let clients: Vec<_> = (0..128).map(|_| connect(&appliance)).collect();
    for (path, asked) in [("/app/late", &app), ("/other/late", &other)] {
        for client in &clients {
            send(client, &appliance, path, "");
        }
        eventually("all requests to arrive", async || {
            (asked.seen().len() == clients.len()).then_some(())
        })
        .await;
        let descriptors = std::fs::read_dir(format!("/proc/{}/fd", appliance.pid())).unwrap();
        let held = descriptors.count();
        assert!(held < 400 - 64, "{path}: {held} descriptors");
        assert_eq!(appliance.cli(&["healthcheck"]).status.code(), Some(0), "{path}");
        for client in &clients {
            assert_eq!(status(client).0, 200, "{path}");
        }
    }
    drop(clients);
    // Beside few clients, connections are kept and used again.
    let alone = connect(&appliance);
    for _ in 0..2 {
        assert_eq!(ask(&alone, &appliance, "/app/x"), 200);
    }
    let seen = app.seen();
    assert_eq!(seen[seen.len() - 1].connection, seen[seen.len() - 2].connection);
    assert!(!appliance.log().contains("os error 24"), "{}", appliance.log());
}

#[tokio::test]
async fn requests_and_tunnels_are_never_closed_for_a_new_connection() {
    let app = Upstream::start();
    let appliance = Appliance::start(&("max_connections = 4\n".to_owned() + &public(&app)));
    live(&appliance).await;
    let in_flight = connect(&appliance);
    send(&in_flight, &appliance, "/app/hang", "");
    let tunnel = connect(&appliance);
    let handshake = format!(
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nOrigin: {}\r\n",
        appliance.url
    );
    send(&tunnel, &appliance, "/app/ws", &handshake);
    assert_eq!(status(&tunnel).0, 101);
    let idle = connect(&appliance);
    assert_eq!(ask(&idle, &appliance, "/app/x"), 200);
    // The client may read the end of the response before the connection counts as idle.
    tokio::time::sleep(Duration::from_millis(100)).await;
    let half_head = connect(&appliance);
    let _ = (&half_head).write_all(b"GET /app/x HTTP/1.1\r\n");
    tokio::time::sleep(Duration::from_millis(100)).await;
    let newer = connect(&appliance);
    assert_eq!(ask(&newer, &appliance, "/app/x"), 200);
    assert!(is_closed_within(&idle, SOON));
    send(&newer, &appliance, "/app/hang", "");
    tokio::time::sleep(Duration::from_millis(100)).await;
    // A head that is slow is served, as long as nobody else needs the place.
    let _ = write!(&half_head, "Host: localhost:{}\r\n\r\n", appliance.port);
    assert_eq!(status(&half_head).0, 200);
    send(&half_head, &appliance, "/app/hang", "");
    tokio::time::sleep(Duration::from_millis(100)).await;

    let refused = connect(&appliance);
    send(&refused, &appliance, "/app/x", "Accept: text/html\r\n");
    let (code, page) = status(&refused);
    assert_eq!(code, 503);
    assert!(page.contains("The server is busy") && page.contains("x-request-id: "), "{page}");
    assert!(page.contains("retry-after: ") && page.contains("connection: close"), "{page}");
    assert!(is_closed_within(&refused, SOON));
    assert_eq!(ask(&connect(&appliance), &appliance, "/_appliance/live"), 200);
    let seen = app.seen().len();
    let refused = connect(&appliance);
    send(&refused, &appliance, "/app/x", "");
    let (code, json) = status(&refused);
    assert_eq!((code, app.seen().len()), (503, seen));
    assert!(json.contains("application/json") && json.ends_with('"'), "{json}");

    assert!(!is_closed_within(&in_flight, Duration::from_millis(300)));
    let _ = (&tunnel).write_all(b"\x81\x82\0\0\0\0hi");
    let mut frame = [0; 4];
    (&tunnel).read_exact(&mut frame).unwrap();
    assert_eq!(&frame, b"\x81\x02hi");
    let log = appliance.log();
    assert_eq!(log.matches("too many connections, refusing").count(), 1, "{log}");
}

/// A stranger pays one byte for a connection; as a request in flight it would have a place for the whole
/// `header_timeout`.
#[tokio::test]
async fn half_heads_keep_nobody_out() {
    let app = Upstream::start();
    for h2c in ["", "h2c = true\n"] {
        let config = format!("max_connections = 8\n{h2c}header_timeout = \"5m\"\n{}", public(&app));
        let appliance = Appliance::start(&config);
        live(&appliance).await;
        let mut strangers = Vec::new();
        for number in 0..24 {
            let stranger = connect(&appliance);
            let bytes: &[u8] = [&b"G"[..], b"GET /app/x HTTP/1.1\r\nHo"][number % 2];
            let _ = (&stranger).write_all(bytes);
            strangers.push(stranger);
            if number % 4 == 0 {
                assert_eq!(ask(&connect(&appliance), &appliance, "/app/x"), 200, "{number}");
            }
        }
        assert!(is_closed_within(&strangers[0], SOON), "the oldest goes first");
        // One of the newest is a client that is slow.
        let mut slow = &strangers[23];
        let _ = write!(slow, "st: localhost:{}\r\n\r\n", appliance.port);
        assert_eq!(status(slow).0, 200);
        assert!(!appliance.log().contains("too many connections"), "{}", appliance.log());
    }
}

/// The first request comes with the connection, and the appliance has the answer at once.
#[tokio::test]
async fn a_connection_is_idle_after_every_answer() {
    let app = Upstream::start();
    let config = "max_connections = 8\nidle_timeout = \"2s\"\n".to_owned() + &public(&app);
    let mut appliance = Appliance::start(&config);
    live(&appliance).await;
    let paths = ["/_appliance/live", "/none", "/oauth2/userinfo", "/app/x", "/../x"];
    let open = |path: &&str| {
        let stream = connect(&appliance);
        send(&stream, &appliance, path, "");
        stream
    };
    let idle: Vec<_> = paths.iter().map(open).collect();
    for (path, stream) in paths.iter().zip(&idle) {
        assert_ne!(status(stream).0, 0, "{path}");
        assert!(is_closed_within(stream, SOON), "{path}: longer than `idle_timeout`");
    }
    // They make room for others before that.
    let mut open_still = Vec::new();
    for round in 0..8 {
        for path in paths {
            let stream = open(&path);
            assert!(![0, 503].contains(&status(&stream).0), "{path} in round {round}");
            open_still.push(stream);
        }
    }
    appliance.stop().await;
}

#[tokio::test]
async fn one_address_has_a_limit_of_its_own() {
    let app = Upstream::start();
    let config = "max_connections_per_ip = 3\n".to_owned() + &public(&app);
    let appliance = Appliance::start(&config);
    live(&appliance).await;
    let busy: Vec<_> = (0..3)
        .map(|_| {
            let stream = connect(&appliance);
            send(&stream, &appliance, "/app/hang", "");
            stream
        })
        .collect();
    eventually("the requests to arrive", async || (app.seen().len() == 3).then_some(())).await;
    assert_eq!(ask(&connect(&appliance), &appliance, "/app/x"), 503);
    let other = connect_from("127.0.0.9", appliance.port);
    assert_eq!(ask(&other, &appliance, "/app/x"), 200);
    drop(busy);
    eventually("places to be free", async || {
        (ask(&connect(&appliance), &appliance, "/app/x") == 200).then_some(())
    })
    .await;
}

/// A connection from another address of this machine.
fn connect_from(source: &str, port: u16) -> TcpStream {
    use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};
    use std::os::fd::AsRawFd;
    let at = |ip: &str, port: u16| {
        SockaddrIn::from(std::net::SocketAddrV4::new(ip.parse().unwrap(), port))
    };
    let socket =
        socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(socket.as_raw_fd(), &at(source, 0)).unwrap();
    connect(socket.as_raw_fd(), &at("127.0.0.1", port)).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(SOON)).unwrap();
    stream
}

/// Opens connections to the front door with the beginning of a request, again and again.
const ASKER: &str = "import socket, time
held = []
while True:
    for _ in range(12):
        try:
            held.append(socket.create_connection(('127.0.0.1', PORT), 2))
            held[-1].sendall(b'GET / HTTP/1.1\\r\\n')
        except OSError as error:
            print(error, flush=True)
    print('asked', flush=True)
    time.sleep(1)
";

#[tokio::test]
async fn an_app_that_asks_without_end_leaves_places_to_others() {
    // Without rights to change users, the app runs as the appliance's user, which others have, too.
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let app = Upstream::start();
    let script = ASKER.replace("PORT", "{public_host}");
    let script = script.replace("('127.0.0.1', {public_host})", "'{public_host}'.split(':')");
    let asker = format!(
        "[apps.asker]\nuser = \"nobody\"\ncommand = [\"python3\", \"-c\", '''{script}''']\n"
    );
    let config = "max_connections = 12\n".to_owned() + &public(&app) + &asker;
    let appliance = Appliance::start(&config);
    eventually("the app has asked", async || {
        (appliance.log().matches("| asked").count() >= 2).then_some(())
    })
    .await;
    let clients: Vec<_> = (0..3).map(|_| connect(&appliance)).collect();
    for client in &clients {
        assert_eq!(ask(client, &appliance, "/app/"), 200, "{}", appliance.log());
    }
    appliance.logs("refusing new ones of an app").await;
}

/// An app that answers one request of each connection, and closes the connection when it has read
/// a second one. Returns its port and the number of requests it has read.
fn app_of_short_connections() -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let requests = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&requests);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let counted = Arc::clone(&counted);
            std::thread::spawn(move || {
                let mut stream = stream.unwrap();
                for answer in ["HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", ""] {
                    let mut head = Vec::new();
                    let mut byte = [0];
                    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() == 1 {
                        head.push(byte[0]);
                    }
                    counted.fetch_add(usize::from(!head.is_empty()), Ordering::Relaxed);
                    stream.write_all(answer.as_bytes()).unwrap();
                }
            });
        }
    });
    (port, requests)
}

#[tokio::test]
async fn a_request_on_a_stale_connection_to_an_app_elsewhere_is_repeated_if_that_is_safe() {
    let (port, requests) = app_of_short_connections();
    let appliance = Appliance::start(&format!(
        "[apps.app]\nupstream = \"http://127.0.0.1:{port}\"\npath = \"/app\"\naccess = \"public\"\n"
    ));
    live(&appliance).await;
    let read = || requests.load(Ordering::Relaxed);
    // One client connection, because each worker of the proxy has its own pool.
    let stream = connect(&appliance);
    // A row with two reads finds the connection of the row before. The appliance does not keep a
    // connection after HEAD.
    for (method, expected, reads) in
        [("GET", 200, 1), ("GET", 200, 2), ("HEAD", 200, 2), ("GET", 200, 1), ("POST", 502, 1)]
    {
        let before = read();
        send_method(&stream, &appliance, method, "/app/", "content-length: 0\r\n");
        assert_eq!(status(&stream).0, expected, "{method}");
        assert_eq!(read() - before, reads, "{method}");
    }
}
