//! Apps that share one user: none receives the requests of another by taking its port.

use crate::harness::{Appliance, Browser, eventually};

/// Any user that is not root.
const NOBODY: u32 = 65534;

/// What the scripts below share: a server that answers with `word`, and helpers.
const SERVES: &str = r#"
import ctypes, http.server, os, random, socket, threading, time
def hide(): ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)
def leave():
    if os.fork(): time.sleep(1000)
    os.setsid()
    if os.fork(): os._exit(0)
def server(port, word, shared=False):
    class Handler(http.server.BaseHTTPRequestHandler):
        def log_message(self, *rest): pass
        def do_GET(self):
            print(word, "received", self.path, flush=True)
            self.send_response(200)
            self.send_header("Content-Length", str(len(word)))
            self.send_header("Connection", "close")
            self.end_headers()
            self.wfile.write(word.encode())
    class Server(http.server.ThreadingHTTPServer):
        def server_bind(self):
            if shared: self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            super().server_bind()
    return Server(("127.0.0.1", int(port)), Handler)
"#;

/// Serves until the file `go` appears; then it closes its port and stays.
const CLOSES: &str = r#"
s = server(os.environ["PORT"], "own")
threading.Thread(target=s.serve_forever, args=(0.02,), daemon=True).start()
while not os.path.exists("go"): time.sleep(0.02)
s.shutdown(); s.server_close()
time.sleep(1000)
"#;

/// Takes the port when it is free.
const TAKES: &str = r#"
while True:
    try: s = server(os.environ["THEIRS"], "thief"); break
    except OSError: time.sleep(0.01)
print("taken", flush=True)
s.serve_forever()
"#;

/// Joins the port when the file `go` appears.
const JOINS: &str = r#"
while not os.path.exists("go"): time.sleep(0.02)
s = server(os.environ["THEIRS"], "thief", True)
print("taken", flush=True)
s.serve_forever()
"#;

