//! https on the appliance's own addresses.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use reqwest::StatusCode;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::harness::{Appliance, eventually, free_port};

const APP: &str = r#"
import http.server, os
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *rest): pass
    def do_GET(self):
        body = self.headers["X-Forwarded-Proto"].encode()
        if self.path.startswith("/a/big"): body = b"x" * 3000000
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Strict-Transport-Security", "max-age=1; preload")
        self.end_headers()
        self.wfile.write(body)
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
"#;

/// Writes a certificate for the names and its key, which verifies itself.
fn certificate(folder: &Path, file: &str, names: &[&str]) {
    certificate_for(folder, file, names, 90);
}

/// The same, valid for this many days.
pub(crate) fn certificate_for(folder: &Path, file: &str, names: &[&str], days: i64) {
    let key = KeyPair::generate().unwrap();
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_after = time::OffsetDateTime::now_utc() + time::Duration::days(days);
    let cert = params.self_signed(&key).unwrap();
    std::fs::write(folder.join(format!("{file}.key")), key.serialize_pem()).unwrap();
    std::fs::write(folder.join(format!("{file}.pem")), cert.pem()).unwrap();
}

/// An appliance with certificates for `localhost` and `apps.example`, and a public app. `server` is more
/// of `[server]`.
fn start(server: &str) -> Appliance {
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:{{PORT}}\"\npublic_url = \"https://localhost:{{PORT}}\"\n\
         state_dir = \"{{DIR}}/state\"\n\
         tls = [{{ cert = \"one.pem\", key = \"one.key\" }}, {{ cert = \"two.pem\", key = \"two.key\" }}]\n\
         {server}\n\
         [apps.a]\ncommand = [\"python3\", \"-c\", '''{APP}''']\npath = \"/a\"\naccess = \"public\"\n\
         [apps.b]\nupstream = \"http://127.0.0.1:9\"\nhost = \"apps.example\"\naccess = \"public\"\n"
    );
    let prepare = |folder: &Path| {
        certificate(folder, "one", &["localhost"]);
        certificate(folder, "two", &["apps.example"]);
    };
    Appliance::start_with_in(prepare, &config)
}

/// Connects and verifies the certificate against the one in `trusted`.
async fn connect(
    appliance: &Appliance,
    name: &str,
    trusted: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(appliance.path(trusted)).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let socket = TcpStream::connect(("127.0.0.1", appliance.port)).await?;
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, socket).await
}

/// The response to a request on this connection, up to `Content-Length`.
async fn ask<S>(socket: &mut S, host: &str, path: &str) -> String
where
    S: AsyncReadExt + AsyncWriteExt + Unpin,
{
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut bytes = Vec::new();
    loop {
        let count = socket.read_buf(&mut bytes).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let whole = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let head = head.to_ascii_lowercase();
            let length = head.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.parse::<usize>().ok());
            length.is_some_and(|length| body.len() >= length)
        });
        if count == 0 || whole {
            return text.into_owned();
        }
    }
}

/// Whether the appliance closes an idle connection soon, without another byte.
async fn is_closed(socket: &mut (impl AsyncReadExt + Unpin)) -> bool {
    let mut rest = Vec::new();
    let reading = socket.read_to_end(&mut rest);
    matches!(tokio::time::timeout(Duration::from_secs(5), reading).await, Ok(Ok(0)))
}

#[tokio::test]
async fn each_name_gets_its_certificate_and_apps_learn_https() {
    let appliance = start("hsts = \"1d\"");
    let at = format!("localhost:{}", appliance.port);
    let mut socket = eventually("https", async || {
        let mut socket = connect(&appliance, "localhost", "one.pem").await.ok()?;
        ask(&mut socket, &at, "/a/x").await.starts_with("HTTP/1.1 200").then_some(socket)
    })
    .await;
    let answer = ask(&mut socket, &at, "/a/x").await;
    assert!(answer.ends_with("\r\n\r\nhttps"), "{answer}");
    assert!(answer.contains("strict-transport-security: max-age=86400\r\n"), "{answer}");
    assert!(ask(&mut socket, &at, "/missing").await.contains("max-age=86400"));
    assert!(ask(&mut socket, &at, "/a/big").await.len() > 3_000_000);

    assert!(connect(&appliance, "apps.example", "two.pem").await.is_ok());
    assert!(
        connect(&appliance, "other.example", "one.pem").await.is_err(),
        "the first one is shown"
    );
    // A request for another host than that of the handshake.
    for (host, status) in [("apps.example", "421"), ("LOCALHOST", "421"), (at.as_str(), "200")] {
        let host = if host == "LOCALHOST" { "other.example".to_owned() } else { host.to_owned() };
        assert!(ask(&mut socket, &host, "/a/x").await.contains(status), "{host}");
    }
    let other = ask(&mut socket, "apps.example", "/_appliance/live").await;
    assert!(other.starts_with("HTTP/1.1 200"), "probes may ask for any host: {other}");
}

