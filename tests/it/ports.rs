//! Ports that another program takes, and listeners that belong to an app.

use std::time::Duration;

use reqwest::Method;

use crate::harness::processes::no_ipv6;
use crate::harness::{Appliance, Browser, eventually, free_port};
use crate::issuer::{Call, Issuer};

/// Discovery and keys, after a while: as Keycloak, which needs some seconds until it listens.
const SLOW_ISSUER: &str = r#"
import http.server, json, sys, time
port, issuer = int(sys.argv[1]), sys.argv[2]
time.sleep(float(sys.argv[3]))
key = {"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "good", "use": "sig", "alg": "RS256"}
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *rest): pass
    def do_GET(self):
        at = lambda name: issuer + "/" + name
        document = {"issuer": issuer, "authorization_endpoint": at("authorize"), "token_endpoint": at("token"), "jwks_uri": at("jwks")}
        body = json.dumps({"keys": [key]} if self.path.endswith("jwks") else document).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
"#;

/// Listens on `$PORT` of the address; more of the script comes before.
fn listens(address: &str, before: &str) -> String {
    format!(
        "import os,socket,time\n{before}\ns=socket.socket(socket.AF_INET6 if ':' in '{address}' else socket.AF_INET)\n\
         s.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\ns.bind(('{address}',int(os.environ['PORT'])))\ns.listen()\n\
         print('listening',flush=True)\nwhile True:\n c,_=s.accept(); c.close()"
    )
}

fn python(name: &str, script: &str, more: &str) -> String {
    format!("[apps.{name}]\ncommand = [\"python3\", \"-c\", '''{script}''']\n{more}\n")
}

/// The first line of the log that has all of these words.
async fn told(appliance: &Appliance, words: &[&str]) -> String {
    eventually(&format!("a line with {words:?}"), async || {
        let log = appliance.log();
        log.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
    })
    .await
}

fn issuer_state(appliance: &Appliance) -> String {
    let output = appliance.cli(&["status", "--json"]).stdout;
    let status: serde_json::Value = serde_json::from_slice(&output).unwrap_or_default();
    status["issuer"]["state"].as_str().unwrap_or_default().to_owned()
}

fn calls(issuer: &Issuer) -> usize {
    [Call::Discovery, Call::Jwks, Call::Code, Call::Refresh, Call::Userinfo, Call::Revoke]
        .into_iter()
        .map(|call| issuer.count(call))
        .sum()
}

