//! nginx and Caddy in front of the appliance, configured as docs/behind-a-proxy.md says: the test reads
//! the page.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::fixture::SECRET;
use crate::harness::{Appliance, Browser, NAVIGATION, eventually, free_port};
use crate::issuer::Issuer;
use crate::upstream::Upstream;
use crate::websocket::echoes;

const CONFIG: &str = r#"
[server]
listen = "127.0.0.1:{PORT}"
public_url = "{PUBLIC}"
state_dir = "{DIR}/state"
trusted_proxies = ["127.0.0.1/32"]
[oidc]
issuer = "{ISSUER}"
client_id = "appliance"
client_secret = { file = "{DIR}/secret" }
[apps.app]
path = "/app"
upstream = "http://127.0.0.1:{UP}"
[apps.open]
path = "/open"
access = "public"
upstream = "http://127.0.0.1:{UP}"
"#;

/// The example of the page in this language.
fn example(language: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/behind-a-proxy.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0.to_owned()
}

/// A proxy in front of an appliance. Its drop ends the proxy.
struct Front {
    program: Child,
    port: u16,
    appliance: Appliance,
    upstream: Upstream,
    _issuer: Issuer,
    _folder: tempfile::TempDir,
}

impl Drop for Front {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Front {
    /// Starts `command` with the configuration that `configure` makes of the port of the proxy, the
    /// port of the appliance and a folder.
    async fn start(
        command: &[&str],
        scheme: &str,
        configure: impl FnOnce(u16, u16, &str) -> String,
    ) -> Self {
        let issuer = Issuer::new().await;
        issuer.order(|orders| {
            orders.client_secret = SECRET.into();
            orders.user = "alice".into();
        });
        let upstream = Upstream::start();
        let port = free_port();
        let config = CONFIG
            .replace("{PUBLIC}", &format!("{scheme}://localhost:{port}"))
            .replace("{ISSUER}", &issuer.url)
            .replace("{UP}", &upstream.port.to_string());
        let appliance = Appliance::start_with_in(
            |folder| std::fs::write(folder.join("secret"), SECRET).unwrap(),
            &config,
        );
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("front.conf");
        let text = configure(port, appliance.port, &folder.path().display().to_string());
        std::fs::write(&path, text).unwrap();
        let (name, arguments) = command.split_first().unwrap();
        let program = Command::new(name)
            .args(arguments)
            .arg(&path)
            .env("XDG_DATA_HOME", folder.path())
            .env("XDG_CONFIG_HOME", folder.path())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .spawn();
        let program = program.unwrap_or_else(|error| {
            panic!(
                "{name} cannot be started ({error}); install the package {name}, as tests/all does"
            )
        });
        let front = Self { program, port, appliance, upstream, _issuer: issuer, _folder: folder };
        front.appliance.wait_ready().await;
        let browser = front.browser();
        eventually("the proxy to listen", async || {
            browser.send(Method::GET, "/_appliance/live", &[]).await.ok()
        })
        .await;
        front
    }

    async fn nginx(scheme: &str) -> Self {
        Self::start(&["nginx", "-e", "stderr", "-g", "daemon off; master_process off;", "-c"], scheme, |port, inner, folder| {
            let server = example("nginx")
                .replace("listen 443 ssl;", &format!("listen 127.0.0.1:{port};"))
                .replace("127.0.0.1:8080", &format!("127.0.0.1:{inner}"));
            let server: String =
                server.split_inclusive('\n').filter(|line| !line.contains("ssl_certificate")).collect();
            let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                .map(|kind| format!("{kind}_temp_path {folder}/{kind};\n"))
                .concat();
            format!("pid {folder}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{paths}{server}}}\n")
        })
        .await
    }

    async fn caddy(scheme: &str) -> Self {
        let command = ["caddy", "run", "--adapter", "caddyfile", "--config"];
        Self::start(&command, scheme, |port, inner, _| {
            let site = example("caddy")
                .replace("apps.example.org", &format!("http://localhost:{port}"))
                .replace("127.0.0.1:8080", &format!("127.0.0.1:{inner}"));
            format!("{{\nadmin off\nauto_https off\n}}\n{site}")
        })
        .await
    }