#[tokio::test]
async fn renewed_files_are_served_and_broken_ones_change_nothing() {
    let appliance = start("");
    let at = format!("localhost:{}", appliance.port);
    let connected = async || connect(&appliance, "localhost", "one.pem").await.ok();
    let mut old = eventually("https", connected).await;
    certificate(appliance.folder.path(), "one", &["localhost"]);
    let mut new = eventually("the new certificate", connected).await;
    let said = "a new certificate is served";
    eventually("a line", async || appliance.log().contains(said).then_some(())).await;
    for socket in [&mut old, &mut new] {
        assert!(ask(socket, &at, "/_appliance/live").await.starts_with("HTTP/1.1 200"));
    }
    let good = std::fs::read(appliance.path("one.pem")).unwrap();
    std::fs::copy(appliance.path("two.key"), appliance.path("one.key")).unwrap();
    let log = eventually("a line", async || {
        let log = appliance.log();
        log.contains("cannot be used, the certificates stay").then_some(log)
    })
    .await;
    assert!(log.contains("one.key does not belong to the certificate in"), "{log}");
    assert!(connected().await.is_some());
    // A reload says the same, and changes nothing.
    let reload = appliance.cli(&["reload"]);
    assert_eq!(reload.status.code(), Some(78));
    assert!(
        String::from_utf8_lossy(&reload.stderr).contains("one.key does not belong"),
        "{reload:?}"
    );
    assert_eq!(std::fs::read(appliance.path("one.pem")).unwrap(), good);
    assert!(connected().await.is_some());
    assert!(!appliance.log().contains("PRIVATE KEY"), "{}", appliance.log());
}

#[tokio::test]
async fn a_reload_moves_to_https_and_adds_the_redirect() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let appliance = start("");
    let path = appliance.path("appliance.toml");
    let secured = std::fs::read_to_string(&path).unwrap();
    let connected = async || connect(&appliance, "localhost", "one.pem").await.ok();
    let mut held = eventually("https", connected).await;
    let (host, probe) = (format!("localhost:{}", appliance.port), "/_appliance/live");
    assert!(ask(&mut held, &host, probe).await.starts_with("HTTP/1.1 200"));

    let tls = secured.lines().find(|line| line.starts_with("tls")).unwrap();
    let clear = secured.replace(tls, "").replace("https://localhost", "http://localhost");
    std::fs::write(&path, &clear).unwrap();
    let reload = appliance.cli(&["reload"]);
    assert!(reload.status.success(), "{reload:?}");
    assert!(is_closed(&mut held).await, "it is from before the reload");
    let mut held = TcpStream::connect(("127.0.0.1", appliance.port)).await.unwrap();
    assert!(ask(&mut held, &host, probe).await.starts_with("HTTP/1.1 200"));
    let url = format!("http://localhost:{}/_appliance/live", appliance.port);
    assert_eq!(reqwest::get(&url).await.unwrap().status(), StatusCode::OK);
    assert!(connected().await.is_none());

    let redirect = free_port();
    let line = format!("{tls}\nredirect_http = \"127.0.0.1:{redirect}\"");
    std::fs::write(&path, secured.replace(tls, &line)).unwrap();
    assert!(appliance.cli(&["reload"]).status.success());
    assert!(is_closed(&mut held).await, "it is in clear");
    assert!(connected().await.is_some());
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
    let client = client.build().unwrap();
    for (host, path) in
        [("localhost", "/a/x?y=%2F"), ("evil.example", "//evil.example/"), ("x", "/")]
    {
        let url = format!("http://127.0.0.1:{redirect}{path}");
        let response = client.post(url).header("host", host).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::PERMANENT_REDIRECT);
        let wanted = format!("https://localhost:{}{path}", appliance.port);
        assert_eq!(response.headers()["location"], wanted);
        assert!(!response.headers().contains_key("strict-transport-security"));
    }
}

#[tokio::test]
async fn http_on_the_port_of_https_is_told_the_right_address() {
    let appliance = start("header_timeout = \"1s\"");
    eventually("https", async || connect(&appliance, "localhost", "one.pem").await.ok()).await;
    let mut clear = TcpStream::connect(("127.0.0.1", appliance.port)).await.unwrap();
    let answer = ask(&mut clear, "localhost", "/a/x").await;
    assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    let wanted = format!("This port speaks https. Open https://localhost:{}", appliance.port);
    assert!(answer.contains(&wanted), "{answer}");
    let said = "a client speaks http on an address for https";
    eventually("a line", async || appliance.log().contains(said).then_some(())).await;
    // A handshake that stops is closed after `header_timeout`.
    let mut silent = TcpStream::connect(("127.0.0.1", appliance.port)).await.unwrap();
    silent.write_all(b"\x16\x03\x01\x02\x00\x01").await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(10), silent.read_to_end(&mut rest)).await;
    assert!(closed.is_ok());
}

