//! When apps count as ready: what the probes ask, and what an open port proves.

use std::time::Duration;

use http::{Method, StatusCode};

use crate::harness::processes::no_ipv6;
use crate::harness::{Appliance, Browser, eventually};

/// An app that redirects requests with the `Host` of its first argument, and answers 400 to others.
const STRICT: &str = r#"
import http.server, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *rest): pass
    def do_GET(self):
        seen = [self.headers.get(name, "-") for name in ("Host", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix")]
        print("asked", *seen, flush=True)
        self.send_response(302 if seen[0] == sys.argv[1] else 400)
        self.send_header("Location", "/login")
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// A pre-fork server: the parent listens, and a worker accepts when the file exists.
const PREFORK: &str = r#"
import os, socket, sys, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(os.environ["PORT"])))
listener.listen(5)
print("listening", flush=True)
if os.fork():
    os.wait()
while not os.path.exists(sys.argv[1]): time.sleep(0.02)
while True: listener.accept()[0].close()
"#;

/// Serves HTTP on the address of its first argument, at `PORT` plus its second argument; a WebSocket
/// handshake is accepted, and the tunnel echoes.
const SERVES: &str = r#"
import base64, hashlib, http.server, os, socket, sys
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
    def server_bind(self):
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        super().server_bind()
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *rest): pass
    def do_GET(self):
        key = self.headers.get("Sec-WebSocket-Key")
        if key:
            digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
            self.send_response(101)
            self.send_header("Upgrade", "websocket")
            self.send_header("Connection", "Upgrade")
            self.send_header("Sec-WebSocket-Accept", base64.b64encode(digest).decode())
            self.end_headers()
            self.wfile.write(b"\x81\x02hi")
            self.connection.recv(1)
            return
        body = b"the app"
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
Server((sys.argv[1], int(os.environ["PORT"]) + int(sys.argv[2])), Handler).serve_forever()
"#;

fn python(name: &str, script: &str, argument: &str, more: &str) -> String {
    format!(
        "[apps.{name}]\ncommand = [\"python3\", \"-c\", '''{script}''', \"{argument}\"]\naccess = \"public\"\n{more}\n"
    )
}

#[tokio::test]
async fn probes_ask_as_browsers_do() {
    let ready = "ready = { http = \"/\", status = [200, 302] }";
    let config = [
        python(
            "a",
            STRICT,
            "localhost:{PORT}",
            &format!("path = \"/a\"\nstrip_prefix = true\n{ready}"),
        ),
        python("b", STRICT, "b.example.org:{PORT}", &format!("host = \"b.example.org\"\n{ready}")),
        // No browser reaches this one.
        python(
            "c",
            STRICT,
            "127.0.0.1:4711",
            "port = 4711\nready = { http = \"/\", status = 302 }",
        )
        .replace("access = \"public\"\n", "")
        .replace("4711", &crate::harness::free_port().to_string()),
        python("d", STRICT, "localhost:{PORT}", "path = \"/d\"\nready = { http = \"/\" }"),
    ];
    let appliance = Appliance::start(&config.concat());
    for app in ["a", "b", "c"] {
        appliance.wait_for_state(app, "ready").await;
    }
    let (log, port) = (appliance.log(), appliance.port);
    for seen in [
        format!("asked localhost:{port} localhost:{port} http /a"),
        format!("asked b.example.org:{port} b.example.org:{port} http -"),
    ] {
        assert!(log.contains(&seen), "{seen}\n{log}");
    }
    // A redirect that is not listed is a failure.
    assert_eq!(appliance.app("d").unwrap()["state"], "starting");
}

#[tokio::test]
async fn an_open_port_that_nobody_serves_is_not_ready() {
    let config = [
        python("a", PREFORK, "{DIR}/go", "path = \"/a\""),
        // An explicit `tcp` asks for the port alone.
        python("b", PREFORK, "{DIR}/go", "path = \"/b\"\nready = { tcp = true }"),
    ];
    let appliance = Appliance::start(&config.concat());
    appliance.wait_for_state("b", "ready").await;
    eventually("a to listen", async || {
        appliance
            .log()
            .lines()
            .find(|line| line.contains(" a ") && line.contains("listening"))
            .map(drop)
    })
    .await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(appliance.app("a").unwrap()["state"], "starting");
    std::fs::write(appliance.path("go"), "").unwrap();
    appliance.wait_for_state("a", "ready").await;
}