fn served_by_idp(issuer: &Issuer, port: &str, delay: &str) -> String {
    let (url, user) = (&issuer.url, if is_root() { "user = \"nobody\"" } else { "" });
    let more = format!(
        "port = {port}\npath = \"/auth\"\naccess = \"public\"\n{user}\n\
         backoff = {{ min = \"100ms\", max = \"200ms\" }}\nmax_restarts = 1000"
    );
    format!(
        "[oidc]\nserved_by = \"idp\"\nissuer = \"{url}\"\nclient_id = \"appliance\"\nclient_secret = {{ generate = \"client\" }}\n\
         [apps.idp]\ncommand = [\"python3\", \"-c\", '''{SLOW_ISSUER}''', \"{port}\", \"{url}\", \"{delay}\"]\n{more}\n\
         [apps.app]\nupstream = \"http://127.0.0.1:1\"\npath = \"/app\"\n"
    )
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// An issuer that any program here could be, and its port, which is free.
async fn squatter() -> (Issuer, String) {
    let mut squatter = Issuer::new().await;
    squatter.stop().await;
    let port = squatter.url.trim_start_matches("http://127.0.0.1:").split('/').next().unwrap();
    let port = port.to_owned();
    (squatter, port)
}

#[tokio::test]
async fn a_program_that_takes_the_issuers_free_port_is_not_the_issuer() {
    let (mut squatter, port) = squatter().await;
    let appliance = Appliance::start(&served_by_idp(&squatter, &port, "0"));
    appliance.wait_ready().await;
    let mut browser = Browser::new(&appliance.url);
    assert_eq!(browser.open("/oauth2/start?rd=/app").await.status, 302);

    assert!(appliance.cli(&["stop", "idp"]).status.success());
    squatter.start().await;
    assert!(appliance.cli(&["start", "--no-wait", "idp"]).status.success());
    let pid = format!("pid {}", std::process::id());
    told(&appliance, &["ERROR", "app=idp", "could not be started", &port, &pid]).await;
    eventually("a second attempt", async || {
        (appliance.log().matches("could not be started").count() > 1).then_some(())
    })
    .await;
    assert_eq!(issuer_state(&appliance), "down");
    assert_eq!(browser.open("/oauth2/start?rd=/app").await.status, 503);
    assert_eq!(browser.open("/auth/realms/main/authorize").await.status, 503);
    assert_eq!(calls(&squatter), 0);

    squatter.stop().await;
    appliance.wait_for_state("idp", "ready").await;
    eventually("login to be open", async || {
        (browser.open("/oauth2/start?rd=/app").await.status == 302).then_some(())
    })
    .await;
    assert_eq!(calls(&squatter), 0);
}

#[tokio::test]
async fn a_program_that_takes_the_port_of_a_starting_issuer_is_not_the_issuer() {
    if !is_root() {
        return;
    }
    let (mut squatter, port) = squatter().await;
    let appliance = Appliance::start(&served_by_idp(&squatter, &port, "1.5"));
    appliance.wait_for_state("idp", "starting").await;
    squatter.start().await;
    told(&appliance, &["WARN", "app=idp", "another program listens", &port, "pid"]).await;
    told(&appliance, &["ERROR", "app=idp", "could not be started", "pid"]).await;
    let mut browser = Browser::new(&appliance.url);
    assert_eq!(browser.open("/oauth2/start?rd=/app").await.status, 503);
    assert_eq!(issuer_state(&appliance), "waiting");
    assert_eq!(calls(&squatter), 0);
    assert!(!appliance.log().contains("app ready app=idp"), "{}", appliance.log());
}

#[tokio::test]
async fn an_app_does_not_become_ready_by_the_listener_of_another_app() {
    let port = crate::harness::free_port();
    // Also where both run as one user: the thief takes it while the victim starts.
    let victim = listens("127.0.0.1", "time.sleep(1)");
    let thief = listens("127.0.0.1", &format!("os.environ['PORT']='{port}'"));
    let more = "path = \"/{name}\"\naccess = \"public\"\nbackoff = { min = \"100ms\" }";
    let appliance = Appliance::start(
        &(python(
            "victim",
            &victim,
            &format!("port = {port}\n{}", more.replace("{name}", "victim")),
        ) + &python("thief", &thief, "ready = { log = \"listening\" }")),
    );
    appliance.wait_for_state("thief", "ready").await;
    told(&appliance, &["WARN", "app=victim", "another program listens", "python3 (pid"]).await;
    told(&appliance, &["ERROR", "app=victim", "could not be started", "python3 (pid"]).await;
    assert_ne!(appliance.app("victim").unwrap()["ready"], true);
    assert!(appliance.cli(&["stop", "thief"]).status.success());
    appliance.wait_for_state("victim", "ready").await;
}

#[tokio::test]
async fn a_program_in_the_background_does_not_pass_for_the_next_start() {
    let script = "(setsid python3 -m http.server --bind 127.0.0.1 $PORT & echo $! >>{DIR}/pids) ; sleep 0.7; exit 0";
    let appliance = Appliance::start(&format!(
        "[apps.a]\ncommand = [\"/bin/sh\", \"-c\", '''{script}''']\npath = \"/a\"\naccess = \"public\"\n\
         backoff = {{ min = \"100ms\" }}\n"
    ));
    let pids = || std::fs::read_to_string(appliance.path("pids")).unwrap_or_default();
    eventually("a third start", async || (pids().lines().count() > 2).then_some(())).await;
    let first = pids().lines().next().unwrap().to_owned();
    assert!(!std::path::Path::new(&format!("/proc/{first}")).exists());
    let log = appliance.log();
    assert!(!log.contains("could not be started"), "{log}");
}

#[tokio::test]
async fn every_kind_of_own_listener_makes_an_app_ready() {
    if no_ipv6("ports::every_kind_of_own_listener_makes_an_app_ready") {
        return;
    }
    let child = "if os.fork(): time.sleep(1000)";
    let daemon = "if os.fork(): time.sleep(1000)\nos.setsid()\nif os.fork(): os._exit(0)";
    let routed = |name: &str| format!("path = \"/{name}\"\naccess = \"public\"");
    let upstream = |name: &str, url: &str| format!("{}\nupstream = \"{url}\"", routed(name));
    let user = if is_root() { "\nuser = \"nobody\"" } else { "" };
    let config = python("plain", &listens("127.0.0.1", ""), &(routed("plain") + user))
        + &python("child", &listens("127.0.0.1", child), &routed("child"))
        + &python("daemon", &listens("127.0.0.1", daemon), &(routed("daemon") + user))
        + &python("any", &listens("0.0.0.0", ""), &routed("any"))
        + &python("dual", &listens("::", ""), &routed("dual"))
        + &python("six", &listens("::1", ""), &upstream("six", "http://[::1]:{port}"))
        + &python(
            "named",
            &listens("127.0.0.1", ""),
            &upstream("named", "http://localhost:{port}"),
        )
        + &python(
            "line",
            &listens("127.0.0.1", ""),
            &(routed("line") + "\nready = { log = \"listening\" }"),
        );
    let mut appliance = Appliance::start(&config);
    for name in ["plain", "child", "daemon", "any", "dual", "six", "named", "line"] {
        appliance.wait_for_state(name, "ready").await;
    }
    told(&appliance, &["WARN", "app=any", "around the login", "0.0.0.0:"]).await;
    told(&appliance, &["WARN", "app=dual", "around the login", "[::]:"]).await;
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let log = appliance.log();
    assert_eq!(log.matches("around the login").count(), 2, "{log}");
    assert!(!log.contains("not ready any more") && !log.contains("another program"), "{log}");
    assert_eq!(appliance.stop().await, 0);
}

#[tokio::test]
async fn an_app_whose_port_is_taken_does_not_stop_the_others() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let more = format!("port = {port}\nrestart = \"never\"");
    let appliance = Appliance::start(
        &(python("a", &listens("127.0.0.1", ""), &more)
            + &python("b", &listens("127.0.0.1", ""), "path = \"/b\"\naccess = \"public\"")),
    );
    appliance.wait_for_state("b", "ready").await;
    appliance.wait_for_state("a", "failed").await;
    let line = told(&appliance, &["ERROR", "app=a", "could not be started"]).await;
    assert!(line.contains(&format!("127.0.0.1:{port}")) && line.contains("pid"), "{line}");
}