fn app(name: &str, script: &str, more: &str) -> String {
    format!("[apps.{name}]\ncommand = [\"python3\", \"-c\", '''{SERVES}{script}''']\n{more}\n")
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

#[tokio::test]
async fn no_request_reaches_an_app_of_the_same_user_that_takes_a_port() {
    if !is_root() {
        return;
    }
    let shares = "s = server(os.environ[\"PORT\"], \"own\", True)\ns.serve_forever()";
    let hidden = format!("hide()\n{TAKES}");
    // The daemon claims to be of the other app by its environment.
    let daemon = "os.environ[\"PORT\"] = os.environ[\"THEIRS\"]\nleave()\n\
         if \"again\" not in os.environ:\n    os.environ[\"again\"] = \"1\"\n    \
         os.execvp(\"python3\", [\"python3\", \"-c\", os.environ[\"SCRIPT\"]])"
        .to_owned();
    let cases = [
        ("hidden", CLOSES, hidden.clone(), String::new()),
        ("daemon", CLOSES, daemon, format!(", SCRIPT = '''{SERVES}{hidden}'''")),
        ("joins", shares, JOINS.to_owned(), String::new()),
        ("joins hidden", shares, format!("hide()\n{JOINS}"), String::new()),
    ];
    for (case, victim, thief, variable) in cases {
        let port = crate::harness::free_port();
        let own = format!(
            "port = {port}\npath = \"/own\"\naccess = \"public\"\nhold = \"0s\"\nready = {{ tcp = true, interval = \"2s\" }}"
        );
        let more = format!("after = [\"own\"]\nenv = {{ THEIRS = \"{port}\"{variable} }}");
        let config = app("own", victim, &own) + &app("thief", &thief, &more);
        let mut appliance = Appliance::start_as(NOBODY, &config);
        appliance.wait_for_state("own", "ready").await;
        let browser = Browser::new(&appliance.url);
        let get = async || browser.send(reqwest::Method::GET, "/own/x", &[]).await.unwrap();
        assert_eq!(get().await.body, "own", "{case}");
        std::fs::write(appliance.path("go"), "").unwrap();
        eventually(case, async || appliance.log().contains("| taken").then_some(())).await;
        for _ in 0..20 {
            assert_ne!(get().await.body, "thief", "{case}");
        }
        appliance.wait_for_state("own", "unready").await;
        // A probe may have met the closed port before the other program took it; the next one meets that.
        let named = || appliance.log().contains("another program listens on the app's port");
        eventually(case, async || named().then_some(())).await;
        let log = appliance.log();
        assert!(!log.contains("thief received"), "{case}: {log}");
        assert_eq!(appliance.stop().await, 0, "{case}");
    }
}

#[tokio::test]
async fn every_way_to_listen_works_where_apps_share_a_user() {
    let serve = "server(os.environ[\"PORT\"], \"own\").serve_forever()";
    let workers = "for _ in range(3):\n    if os.fork() == 0: break\n\
         server(os.environ[\"PORT\"], \"own\", True).serve_forever()";
    let prefork = "s = server(os.environ[\"PORT\"], \"own\")\nfor _ in range(3):\n    if os.fork() == 0: break\ns.serve_forever()";
    let bare = "leave()\nif \"PORT\" in os.environ:\n    \
         os.execve(\"/usr/bin/env\", [\"env\", \"-i\", \"P=\" + os.environ[\"PORT\"], \"PATH=\" + os.environ[\"PATH\"], \"python3\", \"-c\", os.environ[\"SCRIPT\"]], os.environ)\n";
    let script = format!(
        "env = {{ SCRIPT = '''{SERVES}server(os.environ[\"P\"], \"own\").serve_forever()''' }}"
    );
    let routed = |name: &str| format!("path = \"/{name}\"\naccess = \"public\"\n");
    let config = app("plain", serve, &routed("plain"))
        + &app("workers", workers, &routed("workers"))
        + &app("prefork", prefork, &routed("prefork"))
        + &app("daemon", &format!("leave()\n{serve}"), &routed("daemon"))
        + &app("bare", bare, &(routed("bare") + &script));
    let names = ["plain", "workers", "prefork", "daemon", "bare"];
    let mut users = vec![];
    // As root, as one other user, and as root with one user for all apps.
    users.push(Appliance::start(&config));
    if is_root() {
        users.push(Appliance::start_as(NOBODY, &config));
        let shared = config.replace("path = \"/", "user = \"nobody\"\npath = \"/");
        users.push(Appliance::start(&shared));
    }
    for mut appliance in users {
        for name in names {
            appliance.wait_for_state(name, "ready").await;
            let browser = Browser::new(&appliance.url);
            for _ in 0..3 {
                let path = format!("/{name}/x");
                let answer = browser.send(reqwest::Method::GET, &path, &[]).await.unwrap();
                assert_eq!(answer.body, "own", "{name}");
            }
        }
        assert!(!appliance.log().contains("another program"), "{}", appliance.log());
        assert_eq!(appliance.stop().await, 0);
    }
}

#[tokio::test]
async fn an_app_that_hides_its_files_from_its_user_is_told_to_have_a_user_of_its_own() {
    if !is_root() {
        return;
    }
    let script = "hide()\nserver(os.environ[\"PORT\"], \"own\").serve_forever()";
    let config = app("a", script, "path = \"/a\"\naccess = \"public\"");
    let appliance = Appliance::start_as(NOBODY, &config);
    eventually("the reason", async || {
        appliance.log().contains("a process of the app hides its open files").then_some(())
    })
    .await;
    assert_ne!(appliance.app("a").unwrap()["ready"], true);
    let own = config.replace("path = \"/a\"", "user = \"nobody\"\npath = \"/a\"");
    Appliance::start(&own).wait_for_state("a", "ready").await;
}

/// Joins the port again and again, and leaves it as soon as it has accepted a connection.
const JOINS_AND_LEAVES: &str = r#"
while True:
    joined = socket.socket()
    joined.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    joined.bind(("127.0.0.1", int(os.environ["THEIRS"])))
    joined.listen()
    joined.settimeout(0.0005)
    try: taken = joined.accept()[0]
    except OSError: taken = None
    joined.close()
    if taken:
        print("taken", flush=True)
        taken.settimeout(0.3)
        try: data = taken.recv(100)
        except OSError: data = b""
        if data: print("thief received", data, flush=True)
        taken.close()
    time.sleep(random.random() * 0.006)
"#;

#[tokio::test]
async fn no_request_reaches_an_app_that_joins_a_port_for_one_connection() {
    if !is_root() {
        return;
    }
    let port = crate::harness::free_port();
    let serves = "s = server(os.environ[\"PORT\"], \"own\", True)\ns.serve_forever()";
    let own = format!(
        "port = {port}\npath = \"/own\"\naccess = \"public\"\nhold = \"0s\"\nready = {{ tcp = true, interval = \"50ms\" }}"
    );
    let more = format!("after = [\"own\"]\nenv = {{ THEIRS = \"{port}\" }}");
    let config = app("own", serves, &own) + &app("thief", JOINS_AND_LEAVES, &more);
    let mut appliance = Appliance::start_as(NOBODY, &config);
    appliance.wait_for_state("thief", "ready").await;
    let browser = Browser::new(&appliance.url);
    let get = async || browser.send(reqwest::Method::GET, "/own/x", &[]).await.unwrap();
    eventually("the thief to accept", async || {
        get().await;
        appliance.log().contains("| taken").then_some(())
    })
    .await;
    let (mut own, mut refused) = (0, 0);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(4);
    while std::time::Instant::now() < end {
        match get().await {
            answer if answer.body == "own" => own += 1,
            answer => refused += u32::from([502, 503].contains(&answer.status.as_u16())),
        }
    }
    let log = appliance.log();
    assert!(!log.contains("thief received"), "{own} {refused}: {log}");
    assert!(own > 0 && refused > 0, "{own} {refused}: {log}");
    assert!(appliance.cli(&["stop", "thief"]).status.success());
    eventually("the app to answer", async || (get().await.body == "own").then_some(())).await;
    assert_eq!(appliance.stop().await, 0);
}
