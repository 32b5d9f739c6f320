//! The whole proxy over real sockets, with public apps and no login.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::HeaderValue;
use tokio::sync::watch;

use super::answer::compose::ResponseFormat;
use super::answer::pages::{Frame, Pages};
use super::phases::route::routed_app::RoutedApp;
use super::{AppLinks, Listeners, MaxConnections, Proxy, RunningProxy, bind};
use crate::config::{
    Access, App, AppName, Backoff, Color, Config, Dial, Listen, Log, LogFormat, Phase, PublicUrl,
    Restart, Route, SecretSource, Server, Session, Shield, StopPlan, StopTarget,
    Upstream as Address, Users,
};
use crate::texts::{Language, Text};
use upstream::{Upstream, frame, read_frame};

#[path = "hostile_peers.rs"]
mod hostile_peers;
#[path = "http2.rs"]
mod http2;
#[path = "../../it/upstream.rs"]
mod upstream;

const SECOND: Duration = Duration::from_secs(1);

/// A running proxy in front of a test app. `phase` is the phase of the app `child`.
struct TestProxy {
    app: Upstream,
    port: u16,
    phase: watch::Sender<Phase>,
    serving: Option<RunningProxy>,
    runtime: tokio::runtime::Runtime,
}

/// Where the proxy listens.
fn any_port() -> Listen {
    Listen::Tcp("127.0.0.1:0".parse().unwrap())
}

/// A public app without a process.
pub(crate) fn app(name: &str, path: &str, port: u16) -> App {
    let upstream = Address::new(Dial::Tcp("127.0.0.1".into(), port));
    App {
        name: AppName::new(name).unwrap(),
        run: None,
        route: Some(Route {
            path: path.into(),
            host: None,
            strip_prefix: false,
            trailing_slash: false,
            raw_path: false,
            upstreams: vec![upstream],
            sticky: false,
            access: Access::Public,
            deny: Vec::new(),
            rules: Vec::new(),
            api: false,
            bearer: false,
            identity: None,
            max_body: None,
            hold: Duration::ZERO,
            timeout: SECOND,
            origins: Vec::new(),
            embed: Vec::new(),
            exposed: Vec::new(),
            hidden_paths: Vec::new(),
            shield: Shield::default(),
            files: None,
        }),
        replicas: 1,
        processes: Vec::new(),
        port: None,
        second_port: None,
        port_is_given: false,
        after: Vec::new(),
        ready: None,
        live: None,
        live_failures: 3,
        autostart: true,
        restart: Restart::Always,
        backoff: Backoff { min: SECOND, max: SECOND },
        max_restarts: 1,
        window: SECOND,
        max_memory: None,
        success_exit_codes: vec![0],
        critical: false,
        oneshot: false,
        schedule: None,
        restart_at: None,
        idle_stop: None,
        keep_warm: None,
        stop: StopPlan {
            signal: nix::sys::signal::Signal::SIGTERM,
            target: StopTarget::Group,
            timeout: SECOND,
        },
        title: None,
        icon: None,
        description: None,
        hidden: false,
        operators: None,
    }
}

/// A configuration without a login, whose public URL is `http://localhost:<port>`.
pub(crate) fn config(port: u16, apps: Vec<App>) -> Config {
    Config {
        apps_folder: None,
        path: "appliance.toml".into(),
        dir: "/".into(),
        server: Server {
            listen: vec![any_port()],
            public_url: PublicUrl { secure: false, host: "localhost".into(), port },
            state_dir: "/".into(),
            users: Users::Same,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            max_connections: 10_000,
            max_connections_per_ip: None,
            max_header_bytes: 32 * 1024,
            header_timeout: SECOND,
            idle_timeout: 2 * SECOND,
            body_timeout: SECOND * 7 / 10,
            send_timeout: 2 * SECOND,
            compression: true,
            rate_limit: None,
            parallel_starts: None,
            shutdown_timeout: SECOND,
            metrics: None,
            operators: None,
            title: Some("Data <Team>".into()),
            logo: None,
            color: None,
            contact: Some("help@corp.example".into()),
            tls: None,
            redirect_http: None,
            http2: true,
            h2c: false,
            hsts: None,
        },
        log: Log {
            format: LogFormat::Text,
            level: "info".into(),
            access: false,
            color: Color::Never,
        },
        oidc: None,
        session: Session {
            lifetime: SECOND,
            idle: None,
            cookie: "appliance".into(),
            keys: SecretSource::Env("X".into()),
            recheck: SECOND,
        },
        alerts: None,
        apps,
        secrets: Vec::new(),
        digest: [0; 32],
    }
}

