//! When apps count as ready: what the probes ask, and what an open port proves.

use std::time::Duration;

use crate::harness::{Appliance, eventually};

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