    fn browser(&self) -> Browser {
        Browser::new(&format!("http://localhost:{}", self.port))
    }
}

/// Sends a request from an address of this machine and reads the whole response.
async fn ask_from(source: Ipv4Addr, port: u16, head: &str) -> String {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind((source, 0).into()).unwrap();
    let mut stream = socket.connect((Ipv4Addr::LOCALHOST, port).into()).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Login, headers and a WebSocket through a proxy.
async fn serves_people(front: &Front) {
    let mut alice = front.browser();
    let answer = alice.go("/app/x?y=1").await;
    assert_eq!(answer.status, 200, "{answer:?}\n{}", front.appliance.log());
    assert!(answer.url.ends_with(&format!("localhost:{}/app/x?y=1", front.port)), "{}", answer.url);
    let seen = front.upstream.seen().pop().unwrap();
    let host = format!("localhost:{}", front.port);
    for (name, wanted) in [
        ("host", host.as_str()),
        ("x-forwarded-host", &host),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-user", "alice"),
    ] {
        assert_eq!(seen.all(name), [wanted], "{name}");
    }

    // The client of the proxy is the client, and a client cannot choose its address and scheme.
    let head = format!(
        "GET /open/named HTTP/1.1\r\nHost: {host}\r\nX-Forwarded-For: 203.0.113.9\r\n\
         X-Forwarded-Proto: https\r\nConnection: close\r\n\r\n"
    );
    assert!(ask_from(Ipv4Addr::new(127, 0, 0, 2), front.port, &head).await.contains(" 200 "));
    let seen = front.upstream.seen().pop().unwrap();
    assert_eq!(seen.all("x-forwarded-proto"), ["http"]);
    let log = eventually("the access line", async || {
        let log = front.appliance.log();
        log.lines().find(|line| line.contains("path=/open/named ")).map(str::to_owned)
    })
    .await;
    assert!(log.contains("client_ip=127.0.0.2"), "{log}");

    let mut request =
        format!("ws://127.0.0.1:{}/app/ws", front.port).into_client_request().unwrap();
    let headers = request.headers_mut();
    headers.insert("host", host.parse().unwrap());
    headers.insert("origin", format!("http://{host}").parse().unwrap());
    headers.insert("cookie", alice.cookie_line().parse().unwrap());
    let mut socket = tokio_tungstenite::connect_async(request).await.unwrap().0;
    echoes(&mut socket).await;
}

/// The scheme of the browser arrives: a page by http under an https address is redirected.
async fn tells_the_scheme(front: &Front) {
    let browser = front.browser();
    let answer = browser.send(Method::GET, "/app/x?y=1", NAVIGATION).await.unwrap();
    assert_eq!(answer.status, 308, "{answer:?}");
    assert_eq!(answer.location(), format!("https://localhost:{}/app/x?y=1", front.port));
    let probe = browser.send(Method::GET, "/_appliance/ready", NAVIGATION).await.unwrap();
    assert_eq!(probe.status, 200, "{probe:?}");
}

#[tokio::test]
async fn nginx_serves_people_with_the_lines_of_the_page() {
    serves_people(&Front::nginx("http").await).await;
    tells_the_scheme(&Front::nginx("https").await).await;
}

#[tokio::test]
async fn caddy_serves_people_with_the_lines_of_the_page() {
    serves_people(&Front::caddy("http").await).await;
    tells_the_scheme(&Front::caddy("https").await).await;
}

#[tokio::test]
async fn a_proxy_that_drops_upgrade_is_named_in_the_log() {
    let fixture = crate::fixture::Fixture::new().await;
    let client = fixture.browser();
    let key = ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==");
    for path in ["/open/ws", "/open/ws2", "/signed/ws"] {
        let answer = client.send(Method::GET, path, &[key, ("sec-websocket-version", "13")]).await;
        assert!(answer.is_ok(), "{path}");
    }
    eventually("the hint for each app", async || {
        let log = fixture.appliance.log();
        let hint = |app: &str| {
            let lines = log.lines().filter(|line| line.contains("without Upgrade"));
            lines.filter(|line| line.contains(&format!("app={app}"))).count()
        };
        (hint("open") == 1 && hint("signed") == 1).then_some(())
    })
    .await;
}