/// Serves HTTP on `$PORT`, closes its listener when the file `close` appears, and listens again when
/// the file is gone.
const CLOSES: &str = r#"
import http.server, os, threading, time
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *rest): pass
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "3")
        self.end_headers()
        self.wfile.write(b"own")
while True:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    while not os.path.exists("close"): time.sleep(0.02)
    server.shutdown(); server.server_close()
    while os.path.exists("close"): time.sleep(0.02)
"#;

/// Takes the port as soon as it is free, and tells each request that it receives.
const TAKES: &str = r#"
import http.server, os, time
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *rest): pass
    def do_GET(self):
        print("received", self.path, flush=True)
        self.send_response(200)
        self.send_header("Content-Length", "5")
        self.end_headers()
        self.wfile.write(b"thief")
while True:
    try: server = http.server.HTTPServer(("127.0.0.1", int(os.environ["THEIRS"])), Handler)
    except OSError: time.sleep(0.01)
    else: break
print("taken", flush=True)
server.serve_forever()
"#;

#[tokio::test]
async fn no_request_reaches_a_program_that_takes_the_port_of_a_ready_app() {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let own = format!(
        "port = {port}\npath = \"/own\"\naccess = \"public\"\nready = {{ tcp = true, interval = \"2s\" }}"
    );
    let thief = format!("after = [\"own\"]\nenv = {{ THEIRS = \"{port}\" }}");
    let config = python("own", CLOSES, &own) + &python("thief", TAKES, &thief);
    let appliance = Appliance::start(&config);
    appliance.wait_for_state("own", "ready").await;
    let browser = Browser::new(&appliance.url);
    let get = async || browser.send(reqwest::Method::GET, "/own/x", &[]).await.unwrap();
    assert_eq!(get().await.body, "own");
    std::fs::write(appliance.path("close"), "").unwrap();
    told(&appliance, &["thief", "| taken"]).await;
    let refused = get().await;
    assert!([502, 503].contains(&refused.status.as_u16()), "{}", refused.status);
    // The refusal, and not the next probe, has made the app unready.
    assert_eq!(get().await.status, 503);
    told(&appliance, &["another program listens on the app's port", "app=own"]).await;
    appliance.wait_for_state("own", "unready").await;

    assert!(appliance.cli(&["stop", "thief"]).status.success());
    std::fs::remove_file(appliance.path("close")).unwrap();
    appliance.wait_for_state("own", "ready").await;
    assert_eq!(get().await.body, "own");
    // A listener that is new and the app's own is no obstacle.
    for _ in 0..3 {
        std::fs::write(appliance.path("close"), "").unwrap();
        eventually("the port to be closed", async || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_err().then_some(())
        })
        .await;
        std::fs::remove_file(appliance.path("close")).unwrap();
        eventually("the app to answer", async || (get().await.body == "own").then_some(())).await;
    }
    assert!(!appliance.log().contains("| received"), "{}", appliance.log());
}

