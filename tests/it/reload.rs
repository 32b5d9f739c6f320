//! Changes of the configuration while the appliance runs.

use std::time::Duration;

use nix::sys::signal::Signal;
use reqwest::{Method, StatusCode};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::fixture::{Fixture, SECRET};
use crate::harness::{Appliance, Browser, FETCH, eventually, free_port};
use crate::upstream::Upstream;
use crate::websocket::{closed, echoes, open_at};

const SLEEP: &str = "command = [\"sleep\", \"1000\"]\n";

/// Changes the file; the first occurrence of each text is replaced.
pub(crate) fn edit(appliance: &Appliance, changes: &[(&str, &str)]) {
    let path = appliance.path("appliance.toml");
    let mut text = std::fs::read_to_string(&path).unwrap();
    for (from, to) in changes {
        assert!(text.contains(from), "{from} is not in the file");
        text = text.replacen(from, to, 1);
    }
    std::fs::write(path, text).unwrap();
}

/// Reloads; the lines of the answer.
pub(crate) fn reload(appliance: &Appliance) -> Vec<String> {
    let answer = appliance.cli(&["reload"]);
    assert!(answer.status.success(), "{answer:?}\n{}", appliance.log());
    String::from_utf8(answer.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn pid(appliance: &Appliance, app: &str) -> i64 {
    appliance.app(app).unwrap()["pid"].as_i64().unwrap()
}

/// Whether another process of the app runs than `before`. Between two processes there is none.
fn is_restarted(appliance: &Appliance, app: &str, before: i64) -> Option<()> {
    let pid = appliance.app(app)?["pid"].as_i64()?;
    (pid != before).then_some(())
}

async fn get(url: &str, path: &str) -> StatusCode {
    Browser::new(url).send(Method::GET, path, FETCH).await.unwrap().status
}

#[tokio::test]
async fn only_what_differs_is_restarted_started_and_stopped() {
    let apps = format!("[apps.a]\n{SLEEP}[apps.b]\n{SLEEP}[apps.gone]\n{SLEEP}");
    let appliance = Appliance::start(&apps);
    for app in ["a", "b", "gone"] {
        appliance.wait_for_state(app, "ready").await;
    }
    let (a, b, gone) = (pid(&appliance, "a"), pid(&appliance, "b"), pid(&appliance, "gone"));
    edit(
        &appliance,
        &[("[apps.b]\n", "[apps.b]\nenv = { NEW = \"1\" }\n"), ("[apps.gone]", "[apps.new]")],
    );
    let dry = appliance.cli(&["reload", "--dry-run"]);
    let lines = String::from_utf8(dry.stdout).unwrap();
    assert_eq!(
        lines.lines().collect::<Vec<_>>(),
        ["keep a", "restart b: env.NEW", "start new", "stop gone"]
    );
    assert_eq!(pid(&appliance, "b"), b, "a dry run changes nothing");
    let json = appliance.cli(&["reload", "--dry-run", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        json["steps"][1],
        serde_json::json!({ "action": "restart", "app": "b", "keys": ["env.NEW"] })
    );

    assert_eq!(reload(&appliance), ["restart b: env.NEW", "start new", "stop gone"]);
    appliance.wait_for_state("new", "ready").await;
    eventually("the restart", async || is_restarted(&appliance, "b", b)).await;
    appliance.wait_for_state("b", "ready").await;
    assert_eq!(pid(&appliance, "a"), a);
    eventually("the end of the removed app", async || {
        appliance.app("gone").is_none().then_some(())
    })
    .await;
    assert!(!std::path::Path::new(&format!("/proc/{gone}")).exists());
    assert_eq!(reload(&appliance), ["nothing has changed"]);
}

#[tokio::test]
async fn hup_reloads_and_errors_change_nothing() {
    let appliance = Appliance::start(&format!("[apps.a]\n{SLEEP}"));
    appliance.wait_for_state("a", "ready").await;
    let before = pid(&appliance, "a");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = format!("port = {}\n", port.local_addr().unwrap().port());
    let missing = "env = { X = { file = \"not-there\" } }\n";
    for (line, reason) in [
        ("bogus_key = 1\n", "bogus_key"),
        (missing, "not-there"),
        ("port = 9223372036854775807\n", "port"),
        (taken.as_str(), "port"),
        ("cwd = \"not-there\"\n", "not-there"),
    ] {
        edit(&appliance, &[("[apps.a]\n", &format!("[apps.a]\n{line}"))]);
        let answer = appliance.cli(&["reload"]);
        let text = String::from_utf8_lossy(&answer.stderr).into_owned();
        assert_eq!(answer.status.code(), Some(78), "{line} {text}");
        assert!(text.contains(reason), "{line} {text}");
        let status = appliance.cli(&["status"]);
        let status = String::from_utf8(status.stdout).unwrap();
        assert!(status.contains("the configuration file has changed since"), "{status}");
        edit(&appliance, &[(&format!("[apps.a]\n{line}"), "[apps.a]\n")]);
    }
    // A program that never writes must not hold up the reloads that follow.
    let file = appliance.path("appliance.toml");
    std::fs::rename(&file, appliance.path("aside")).unwrap();
    nix::unistd::mkfifo(&file, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let answer = appliance.cli(&["reload"]);
    let text = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert!(answer.status.code() == Some(78) && text.contains("a pipe"), "{text}");
    std::fs::rename(appliance.path("aside"), &file).unwrap();
    edit(&appliance, &[("sleep\"", "not-a-program\"")]);
    assert_eq!(appliance.cli(&["reload"]).status.code(), Some(78), "its successor cannot start");
    assert_eq!(pid(&appliance, "a"), before);
    appliance.signal(Signal::SIGHUP);
    eventually("the reason in the log", async || {
        appliance.log().matches("the configuration was not reloaded").nth(7).map(drop)
    })
    .await;
    edit(&appliance, &[("not-a-program\"", "sleep\""), ("1000", "2000")]);
    appliance.signal(Signal::SIGHUP);
    eventually("the restart", async || is_restarted(&appliance, "a", before)).await;
}

#[tokio::test]
async fn routes_rules_and_titles_change_without_a_restart_and_tunnels_are_judged_again() {
    let fixture = Fixture::new().await;
    let appliance = &fixture.appliance;
    let alice = fixture.signed_in("alice").await;
    let url = &appliance.url;
    let stranger = Browser::new(url);
    let mut signed = open_at(&fixture, &alice, "/app/ws", None).await.unwrap();
    let mut open = open_at(&fixture, &stranger, "/open/ws", None).await.unwrap();
    let mut moved = open_at(&fixture, &alice, "/plain/ws", None).await.unwrap();
    let mut kept = open_at(&fixture, &alice, "/two/ws", None).await.unwrap();
    for socket in [&mut signed, &mut open, &mut moved, &mut kept] {
        echoes(socket).await;
    }
    edit(
        appliance,
        &[
            ("path = \"/app\"", "path = \"/app\"\naccess = { groups = [\"nobody\"] }"),
            ("path = \"/open\"", "path = \"/open\"\ntitle = \"Open\""),
            ("access = \"public\"", "access = \"signed-in\""),
            ("path = \"/plain\"", "path = \"/other\""),
            ("path = \"/two\"", "path = \"/two\"\ntimeout = \"9s\""),
        ],
    );
    let lines = reload(appliance);
    assert_eq!(
        lines,
        [
            "update app: access",
            "update two: timeout",
            "update open: access, title",
            "update plain: path"
        ]
    );
    for mut socket in [signed, open, moved] {
        assert_eq!(closed(&mut socket).await.0, Some(CloseCode::Policy));
    }
    echoes(&mut kept).await;
    assert_eq!(alice.send(Method::GET, "/app/", FETCH).await.unwrap().status, 403);
    assert_eq!(get(url, "/open/").await, 401);
    assert_eq!(alice.send(Method::GET, "/plain/", FETCH).await.unwrap().status, 404);
    assert_eq!(alice.send(Method::GET, "/other/", FETCH).await.unwrap().status, 200);
}

#[tokio::test]
async fn tunnels_of_a_removed_app_are_told_to_come_back() {
    let fixture = Fixture::new().await;
    let alice = fixture.signed_in("alice").await;
    let mut socket = open_at(&fixture, &alice, "/plain/ws", None).await.unwrap();
    echoes(&mut socket).await;
    edit(&fixture.appliance, &[("[apps.plain]", "[apps.plain]\nenabled = false")]);
    assert_eq!(reload(&fixture.appliance), ["stop plain"]);
    assert_eq!(closed(&mut socket).await.0, Some(CloseCode::Restart));
}

#[tokio::test]
async fn sessions_outlive_new_keys_secrets_and_lifetimes() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), base64_key(1)).unwrap();
    let session = format!("keys = {{ file = \"{}\" }}\nrecheck = \"1s\"", file.path().display());
    let fixture = Fixture::with(&session, |issuer| {
        issuer.order(|orders| orders.ttl = Duration::from_secs(2));
    });
    let fixture = fixture.await;
    let appliance = &fixture.appliance;
    let alice = fixture.signed_in("alice").await;
    let keys = [base64_key(2), base64_key(1)].join("\n");
    std::fs::write(file.path(), keys).unwrap();
    assert_eq!(reload(appliance), ["update session: keys"]);
    assert_eq!(alice.send(Method::GET, "/app/", FETCH).await.unwrap().status, 200);
    // The session is refreshed with the client's new secret.
    fixture.issuer.order(|orders| orders.client_secret = "new".into());
    fixture.set_secret("new");
    assert_eq!(reload(appliance), ["update oidc: client_secret"]);
    tokio::time::sleep(Duration::from_millis(2300)).await;
    assert_eq!(alice.send(Method::GET, "/app/", FETCH).await.unwrap().status, 200);
    assert_eq!(fixture.issuer.count(crate::issuer::Call::Authorize), 1, "no second login");
    edit(appliance, &[("recheck", "lifetime = \"1s\"\nrecheck")]);
    assert_eq!(reload(appliance), ["update session: lifetime"]);
    eventually("the end of the session", async || {
        (alice.send(Method::GET, "/app/", FETCH).await.unwrap().status == 401).then_some(())
    })
    .await;
    assert!(!appliance.log().contains(SECRET));
}

#[tokio::test]
async fn the_listener_moves_and_what_needs_a_new_start_is_named() {
    let fixture = Fixture::new().await;
    let appliance = &fixture.appliance;
    let new = free_port();
    let old = format!("listen = \"127.0.0.1:{}\"", appliance.port);
    edit(
        appliance,
        &[
            (&old, &format!("listen = \"127.0.0.1:{new}\"")),
            ("/state\"", "/other\""),
            ("\"appliance\"", "\"you\""),
        ],
    );
    let lines = reload(appliance);
    assert!(lines.contains(&"update server: listen".to_owned()), "{lines:?}");
    assert!(
        lines.contains(&"needs a new start: server.state_dir, oidc.client_id".to_owned()),
        "{lines:?}"
    );
    let host = format!("localhost:{}", appliance.port);
    let answer = reqwest::Client::builder().no_proxy().build().unwrap();
    let request = answer.get(format!("http://127.0.0.1:{new}/open/")).header("host", host);
    assert_eq!(request.send().await.unwrap().status(), 200);
    eventually("the end of the old address", async || {
        std::net::TcpStream::connect(("127.0.0.1", appliance.port)).is_err().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reloads_under_load_lose_no_request() {
    let fixture = Fixture::new().await;
    let appliance = &fixture.appliance;
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let load: Vec<_> = (0..4)
        .map(|_| {
            let (url, done) = (appliance.url.clone(), done.clone());
            tokio::spawn(async move {
                let (client, mut asked) = (Browser::new(&url), 0);
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    let answer = client.send(Method::GET, "/open/", FETCH).await.unwrap();
                    assert_eq!(answer.status, 200);
                    asked += 1;
                }
                asked
            })
        })
        .collect();
    for number in 0..20 {
        let path = appliance.path("appliance.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let text = text.replace("[apps.open]\n", &format!("[apps.open]\ntitle = \"{number}\"\n"));
        std::fs::write(&path, text.replace(&format!("title = \"{}\"\n", number - 1), "")).unwrap();
        reload(appliance);
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    for one in load {
        assert!(one.await.unwrap() > 0);
    }
}

/// Follows a response piece by piece. Whether it ends within two seconds of a reload that narrows the
/// app.
async fn ends_by_reload(fixture: &Fixture, path: &str, narrow: &[(&str, &str)]) -> bool {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}{path}", fixture.appliance.url);
    let mut response = client.get(url).send().await.unwrap();
    assert_eq!(response.status(), 200, "{path}");
    assert!(response.chunk().await.unwrap().is_some());
    edit(&fixture.appliance, narrow);
    reload(&fixture.appliance);
    let end = async { while matches!(response.chunk().await, Ok(Some(_))) {} };
    tokio::time::timeout(Duration::from_secs(2), end).await.is_ok()
}

#[tokio::test]
async fn what_strangers_began_ends_when_the_app_is_not_public_any_more() {
    let shut = [
        ("path = \"/open\"\n", "path = \"/open\"\ntitle = \"x\"\n"),
        ("access = \"public\"", "access = \"signed-in\""),
    ];
    for path in ["/open/ticks", "/open/flood", "/open/events"] {
        assert!(ends_by_reload(&Fixture::new().await, path, &shut).await, "{path}");
    }
    let titled = [("path = \"/open\"\n", "path = \"/open\"\ntitle = \"x\"\n")];
    assert!(!ends_by_reload(&Fixture::new().await, "/open/ticks", &titled).await);
}

#[tokio::test]
async fn a_transfer_ends_when_its_app_moves_to_another_upstream() {
    let other = Upstream::start();
    let to = |text: &str, port: u16| {
        format!(
            "{}\naccess = \"public\"",
            text.replace("OTHER", &other.port.to_string()).replace("UP", &port.to_string())
        )
    };
    let moved = "upstream = \"http://127.0.0.1:OTHER\"";
    let added = "upstream = [\"http://127.0.0.1:UP\", \"http://127.0.0.1:OTHER\"]";
    for (path, upstream, ends) in [
        ("/open/ticks", moved, true),
        ("/open/flood", moved, true),
        ("/open/drip", moved, true),
        ("/open/ticks", added, false),
    ] {
        let fixture = Fixture::new().await;
        let port = fixture.upstream.port;
        let mut socket = open_at(&fixture, &Browser::new(&fixture.appliance.url), "/open/ws", None)
            .await
            .unwrap();
        let from = to("upstream = \"http://127.0.0.1:UP\"", port);
        let change = (from.as_str(), &*to(upstream, port));
        assert_eq!(ends_by_reload(&fixture, path, &[change]).await, ends, "{path} {upstream}");
        if ends {
            assert_eq!(closed(&mut socket).await.0, Some(CloseCode::Restart), "{upstream}");
        } else {
            echoes(&mut socket).await;
        }
    }
}

#[tokio::test]
async fn a_tunnel_ends_when_the_origin_of_its_page_is_no_longer_accepted() {
    let fixture = Fixture::beside("", "[apps.wide]\npath = \"/wide\"\nupstream = \"http://127.0.0.1:{UP}\"\naccess = \"public\"\norigins = [\"http://one.test\", \"http://two.test\"]\n").await;
    let stranger = Browser::new(&fixture.appliance.url);
    let own = format!("http://localhost:{}", fixture.appliance.port);
    let mut sockets = Vec::new();
    for origin in [Some("http://one.test"), Some("http://two.test"), Some(own.as_str()), None] {
        sockets.push(open_at(&fixture, &stranger, "/wide/ws", origin).await.unwrap());
    }
    edit(&fixture.appliance, &[("\"http://one.test\", ", "")]);
    assert_eq!(reload(&fixture.appliance), ["update wide: origins"]);
    assert_eq!(closed(&mut sockets.remove(0)).await.0, Some(CloseCode::Policy));
    for socket in &mut sockets {
        echoes(socket).await;
    }
}

#[tokio::test]
async fn a_cookie_of_an_old_key_or_name_is_worth_nothing_and_no_app_gets_it() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), base64_key(1)).unwrap();
    let session = format!("cookie = \"corp\"\nkeys = {{ file = \"{}\" }}", file.path().display());
    let fixture = Fixture::with(&session, |_| {}).await;
    let appliance = &fixture.appliance;
    let alice = fixture.signed_in("alice").await;
    let line = alice.cookie_line();
    let value = line.split("corp=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    edit(appliance, &[("\"corp\"", "\"other\"")]);
    assert_eq!(reload(appliance), ["update session: cookie"]);
    let asked = async |cookie: String| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let get =
            |path: &str| client.get(format!("{}{path}", appliance.url)).header("cookie", &cookie);
        let status = get("/app/").send().await.unwrap().status();
        let seen = get("/open/").send().await.unwrap().text().await.unwrap();
        (status, seen.contains(&value))
    };
    for name in ["corp", "other"] {
        let (status, seen) = asked(format!("{name}={value}")).await;
        assert!(!status.is_success() && !seen, "{name}: {status} {seen}");
    }
    let bob = fixture.signed_in("bob").await;
    std::fs::write(file.path(), base64_key(2)).unwrap();
    assert_eq!(reload(appliance), ["update session: keys"]);
    assert_eq!(bob.send(Method::GET, "/app/", FETCH).await.unwrap().status, 401);
}

