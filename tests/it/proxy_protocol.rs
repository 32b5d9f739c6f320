//! `proxy_protocol`: proxies of TCP connections that name their clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, connect, socket};

use crate::harness::{Appliance, PATIENCE, eventually, free_port};
use crate::http2::client::Client;
use crate::http2::{secure, secured_over};
use crate::upstream::Upstream;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const PROXY: &str = "127.0.0.1";
const STRANGER: &str = "127.0.0.9";

fn appliance(app: &Upstream, server: &str) -> Appliance {
    Appliance::start(&format!(
        "trusted_proxies = [\"127.0.0.1/32\"]\nproxy_protocol = true\n{server}\n\
         [apps.app]\nupstream = \"http://127.0.0.1:{}\"\npath = \"/app\"\naccess = \"public\"\n",
        app.port
    ))
}

/// A connection from this address of the machine.
fn connect_from(source: &str, port: u16) -> TcpStream {
    use std::os::fd::AsRawFd;
    let at = |ip: &str, port: u16| {
        SockaddrIn::from(std::net::SocketAddrV4::new(ip.parse().unwrap(), port))
    };
    let flags = SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Inet, SockType::Stream, flags, None).unwrap();
    bind(socket.as_raw_fd(), &at(source, 0)).unwrap();
    connect(socket.as_raw_fd(), &at("127.0.0.1", port)).unwrap();
    let stream = TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

fn request(appliance: &Appliance, path: &str) -> Vec<u8> {
    let port = appliance.port;
    format!("GET {path} HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n")
        .into_bytes()
}

fn rest(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

/// The whole response to these bytes, from this address.
fn send(appliance: &Appliance, source: &str, bytes: &[u8]) -> String {
    let mut stream = connect_from(source, appliance.port);
    // The appliance may close the connection before it has read everything.
    let _ = stream.write_all(bytes);
    rest(stream)
}

async fn live(appliance: &Appliance) {
    eventually("the appliance to listen", async || {
        TcpStream::connect(("127.0.0.1", appliance.port)).ok()
    })
    .await;
}

fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[command, family], &length, rest].concat()
}