/// An app with a user of its own that answers every request at `port`.
fn answers_at(name: &str, user: u32, port: u16, more: &str) -> String {
    let script = "import http.server,sys\nclass H(http.server.BaseHTTPRequestHandler):\n def do_GET(s):\n  \
         s.send_response(200); s.end_headers(); s.wfile.write(b'got it')\n\
         http.server.HTTPServer(('127.0.0.1',int(sys.argv[1])),H).serve_forever()";
    format!(
        "[apps.{name}]\nuser = \"{user}\"\ngroup = \"{user}\"\ncommand = [\"python3\", \"-c\", '''{script}''', \"{port}\"]\n{more}\n"
    )
}

#[tokio::test]
async fn another_app_does_not_serve_an_upstream_unless_the_file_says_so() {
    if !is_root() {
        return;
    }
    let (theirs, own, awaited) = (free_port(), free_port(), free_port());
    let upstream = |name: &str, port: u16, more: &str| {
        format!(
            "[apps.{name}]\npath = \"/{name}\"\naccess = \"public\"\nupstream = \"http://127.0.0.1:{port}\"\n{more}\n"
        )
    };
    let config = answers_at("thief", 41_001, theirs, "")
        + &answers_at("web", 41_002, own, &format!("port = {own}"))
        + &answers_at("worker", 41_003, awaited, "")
        + &upstream("victim", theirs, "")
        + &upstream("same", own, "")
        + &upstream("panel", awaited, "after = [\"worker\"]");
    let appliance = Appliance::start(&config);
    for port in [theirs, own, awaited] {
        eventually("the app to listen", async || {
            std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
        })
        .await;
    }
    let browser = Browser::new(&appliance.url);
    for (path, status) in [("/victim/x", 502), ("/same/x", 200), ("/panel/x", 200)] {
        let answer = browser.send(Method::GET, path, &[]).await.unwrap();
        assert_eq!(answer.status, status, "{path}: {answer:?}\n{}", appliance.log());
    }
    let line = told(&appliance, &["the app thief listens", "the upstream of victim"]).await;
    assert!(line.contains("`after`"), "{line}");
}