#[tokio::test]
async fn a_former_cookie_name_is_kept_from_apps_over_restarts_and_is_worth_nothing_when_it_returns()
{
    let mut fixture = Fixture::with("cookie = \"corp\"", |_| {}).await;
    let alice = fixture.signed_in("alice").await;
    let line = alice.cookie_line();
    let value = line.split("corp=").nth(1).unwrap().split(';').next().unwrap().to_owned();
    for (from, to, wanted) in
        [("corp", "corp", 200), ("corp", "other", 401), ("other", "corp", 401)]
    {
        edit(
            &fixture.appliance,
            &[(&format!("cookie = \"{from}\""), &format!("cookie = \"{to}\""))],
        );
        assert_eq!(fixture.appliance.stop().await, 0);
        fixture.appliance.restart();
        fixture.appliance.wait_ready().await;
        for name in ["corp", "other"] {
            let client = reqwest::Client::builder().no_proxy().build().unwrap();
            let url = &fixture.appliance.url;
            let get = |path: &str| {
                client.get(format!("{url}{path}")).header("cookie", format!("{name}={value}"))
            };
            let wanted = if name == to { wanted } else { 401 };
            assert_eq!(get("/app/").send().await.unwrap().status(), wanted, "{from} {to} {name}");
            let seen = get("/open/").send().await.unwrap().text().await.unwrap();
            assert!(
                !seen.contains(&value) || (name == "other" && from == to),
                "{from} {to} {name}"
            );
        }
        let line = "corp-replica-many=p4ss; theme=dark";
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = client.get(format!("{}/open/", fixture.appliance.url)).header("cookie", line);
        let seen = request.send().await.unwrap().text().await.unwrap();
        assert!(seen.contains("theme=dark") && !seen.contains("p4ss"), "{from} {to}: {seen}");
    }
    let alice = fixture.signed_in("alice").await;
    assert_eq!(alice.send(Method::GET, "/app/", FETCH).await.unwrap().status, 200);
}