/// The parts of all pages, without a letter that a reader sees.
pub(super) fn marked_pages() -> Pages {
    let mut config = config(8080, Vec::new());
    config.server.title = Some("1".into());
    config.server.contact = Some("2".into());
    Pages::new(&config)
}

/// The frame of a page on which each text is a mark.
pub(crate) fn with_marked_frame<T>(render: impl FnOnce(Frame<'_>) -> T) -> T {
    let (pages, id) = (marked_pages(), HeaderValue::from_static("0"));
    let format = ResponseFormat {
        pages: &pages,
        page: true,
        embedded: false,
        id: &id,
        language: Language::Marks,
    };
    let reason = Some("3");
    render(Frame { user: Some("4"), refused: true, reason, ..format.frame(Text::Console) })
}

/// The first app of a configuration as the proxy sees it.
pub(super) fn routed_app(config: &Config) -> RoutedApp {
    let app = &config.apps[0];
    RoutedApp::new(app, app.route.as_ref().unwrap(), config, &AppLinks::default())
}

impl TestProxy {
    fn start() -> Self {
        Self::start_with(false)
    }

    /// `h2c`: clients may begin with HTTP/2.
    fn start_with(h2c: bool) -> Self {
        let upstream = Upstream::start();
        let listeners = bind(&[any_port()]).unwrap();
        let port = Listeners::addresses(&listeners)[0].port();
        let mut stripped = app("s", "/s", upstream.port);
        if let Some(route) = &mut stripped.route {
            route.strip_prefix = true;
            route.hidden_paths = vec!["/secret".into()];
        }
        let mut small = app("small", "/small", upstream.port);
        if let Some(route) = &mut small.route {
            route.max_body = Some(10);
        }
        let mut hasty = app("hasty", "/hasty", upstream.port);
        if let Some(route) = &mut hasty.route {
            route.timeout = SECOND * 3 / 10;
        }
        let mut issuer = app("issuer", "/auth", upstream.port);
        if let Some(route) = &mut issuer.route {
            let paths = ["/realms/r", "/realms/r/certs", "/realms/r/token"];
            let [pages, open, programs] = paths.map(|path| vec![path.to_owned()]);
            route.shield = Shield { pages, open, programs };
        }
        let apps = vec![
            app("e", "/e", upstream.port),
            stripped,
            small,
            hasty,
            app("down", "/down", 1),
            issuer,
            app("child", "/child", upstream.port),
        ];
        let (phase, phases) = watch::channel(Phase::Ready);
        let phases = HashMap::from([(AppName::new("child").unwrap(), phases)]);
        let links = AppLinks { phases, ..AppLinks::default() };
        let mut config = config(port, apps);
        config.server.h2c = h2c;
        let proxy = Proxy::build(
            &config,
            None,
            None,
            &links,
            None,
            MaxConnections { clients: 10_000, descriptors: 20_000 },
            None,
        );
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let inside = runtime.enter();
        let serving = Arc::clone(&proxy).serve(listeners).unwrap();
        drop(inside);
        Self { app: upstream, port, phase, serving: Some(serving), runtime }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(5 * SECOND)).unwrap();
        stream
    }

    /// Sends the bytes of a request and reads to the end of the stream.
    fn raw(&self, bytes: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        String::from_utf8_lossy(&answer).into_owned()
    }

    fn head(&self, line: &str, more: &str) -> Vec<u8> {
        format!("{line} HTTP/1.1\r\nHost: localhost:{}\r\n{more}\r\n", self.port).into_bytes()
    }

    fn ask(&self, line: &str, more: &str) -> String {
        self.raw(&self.head(line, &format!("Connection: close\r\n{more}")))
    }

    fn status(&self, line: &str, more: &str) -> u16 {
        status_of(&self.ask(line, more))
    }

    fn websocket(&self, path: &str, more: &str) -> (TcpStream, String) {
        let mut stream = self.connect();
        let handshake = format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}"
        );
        stream.write_all(&self.head(&format!("GET {path}"), &handshake)).unwrap();
        let head = read_head(&mut stream);
        (stream, head)
    }
}