#[tokio::test]
async fn an_app_on_the_other_loopback_address_is_found_and_kept() {
    if no_ipv6("readiness::an_app_on_the_other_loopback_address_is_found_and_kept") {
        return;
    }
    let ready = "ready = { http = \"/\", interval = \"100ms\" }";
    let app = python("a", SERVES, "::1\", \"0", &format!("path = \"/a\"\n{ready}"));
    let appliance = Appliance::start(&app);
    let state = appliance.wait_for_state("a", "ready").await;
    let browser = Browser::new(&appliance.url);
    let page = || async { browser.send(Method::GET, "/a/", &[]).await.unwrap() };
    assert_eq!(page().await.body, "the app");
    // Another program takes the port on 127.0.0.1: it gets neither probes nor requests.
    let port = u16::try_from(state["port"].as_u64().unwrap()).unwrap();
    let squatter = std::net::TcpListener::bind(("127.0.0.1", port)).unwrap();
    squatter.set_nonblocking(true).unwrap();
    for _ in 0..8 {
        assert_eq!(page().await.body, "the app");
        let handshake = [
            ("Connection", "Upgrade"),
            ("Upgrade", "websocket"),
            ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ];
        let answer = browser.send(Method::GET, "/a/ws", &handshake).await.unwrap();
        assert_eq!(answer.status, StatusCode::SWITCHING_PROTOCOLS);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(squatter.accept().is_err(), "the other program got a connection");
    assert_eq!(appliance.app("a").unwrap()["state"], "ready");
}

#[tokio::test]
async fn status_says_what_a_probe_receives_and_where_the_app_listens() {
    let config = [
        python("a", SERVES, "127.0.0.1\", \"1", "path = \"/a\""),
        python("b", STRICT, "elsewhere", "path = \"/b\"\nready = { http = \"/\" }"),
        "[apps.c]\ncommand = [\"false\"]\nmax_restarts = 0\n".to_owned(),
    ];
    let appliance = Appliance::start(&config.concat());
    let reason = async |name: &str, text: String| {
        eventually(&format!("the reason of {name} to say: {text}"), async || {
            let reason = appliance.app(name)?["reason"].as_str()?.to_owned();
            reason.contains(&text).then_some(())
        })
        .await;
    };
    let port = eventually("the port of a", async || appliance.app("a")?["port"].as_u64()).await;
    reason("a", format!("127.0.0.1:{port}: Connection refused")).await;
    reason("a", format!("the app listens on 127.0.0.1:{}", port + 1)).await;
    reason("b", "GET / answered 400, not 200".to_owned()).await;
    reason("c", "it was restarted too often: its process ended (exit 1)".to_owned()).await;
    let table = String::from_utf8(appliance.cli(&["status"]).stdout).unwrap();
    assert!(table.contains("REASON") && table.contains("answered 400, not 200"), "{table}");
}

#[tokio::test]
async fn commands_say_what_they_did() {
    let config = "[apps.a]\ncommand = [\"sleep\", \"1000\"]\n[apps.b]\ncommand = [\"/nowhere/program\"]\nmax_restarts = 0\n";
    let appliance = Appliance::start(config);
    appliance.wait_for_state("a", "ready").await;
    for (arguments, code, said) in [
        (&["restart", "a"][..], 0, "a is ready\n"),
        (&["signal", "a", "CONT"], 0, "SIGCONT sent to a\n"),
        (&["stop", "a"], 0, "a is stopped\n"),
        (&["start", "a"], 0, "a is ready\n"),
        (&["start", "b"], 1, "appliance: b failed; `appliance logs b` says why\n"),
    ] {
        let output = appliance.cli(arguments);
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!((output.status.code(), text.as_str()), (Some(code), said), "{arguments:?}");
    }
}

#[tokio::test]
async fn placeholders_have_the_values_that_programs_need() {
    let script = "mkdir -p \"$D/x\" && stat -c '%a %u' \"$D\" && id -u && echo \"$1|$2|$3|$D\" && exec sleep 1000";
    let app = |name: &str, place: &str| {
        format!(
            "[apps.{name}]\ncommand = [\"/bin/sh\", \"-c\", '''{script}''', \"sh\", \"{{prefix}}/x\", \"{{public_host}}\", \"{{{{data}}}}\"]\nenv = {{ D = \"{{data}}\" }}\n{place}\naccess = \"public\"\nready = {{ log = \"[|]\" }}\n"
        )
    };
    let apps =
        [app("a", "path = \"/\""), app("b", "path = \"/b\""), app("c", "host = \"c.example.org\"")];
    let users: &[&str] =
        if nix::unistd::geteuid().is_root() { &["", "users = \"per-app\"\n"] } else { &[""] };
    for users in users {
        let open = |folder: &std::path::Path| {
            // The users of apps must reach the folder beside the state folder.
            assert!(folder.is_dir());
        };
        let appliance = Appliance::start_in(open, &(users.to_string() + &apps.concat()));
        for (name, prefix, host) in
            [("a", "/x", "localhost"), ("b", "/b/x", "localhost"), ("c", "/x", "c.example.org")]
        {
            let line = format!("| {prefix}|{host}:{}|{{data}}|/", appliance.port);
            eventually(&format!("{line}\n{}", appliance.log()), async || {
                appliance.log().contains(&line).then_some(())
            })
            .await;
            let log = appliance.log();
            let said = |line: &&str| line.split_whitespace().nth(1) == Some(name);
            let lines: Vec<&str> = log.lines().filter(said).collect();
            let text = |at: usize| lines[at].split_once("| ").unwrap().1;
            assert_eq!(text(0), format!("700 {}", text(1)), "{log}");
        }
    }
}