#[tokio::test]
async fn a_longer_lifetime_brings_no_ended_session_back() {
    let fixture = Fixture::with("lifetime = \"3s\"", |_| {}).await;
    let appliance = &fixture.appliance;
    let alice = fixture.signed_in("alice").await;
    edit(appliance, &[("\"3s\"", "\"10h\"")]);
    reload(appliance);
    assert_eq!(alice.send(Method::GET, "/app/", FETCH).await.unwrap().status, 200);
    tokio::time::sleep(Duration::from_millis(3500)).await;
    assert_eq!(alice.send(Method::GET, "/app/", FETCH).await.unwrap().status, 401);
}

/// Each app answers with its own name after a slow start.
const NAMED: &str = r#"
import http.server, os, sys, time
time.sleep(0.4)
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *rest): pass
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "1")
        self.end_headers()
        self.wfile.write(sys.argv[1].encode())
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// Two apps take each other's port: a request that waits for one never reaches the other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apps_that_swap_ports_never_get_each_others_requests() {
    let (one, two) = (free_port(), free_port());
    let app = |name: &str, port: u16| {
        format!(
            "[apps.{name}]\ncommand = [\"python3\", \"-c\", '''{NAMED}''', \"{name}\"]\npath = \"/{name}\"\naccess = \"public\"\nport = {port}\nhold = \"5s\"\n"
        )
    };
    let appliance = Appliance::start(&(app("a", one) + &app("b", two)));
    appliance.wait_for_state("a", "ready").await;
    appliance.wait_for_state("b", "ready").await;
    let done = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
    let asking: Vec<_> = (0..6)
        .map(|_| {
            let (url, done) = (appliance.url.clone(), done.clone());
            tokio::spawn(async move {
                let (client, mut answered) = (Browser::new(&url), 0);
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    // A response that the stop cuts off is an error.
                    let answer = client.send(Method::GET, "/a/", FETCH).await;
                    if let Ok(answer) = answer
                        && answer.status == 200
                    {
                        assert_eq!(answer.body, "a");
                        answered += 1;
                    }
                }
                answered
            })
        })
        .collect();
    let line = |port: u16| format!("port = {port}\n");
    for (a, b) in [(one, two), (two, one)] {
        edit(
            &appliance,
            &[(&line(a), "port = X\n"), (&line(b), &line(a)), ("port = X\n", &line(b))],
        );
        reload(&appliance);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        appliance.wait_for_state("a", "ready").await;
    }
    done.store(true, std::sync::atomic::Ordering::Relaxed);
    for one in asking {
        assert!(one.await.unwrap() > 0, "{}", appliance.log());
    }
}

fn base64_key(byte: u8) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([byte; 32])
}