fn status_of(answer: &str) -> u16 {
    answer.get(9..12).and_then(|digits| digits.parse().ok()).unwrap_or(0)
}

fn read_head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap_or(0) == 1 {
        head.push(byte[0]);
    }
    String::from_utf8_lossy(&head).into_owned()
}

/// Waits until a condition holds; fails after a minute, because other work may use the machine.
fn eventually(mut what: impl FnMut() -> bool) {
    let end = Instant::now() + 60 * SECOND;
    while !what() {
        assert!(Instant::now() < end, "the condition does not hold after a minute");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// The code of the next close frame.
fn close_code(stream: &mut TcpStream) -> u16 {
    loop {
        let (opcode, payload) = read_frame(stream).unwrap();
        if opcode == 8 {
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

#[test]
fn forwards_and_reuses_connections() {
    let proxy = TestProxy::start();
    let mut stream = proxy.connect();
    for number in 0..20 {
        stream.write_all(&proxy.head(&format!("GET /e/{number}?q=%2F"), "X-A: 1\r\n")).unwrap();
        let head = read_head(&mut stream);
        assert_eq!(status_of(&head), 200, "{head}");
        let length: usize = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap()
            .parse()
            .unwrap();
        let mut body = vec![0; length];
        stream.read_exact(&mut body).unwrap();
    }
    let seen = proxy.app.seen();
    assert_eq!(seen.len(), 20);
    assert!(seen.iter().all(|one| one.connection == seen[0].connection));
    assert_eq!(seen[3].target, "/e/3?q=%2F");
    assert_eq!(seen[3].all("host"), [format!("localhost:{}", proxy.port)]);
    assert_eq!(seen[3].all("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen[3].all("x-forwarded-proto"), ["http"]);
    assert_eq!(seen[3].all("x-request-id").len(), 1);
}

/// uvicorn sends head and body in two steps with Nagle's algorithm on. Without quick acknowledgements
/// each response on a reused connection would take 40 ms.
#[test]
fn a_response_in_two_steps_is_not_delayed_by_nagle() {
    let proxy = TestProxy::start();
    let mut stream = proxy.connect();
    let began = Instant::now();
    for _ in 0..80 {
        stream.write_all(&proxy.head("GET /e/halves", "")).unwrap();
        read_head(&mut stream);
        stream.read_exact(&mut [0; 4]).unwrap();
    }
    assert!(began.elapsed() < SECOND, "{:?}", began.elapsed());
}

#[test]
fn bodies_pass_in_both_directions() {
    let proxy = TestProxy::start();
    let counted = proxy.ask("POST /e/x", "Content-Length: 2\r\n\r\nhi");
    assert!(counted.contains(r#""body":"hi""#), "{counted}");
    for method in ["POST", "GET"] {
        let line = format!("{method} /e/x");
        let chunked = proxy.ask(
            &line,
            "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Forwarded-User: evil\r\n",
        );
        assert!(chunked.contains(r#""body":"hi""#) && !chunked.contains("evil"), "{chunked}");
    }
    let slow = proxy.ask("GET /e/slow", "");
    assert!(slow.contains("one") && slow.ends_with("0\r\n\r\n"), "{slow}");
    assert_eq!(proxy.ask("GET /e/bytes-3000000", "").matches('x').count() / 1_000_000, 3);
    let head = proxy.ask("HEAD /e/bytes-500", "");
    assert!(head.contains("content-length: 500") && head.ends_with("\r\n\r\n"), "{head}");
}

#[test]
fn an_early_response_arrives_although_the_app_stopped_reading() {
    let proxy = TestProxy::start();
    let mut stream = proxy.connect();
    let length = 20_000_000;
    stream
        .write_all(&proxy.head("POST /e/early", &format!("Content-Length: {length}\r\n")))
        .unwrap();
    for _ in 0..length / 100_000 {
        if stream.write_all(&vec![b'x'; 100_000]).is_err() {
            break;
        }
    }
    assert_eq!(status_of(&read_head(&mut stream)), 413);
}

#[test]
fn invalid_requests_are_refused_with_the_right_status() {
    let proxy = TestProxy::start();
    for (line, more, wanted) in [
        ("GET /e/../x", "", 400),
        ("GET /e//x", "", 400),
        ("TRACE /e/x", "", 405),
        ("GET /nowhere", "", 404),
        ("GET /oauth2/start", "", 404),
        ("GET /_appliance/nope", "", 404),
        ("GET /%5fappliance/nope", "", 404),
        ("GET /s/secret", "", 404),
        ("GET /s/secret/x", "", 404),
        ("GET /s/SECRET/x", "", 404),
        ("GET /%73/%73ecret", "", 404),
        ("GET /down/x", "", 502),
        ("GET /e/drop", "", 502),
        ("GET /e/101", "", 502),
        ("GET /e/hang", "", 504),
        ("POST /small/x", "Content-Length: 11\r\n\r\nhello world", 413),
        ("POST /small/x", "Transfer-Encoding: chunked\r\n\r\nb\r\nhello world\r\n0\r\n", 413),
        ("POST /e/x", "Transfer-Encoding: gzip, chunked\r\n", 501),
        ("POST /e/x", "Content-Length: 50\r\n\r\nhel", 408),
        // The client stalls, not the app, although the app has less time.
        ("POST /hasty/x", "Content-Length: 50\r\n\r\nhel", 408),
        ("POST /hasty/hang", "Content-Length: 3\r\n\r\nhel", 504),
        ("GET /hasty/hang", "", 504),
        ("GET /e/x", "X A: b\r\n", 400),
        ("OPTIONS *", "", 204),
        ("GET /_appliance/live", "", 200),
        ("GET /_appliance/ready", "", 200),
        ("GET /", "", 200),
    ] {
        let answer = proxy.ask(line, more);
        assert_eq!(status_of(&answer), wanted, "{line} {more} {answer}");
        assert!(answer.contains("x-request-id: "), "{line} {answer}");
    }
    let long = "x".repeat(70_000);
    assert_eq!(proxy.status(&format!("GET /e/{}", &long[..15_000]), ""), 200);
    assert_eq!(proxy.status(&format!("GET /e/{}", &long[..17_000]), ""), 414);
    assert_eq!(proxy.status(&format!("GET /e/{long}"), ""), 414);
    assert_eq!(proxy.status("GET /e/x", &format!("Cookie: a={}\r\n", &long[..28_000])), 200);
    assert_eq!(proxy.status("GET /e/x", &format!("Cookie: a={}\r\n", &long[..40_000])), 431);
    assert_eq!(proxy.status("GET /e/x", &format!("Cookie: a={long}\r\n")), 431);
    assert_eq!(proxy.status("GET /e/x", &"X: y\r\n".repeat(130)), 431);
    assert_eq!(proxy.status("GET /e/x", &"X: y\r\n".repeat(120)), 200);
    let foreign = proxy.raw(b"GET /e/x HTTP/1.1\r\nHost: evil.test\r\nConnection: close\r\n\r\n");
    assert_eq!(status_of(&foreign), 421);
    assert!(foreign.contains("No app is served at evil.test."), "{foreign}");
    assert!(foreign.contains("no-store") && !foreign.contains("location: "), "{foreign}");
    for host in ["127.0.0.1", "10.1.2.3:80", "x"] {
        for (path, wanted) in [("_appliance/live", 200), ("_appliance/ready", 200), ("e/x", 421)] {
            let head = format!("GET /{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            assert_eq!(status_of(&proxy.raw(head.as_bytes())), wanted, "{host} {path}");
        }
    }
    let zeros = format!("GET /e/x HTTP/1.1\r\nHost: localhost:0{}\r\n\r\n", proxy.port);
    assert_eq!(status_of(&proxy.raw(zeros.as_bytes())), 400);
}

#[test]
fn people_get_pages_and_programs_get_json() {
    let proxy = TestProxy::start();
    let page = proxy.ask("GET /down/x", "Accept: text/html\r\n");
    for part in
        ["text/html", "Data &lt;Team&gt;", "help@corp.example", "lang=\"en\"", "default-src 'none'"]
    {
        assert!(page.contains(part), "{part} {page}");
    }
    let json = proxy.ask("GET /down/x", "Accept: application/json\r\n");
    assert!(json.contains("application/json") && json.ends_with('"'), "{json}");
    proxy.phase.send_replace(Phase::Starting);
    let refresh = "http-equiv=\"refresh\"";
    let starting = proxy.ask("GET /child/x", "Accept: text/html\r\n");
    assert_eq!(status_of(&starting), 503);
    assert!(starting.contains("retry-after: ") && starting.contains(refresh), "{starting}");
    assert!(starting.contains("class=\"pulse\""), "{starting}");
    proxy.phase.send_replace(Phase::Failed);
    let failed = proxy.ask("GET /child/x", "Accept: text/html\r\n");
    assert_eq!(status_of(&failed), 503);
    assert!(
        failed.contains("<h1>child is not running</h1>") && failed.contains(refresh),
        "{failed}"
    );
    assert!(!failed.contains("class=\"pulse\""), "{failed}");
}

#[test]
fn prefixes_are_stripped_and_restored() {
    let proxy = TestProxy::start();
    for (asked, got) in [("/s", "/"), ("/s/", "/"), ("/s/a/b?c=d", "/a/b?c=d"), ("/s?x", "/?x")] {
        let answer = proxy.ask(&format!("GET {asked}"), "");
        assert!(answer.contains(&format!(r#""target":"{got}""#)), "{asked} {answer}");
    }
    let escaped = proxy.ask("GET /%73/%61%3a%20?c=%2f", "");
    assert!(escaped.contains(r#""target":"/%61%3a%20?c=%2f""#), "{escaped}");
    assert!(proxy.ask("GET /s/moved", "").contains("location: /s/x\r\n"));
    assert!(proxy.ask("GET /s/cookies", "").contains("set-cookie: a=1; Path=/s/x\r\n"));
}

#[test]
fn a_request_on_a_stale_connection_is_repeated_if_safe() {
    let proxy = TestProxy::start();
    for method in ["GET", "HEAD"] {
        proxy.status("GET /e/stale", "");
        assert_eq!(proxy.status(&format!("{method} /e/x"), ""), 200, "{method}");
    }
    proxy.status("GET /e/stale", "");
    std::thread::park_timeout(Duration::from_millis(50));
    assert_eq!(proxy.status("POST /e/x", "Content-Length: 2\r\n\r\nhi"), 200);
}

#[test]
fn tunnels_pass_frames_and_close_frames() {
    let proxy = TestProxy::start();
    let (mut stream, head) =
        proxy.websocket("/e/ws", "Sec-WebSocket-Protocol: streamlit, x, y\r\n");
    assert_eq!(status_of(&head), 101, "{head}");
    assert!(head.contains("sec-websocket-protocol: streamlit\r\n"), "{head}");
    for size in [0, 1, 200, 100_000, 1_000_000] {
        let payload = vec![7; size];
        stream.write_all(&frame(2, &payload, true)).unwrap();
        assert_eq!(read_frame(&mut stream).unwrap(), (2, payload));
    }
    stream.write_all(&frame(8, &1000_u16.to_be_bytes(), true)).unwrap();
    assert_eq!(close_code(&mut stream), 1000);
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
}

#[test]
fn an_incomplete_or_foreign_handshake_opens_no_tunnel() {
    let proxy = TestProxy::start();
    for more in ["Upgrade: websocket\r\n", "Connection: Upgrade\r\nUpgrade: h2c\r\n"] {
        let mut stream = proxy.connect();
        stream.write_all(&proxy.head("GET /e/x", more)).unwrap();
        assert_eq!(status_of(&read_head(&mut stream)), 200);
    }
    assert!(proxy.app.seen().iter().all(|seen| seen.all("upgrade").is_empty()));
    let (_, foreign) = proxy.websocket("/e/ws", "Origin: http://evil.test\r\n");
    assert_eq!(status_of(&foreign), 403);
    let (_, plain) = proxy.websocket("/e/status-404", "");
    assert_eq!(status_of(&plain), 404);
    let (_, wrong) = proxy.websocket("/e/101", "");
    assert_eq!(status_of(&wrong), 502);
}

#[test]
fn tunnels_are_closed_when_their_app_stops() {
    let proxy = TestProxy::start();
    let (mut stream, head) = proxy.websocket("/child/ws", "");
    assert_eq!(status_of(&head), 101);
    stream.write_all(&frame(1, b"x", true)).unwrap();
    assert_eq!(read_frame(&mut stream).unwrap().1, b"x");
    proxy.phase.send_replace(Phase::Unready);
    stream.write_all(&frame(1, b"y", true)).unwrap();
    assert_eq!(read_frame(&mut stream).unwrap().1, b"y");
    proxy.phase.send_replace(Phase::Stopping);
    assert_eq!(close_code(&mut stream), 1012);
    eventually(|| proxy.app.open() == 0);
}

#[test]
fn a_client_that_disconnects_ends_its_request() {
    let proxy = TestProxy::start();
    let mut stream = proxy.connect();
    stream.write_all(&proxy.head("GET /e/hang", "")).unwrap();
    eventually(|| proxy.app.open() == 1);
    drop(stream);
    eventually(|| proxy.app.open() == 0);
}

#[test]
fn a_stop_finishes_requests_in_flight() {
    let mut proxy = TestProxy::start();
    let (mut tunnel, _) = proxy.websocket("/e/ws", "");
    let mut idle = proxy.connect();
    idle.write_all(&proxy.head("GET /e/x", "")).unwrap();
    read_head(&mut idle);
    let mut busy = proxy.connect();
    busy.write_all(&proxy.head("GET /e/slow", "")).unwrap();
    read_head(&mut busy);
    let serving = proxy.serving.take().unwrap();
    let began = Instant::now();
    proxy.runtime.block_on(serving.drain(5 * SECOND));
    assert!(began.elapsed() < 2 * SECOND, "{:?}", began.elapsed());
    assert_eq!(close_code(&mut tunnel), 1001);
    let mut rest = String::new();
    busy.read_to_string(&mut rest).unwrap();
    assert!(rest.ends_with("0\r\n\r\n"), "{rest}");
    assert!(TcpStream::connect(("127.0.0.1", proxy.port)).is_err());
}

#[test]
fn scripts_and_frames_get_nothing_of_a_shielded_app() {
    let proxy = TestProxy::start();
    let page = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n";
    let frame = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n";
    let script = "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nAccept: text/html\r\n";
    for (path, more, wanted) in [
        ("/auth/realms/r/login", page, 200),
        ("/auth/realms/r/login", "", 200),
        ("/auth/realms/r/login", script, 403),
        ("/auth/realms/r/login", frame, 403),
        ("/auth/realms/r/%6cogin", script, 403),
        ("/auth/realms/r", script, 403),
        ("/auth/realms/r/certs", script, 200),
        ("/auth/realms/r/token", "", 200),
        ("/auth/realms/r/token", script, 403),
        ("/auth/realms/r/token", page, 403),
        ("/auth/realms/rest", script, 200),
        ("/auth/resources/x", script, 200),
    ] {
        assert_eq!(proxy.status(&format!("GET {path}"), more), wanted, "{path} {more}");
    }
    let shown = proxy.ask("GET /auth/realms/r/login", page).to_ascii_lowercase();
    for header in [
        "x-frame-options: deny",
        "content-security-policy: frame-ancestors 'none'",
        "cross-origin-opener-policy: noopener-allow-popups",
    ] {
        assert!(shown.contains(header), "{shown}");
    }
    assert!(!proxy.ask("GET /e/x", page).to_ascii_lowercase().contains("x-frame-options"));
}