#[test]
fn a_certificate_in_the_folder_of_the_image_switches_https_on() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("appliance.toml");
    let server = "[server]\nlisten = \"0.0.0.0:8080\"\npublic_url = \"${PUBLIC_URL:-http://localhost:8080}\"\n";
    std::fs::write(&file, server).unwrap();
    let expanded = |url: Option<&str>| {
        let answer = std::process::Command::new(env!("CARGO_BIN_EXE_appliance"))
            .args(["--config", file.to_str().unwrap(), "check", "--expanded"])
            .env("APPLIANCE_TLS", folder.path().join("tls"))
            .envs(url.map(|url| ("PUBLIC_URL", url)))
            .output()
            .unwrap();
        let text = [answer.stdout, answer.stderr].map(|text| String::from_utf8(text).unwrap());
        (answer.status.code(), text.concat())
    };
    let (code, text) = expanded(None);
    assert!(code == Some(0) && text.contains("listen = [\"0.0.0.0:8080\"]"), "{text}");
    std::fs::create_dir(folder.path().join("tls")).unwrap();
    certificate(folder.path(), "tls/one", &["localhost"]);
    for (cert, key) in [("fullchain.pem", "privkey.pem"), ("tls.crt", "tls.key")] {
        for (from, to) in [("one.pem", cert), ("one.key", key)] {
            std::fs::copy(folder.path().join("tls").join(from), folder.path().join("tls").join(to))
                .unwrap();
        }
        let (code, text) = expanded(Some("https://apps.example"));
        assert_eq!(code, Some(0), "{text}");
        for line in ["listen = [\"0.0.0.0:8443\"]", "redirect_http = \"0.0.0.0:8080\"", cert, key] {
            assert!(text.contains(line), "{line}\n{text}");
        }
        let (code, text) = expanded(None);
        assert!(code == Some(78) && text.contains("`tls` needs a `public_url`"), "{text}");
        for name in [cert, key] {
            std::fs::remove_file(folder.path().join("tls").join(name)).unwrap();
        }
    }
}

#[test]
fn settings_of_https_are_checked_together() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), "one", &["localhost"]);
    certificate(folder.path(), "two", &["localhost"]);
    for (server, code, wanted) in [
        ("tls = { cert = \"one.pem\", key = \"one.key\" }", 0, "no errors\n"),
        ("tls = { cert = \"one.pem\", key = \"two.key\" }", 0, "two.key does not belong to"),
        ("tls = { cert = \"gone.pem\", key = \"one.key\" }", 0, "gone.pem cannot be read"),
        ("tls = { cert = \"one.pem\" }", 78, "`tls` has no `key`"),
        ("tls = { internal = true }", 0, "no errors\n"),
        ("tls = { internal = false }", 78, "`tls` has no `cert`"),
        ("tls = { cert = \"one.pem\", key = \"one.key\", internal = false }", 0, "no errors\n"),
        (
            "tls = { cert = \"one.pem\", key = \"one.key\", internal = true }",
            78,
            "`internal` cannot be combined with other certificates",
        ),
        ("tls = [{ internal = true }, { internal = true }]", 78, "cannot be combined"),
        ("tls = { acme = {} }", 0, "no errors\n"),
        ("tls = { acme = {}, internal = true }", 78, "cannot be combined"),
        (
            "tls = [{ acme = {} }, { cert = \"one.pem\", key = \"one.key\" }]",
            78,
            "cannot be combined",
        ),
        ("tls = { acme = { email = \"ops\" } }", 78, "`ops` is not an e-mail address"),
        ("tls = { acme = { directory = \"http://ca.lan/dir\" } }", 78, "must be an https URL"),
        ("tls = { acme = { ca_file = \"gone.pem\" } }", 0, "gone.pem cannot be read"),
        ("tls = { acme = { ca_file = \"one.key\" } }", 0, "one.key contains no PEM certificate"),
        ("tls = { acme = { mail = \"a@b\" } }", 78, "mail"),
        ("tls = { acme = {} }\npublic_url = \"https://192.0.2.1\"", 0, "no errors\n"),
        ("tls = []", 78, "`tls` is an empty list"),
        (
            "tls = { cert = \"one.pem\", key = \"one.key\" }\npublic_url = \"http://localhost\"",
            78,
            "`tls` needs a `public_url` that begins with https",
        ),
        ("redirect_http = \"127.0.0.1:81\"", 78, "`redirect_http` needs a `public_url`"),
        ("hsts = true", 78, "`hsts` needs a `public_url`"),
        ("hsts = true\npublic_url = \"https://a.example\"", 0, "no errors"),
        (
            "redirect_http = \"0.0.0.0:81\"\npublic_url = \"https://a.example\"\n\
             [apps.a]\ncommand = [\"true\"]\nport = 81",
            78,
            "the appliance itself uses port 81, see `redirect_http`",
        ),
        (
            "redirect_http = \"0.0.0.0:8080\"\npublic_url = \"https://a.example\"",
            78,
            "is also in `listen`",
        ),
    ] {
        let file = folder.path().join("appliance.toml");
        std::fs::write(&file, format!("[server]\n{server}\n")).unwrap();
        let answer = std::process::Command::new(env!("CARGO_BIN_EXE_appliance"))
            .args(["--config", file.to_str().unwrap(), "check"])
            .output()
            .unwrap();
        let text =
            [answer.stdout, answer.stderr].map(|text| String::from_utf8(text).unwrap()).concat();
        assert_eq!(answer.status.code(), Some(code), "{server}\n{text}");
        assert!(text.contains(wanted), "{server}\n{text}");
    }
}