#[tokio::test]
async fn the_client_is_the_one_that_the_proxy_names() {
    let app = Upstream::start();
    let appliance = appliance(&app, "");
    live(&appliance).await;
    let four = [203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x67, 1, 0xbb];
    let mut six = vec![0x20, 1, 0x0d, 0xb8];
    six.extend([0; 11]);
    six.push(7);
    six.extend([0; 16]);
    six.extend([0x12, 0x67, 1, 0xbb]);
    let more = [four.as_slice(), &[4, 0, 200], &[0; 200]].concat();
    for (number, (header, wanted)) in [
        (b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n".to_vec(), "203.0.113.7"),
        (b"PROXY TCP6 2001:db8::7 ::1 4711 443\r\n".to_vec(), "2001:db8::7"),
        (b"PROXY TCP6 ::ffff:203.0.113.8 ::1 4711 443\r\n".to_vec(), "203.0.113.8"),
        (b"PROXY UNKNOWN\r\n".to_vec(), PROXY),
        (binary(0x21, 0x11, &four), "203.0.113.7"),
        (binary(0x21, 0x11, &more), "203.0.113.7"),
        (binary(0x21, 0x21, &six), "2001:db8::7"),
        (binary(0x20, 0x00, &[]), PROXY),
        (binary(0x21, 0x00, &[]), PROXY),
    ]
    .into_iter()
    .enumerate()
    {
        let path = format!("/app/{number}");
        let answer = send(&appliance, PROXY, &[header, request(&appliance, &path)].concat());
        assert!(answer.starts_with("HTTP/1.1 200"), "{number}: {answer}");
        let seen = app.seen().pop().unwrap();
        assert_eq!(seen.all("x-forwarded-for"), [wanted], "{number}");
        let line = eventually("the access line", async || {
            let log = appliance.log();
            log.lines().find(|line| line.contains(&format!("path={path} "))).map(str::to_owned)
        })
        .await;
        assert!(line.contains(&format!("client_ip={wanted} ")), "{line}");
    }
    // What the proxy says about its own machine says nothing about this one.
    let named = b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 443\r\n".to_vec();
    let answer =
        send(&appliance, PROXY, &[named, request(&appliance, "/_appliance/ready")].concat());
    assert!(answer.starts_with("HTTP/1.1 200") && !answer.contains("apps"), "{answer}");
}

#[tokio::test]
async fn a_header_may_arrive_in_pieces() {
    let app = Upstream::start();
    let appliance = appliance(&app, "");
    live(&appliance).await;
    let four = [203, 0, 113, 7, 10, 0, 0, 1, 0x12, 0x67, 1, 0xbb, 4, 0, 1, 9];
    let line = b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n".to_vec();
    for header in [line, binary(0x21, 0x11, &four)] {
        let whole = [header.clone(), request(&appliance, "/app/x")].concat();
        for at in 1..=header.len() {
            let mut stream = connect_from(PROXY, appliance.port);
            stream.write_all(&whole[..at]).unwrap();
            // The appliance usually reads the first piece alone; the outcome does not depend on it.
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
            stream.write_all(&whole[at..]).unwrap();
            assert!(rest(stream).starts_with("HTTP/1.1 200"), "{at} of {header:?}");
            assert_eq!(app.seen().pop().unwrap().all("x-forwarded-for"), ["203.0.113.7"], "{at}");
        }
        let mut stream = connect_from(PROXY, appliance.port);
        for byte in &whole {
            stream.write_all(std::slice::from_ref(byte)).unwrap();
        }
        assert!(rest(stream).starts_with("HTTP/1.1 200"), "{header:?}");
    }
}

#[tokio::test]
async fn a_proxy_without_a_valid_header_is_refused_and_named_once() {
    let app = Upstream::start();
    let appliance = appliance(&app, "header_timeout = \"1s\"\n");
    live(&appliance).await;
    let endless = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 200], b"\r\n".to_vec()].concat();
    let longest = [b"PROXY UNKNOWN ".to_vec(), vec![b'x'; 91], b"\r\n".to_vec()].concat();
    assert_eq!(longest.len(), 107);
    for bad in [
        request(&appliance, "/app/x"),
        endless,
        [longest.strip_suffix(b"\r\n").unwrap(), b"x\r\n"].concat(),
        b"PROXY TCP4 203.0.113.7 10.0.0.1 4711\r\n".to_vec(),
        b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\n".to_vec(),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03garbage".to_vec(),
        binary(0x21, 0x11, &[0; 2000]),
        binary(0x21, 0x11, &[0; 4]),
        binary(0x31, 0x11, &[0; 12]),
        // Late.
        b"PROXY TCP4".to_vec(),
        SIGNATURE.to_vec(),
    ] {
        assert_eq!(send(&appliance, PROXY, &[bad.clone()].concat()), "", "{bad:?}");
    }
    let valid = send(&appliance, PROXY, &[longest, request(&appliance, "/app/x")].concat());
    assert!(valid.starts_with("HTTP/1.1 200"), "{valid}");
    assert_eq!(app.seen().len(), 1);
    let log = appliance.log();
    assert_eq!(
        log.matches("closing a connection of a proxy in trusted_proxies").count(),
        1,
        "{log}"
    );
    assert!(log.contains("proxy_ip=127.0.0.1 why=\"the connection begins without"), "{log}");

    // A peer that is no trusted proxy speaks for itself.
    let answer = send(&appliance, STRANGER, &request(&appliance, "/app/y"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(app.seen().pop().unwrap().all("x-forwarded-for"), [STRANGER]);
    let named = b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 443\r\n".to_vec();
    let answer = send(&appliance, STRANGER, &[named, request(&appliance, "/app/z")].concat());
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
}

#[tokio::test]
async fn limits_count_the_client_and_not_the_proxy() {
    let app = Upstream::start();
    let appliance = appliance(&app, "max_connections_per_ip = 1\n");
    live(&appliance).await;
    let header = |client: &str| format!("PROXY TCP4 {client} 10.0.0.1 1 2\r\n").into_bytes();
    let hang = |client: &str| {
        let mut stream = connect_from(PROXY, appliance.port);
        stream.write_all(&[header(client), request(&appliance, "/app/hang")].concat()).unwrap();
        stream
    };
    let busy = [hang("203.0.113.1"), hang("203.0.113.2"), hang("203.0.113.3")];
    eventually("the requests to arrive", async || (app.seen().len() == 3).then_some(())).await;
    let ask = |client: &str| {
        send(&appliance, PROXY, &[header(client), request(&appliance, "/app/x")].concat())
    };
    assert!(ask("203.0.113.1").starts_with("HTTP/1.1 503"));
    assert!(ask("203.0.113.4").starts_with("HTTP/1.1 200"));
    drop(busy);
    eventually("the place", async || ask("203.0.113.1").starts_with("HTTP/1.1 200").then_some(()))
        .await;
}

/// Opens connections for made-up clients, with the beginning of a request, again and again.
const ASKER: &str = r"import socket, time
host, port = '{public_host}'.split(':')
held = []
while True:
    for at in range(12):
        try:
            held.append(socket.create_connection((host, port), 2))
            held[-1].sendall(HEADER + b'GET / HTTP/1.1\r\n')
        except OSError as error:
            print(error, flush=True)
    print('asked', flush=True)
    time.sleep(1)
";

#[tokio::test]
async fn an_app_that_names_clients_leaves_places_to_others() {
    // Without rights to change users, the app runs as the appliance's user, which others have, too.
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    for header in [
        r"b'PROXY TCP4 203.0.113.%d 10.0.0.1 1 2\r\n' % at",
        r"b'PROXY UNKNOWN\r\n'",
        r"b'\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c' + bytes([203, 0, 113, at, 10, 0, 0, 1, 0, 1, 0, 2])",
    ] {
        let app = Upstream::start();
        let script = ASKER.replace("HEADER", header);
        let command = format!("command = [\"python3\", \"-c\", '''{script}''']");
        let asker = format!("max_connections = 12\n[apps.asker]\nuser = \"nobody\"\n{command}\n");
        let appliance = appliance(&app, &asker);
        eventually("the app has asked", async || {
            (appliance.log().matches("| asked").count() >= 2).then_some(())
        })
        .await;
        let named = b"PROXY TCP4 203.0.113.99 10.0.0.1 1 2\r\n".to_vec();
        let bytes = [named, request(&appliance, "/app/x")].concat();
        for _ in 0..3 {
            let answer = send(&appliance, PROXY, &bytes);
            assert!(answer.starts_with("HTTP/1.1 200"), "{header}: {answer} {}", appliance.log());
        }
        appliance.logs("refusing new ones of an app").await;
    }
}

#[tokio::test]
async fn a_reload_switches_the_header_on_and_off() {
    let app = Upstream::start();
    let appliance = appliance(&app, "");
    live(&appliance).await;
    assert_eq!(send(&appliance, PROXY, &request(&appliance, "/app/x")), "");
    let path = appliance.path("appliance.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("proxy_protocol = true", "proxy_protocol = false")).unwrap();
    let told = appliance.cli(&["reload"]);
    assert!(
        String::from_utf8_lossy(&told.stdout).contains("update server: proxy_protocol"),
        "{told:?}"
    );
    let answer = send(&appliance, PROXY, &request(&appliance, "/app/x"));
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A program in front. Its drop ends it.
struct Front(Child);

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The example of the page in this language, with these ports.
fn example(language: &str, port: u16, inner: u16) -> String {
    let page = include_str!("../../docs/behind-a-proxy.md");
    let (_, section) = page.split_once("## A proxy that does not read HTTP").unwrap();
    let (_, example) = section.split_once(&format!("```{language}\n")).unwrap();
    let example = example.split_once("```").unwrap().0;
    let own = example.replace("listen 443;", &format!("listen 127.0.0.1:{port};"));
    let own = own.replace("bind :443", &format!("bind 127.0.0.1:{port}"));
    own.replace("127.0.0.1:8443", &format!("127.0.0.1:{inner}"))
}

/// HTTP/2 over TLS through a program in front that reads neither.
async fn serves_clients(command: &[&str], configure: impl FnOnce(u16, u16, &str) -> String) {
    let app = Upstream::start();
    let appliance = secure(&app, "trusted_proxies = [\"127.0.0.1/32\"]\nproxy_protocol = true\n");
    let (port, folder) = (free_port(), tempfile::tempdir().unwrap());
    let path = folder.path().join("front.conf");
    std::fs::write(&path, configure(port, appliance.port, folder.path().to_str().unwrap()))
        .unwrap();
    let (name, arguments) = command.split_first().unwrap();
    let program = Command::new(name).args(arguments).arg(&path).stdin(Stdio::null()).spawn();
    let _front = Front(program.unwrap_or_else(|error| {
        panic!("{name} cannot be started ({error}); install it, as tests/all does")
    }));
    let socket = eventually("https through the program", async || {
        let client = tokio::net::TcpSocket::new_v4().unwrap();
        client.bind(([127, 0, 0, 8], 0).into()).unwrap();
        let client = client.connect(([127, 0, 0, 1], port).into()).await.ok()?;
        secured_over(client, &appliance, &["h2"]).await
    })
    .await;
    assert_eq!(socket.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let origin = format!("https://localhost:{}", appliance.port);
    let (client, _ended) = Client::over(socket, &origin).await;
    assert_eq!(client.get("/e/x", &[]).await.status, 200);
    assert_eq!(app.seen().pop().unwrap().all("x-forwarded-for"), ["127.0.0.8"]);
}

#[tokio::test]
async fn nginx_names_its_clients_with_the_lines_of_the_page() {
    let command = ["nginx", "-e", "stderr", "-g", "daemon off; master_process off;", "-c"];
    serves_clients(&command, |port, inner, folder| {
        let stream = example("nginx", port, inner);
        format!(
            "load_module /usr/lib/nginx/modules/ngx_stream_module.so;\npid {folder}/pid;\n\
             error_log stderr;\nevents {{}}\n{stream}"
        )
    })
    .await;
}

#[tokio::test]
async fn haproxy_names_its_clients_with_the_lines_of_the_page() {
    serves_clients(&["haproxy", "-db", "-f"], |port, inner, _| {
        let times = "timeout connect 5s\ntimeout client 1m\ntimeout server 1m\n";
        format!("defaults\n{times}{}", example("haproxy", port, inner))
    })
    .await;
}
