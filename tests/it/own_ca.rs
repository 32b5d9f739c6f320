//! https with a certificate authority of the appliance's own.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use reqwest::{Certificate, Client, StatusCode};

use crate::harness::{Appliance, eventually, free_port};

/// An appliance at `https://localhost`, with more of `[server]` and more apps.
fn config(server: &str, apps: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:{{PORT}}\"\npublic_url = \"https://localhost:{{PORT}}\"\n\
         state_dir = \"{{STATE}}/state\"\ntls = {{ internal = true }}\n{server}\n\
         [apps.a]\nupstream = \"http://127.0.0.1:9\"\npath = \"/a\"\naccess = \"public\"\n{apps}"
    )
}

fn key_file(appliance: &Appliance) -> std::path::PathBuf {
    appliance.path("state").join("ca.key")
}

/// A client that trusts this certificate only, and looks up every name at the loopback address.
fn trusting(pem: &str, names: &[&str]) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let root = Certificate::from_pem(pem.as_bytes()).unwrap();
    let client = Client::builder().tls_certs_only([root]);
    let client = names.iter().fold(client, |client, name| {
        client.resolve(name, std::net::SocketAddr::from(([127, 0, 0, 1], 0)))
    });
    client.build().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn printed(appliance: &Appliance) -> String {
    let Output { status, stdout, stderr } = appliance.cli(&["ca"]);
    assert!(status.success(), "{}", text(&stderr));
    text(&stdout)
}

async fn portal(appliance: &Appliance, client: &Client, host: &str) -> Result<StatusCode, String> {
    let url = format!("https://{host}:{}/_appliance/", appliance.port);
    client
        .get(url)
        .send()
        .await
        .map(|response| response.status())
        .map_err(|error| format!("{error:?}"))
}

#[tokio::test]
async fn a_browser_that_trusts_the_authority_opens_the_portal() {
    let redirect = free_port();
    let appliance =
        Appliance::start_with(&config(&format!("redirect_http = \"127.0.0.1:{redirect}\""), ""));
    let plain = format!("http://127.0.0.1:{redirect}/_appliance/ca.pem");
    let _ = rustls::crypto::ring::default_provider().install_default();
    let fetched =
        eventually("the certificate by http", async || reqwest::get(&plain).await.ok()).await;
    assert_eq!(fetched.status(), StatusCode::OK);
    assert_eq!(fetched.headers()["content-type"], "application/x-pem-file");
    let pem = fetched.text().await.unwrap();
    assert!(pem.starts_with("-----BEGIN CERTIFICATE-----\n") && !pem.contains("PRIVATE"), "{pem}");

    let client = trusting(&pem, &[]);
    assert_eq!(portal(&appliance, &client, "localhost").await, Ok(StatusCode::OK));
    let at = format!("https://localhost:{}/_appliance/ca.pem", appliance.port);
    for (method, host, status) in [
        ("GET", None, StatusCode::OK),
        ("HEAD", None, StatusCode::OK),
        ("POST", None, StatusCode::METHOD_NOT_ALLOWED),
        ("GET", Some("127.0.0.1"), StatusCode::OK),
    ] {
        let mut request = client.request(method.parse().unwrap(), &at);
        request = host.into_iter().fold(request, |request, host| request.header("host", host));
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), status, "{method} {host:?}");
        if status == StatusCode::OK {
            assert_eq!(response.headers()["content-type"], "application/x-pem-file");
            assert!(response.headers().contains_key("x-request-id"));
            let body = response.text().await.unwrap();
            assert_eq!(body, if method == "GET" { pem.as_str() } else { "" });
        }
    }
    assert!(openssl_accepts(&appliance, "localhost", &pem));
    assert!(!openssl_accepts(&appliance, "other.lan", &pem));
    let wrong = portal(&appliance, &client, "127.0.0.1").await.unwrap_err();
    assert!(wrong.contains("NotValidForName"), "{wrong}");

    let said = appliance.cli(&["ca"]);
    assert_eq!((said.status.code(), text(&said.stdout)), (Some(0), pem));
    let advice = text(&said.stderr);
    for part in [
        "update-ca-certificates",
        "update-ca-trust",
        "macOS",
        "Windows",
        "Firefox",
        "iOS",
        "Android",
        "SHA-256 ",
    ] {
        assert!(advice.contains(part), "{part}\n{advice}");
    }
    let fingerprint = advice.lines().find_map(|line| line.strip_prefix("SHA-256 ")).unwrap();
    appliance.logs(fingerprint).await;
    assert_eq!(key_file(&appliance).metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!appliance.log().contains("PRIVATE"));
}

#[tokio::test]
async fn a_reload_adds_a_host_and_a_restart_keeps_the_authority() {
    let appliance = Appliance::start_with(&config("", ""));
    let host = |name: &str| {
        format!(
            "[apps.b]\nupstream = \"http://127.0.0.1:9\"\naccess = \"public\"\nhost = \"{name}\"\n"
        )
    };
    let path = appliance.path("appliance.toml");
    let first = std::fs::read_to_string(&path).unwrap();
    let names = &["b.localhost", "b.lan"];
    let pem = eventually("the authority", async || {
        key_file(&appliance).exists().then(|| printed(&appliance))
    })
    .await;
    let client = trusting(&pem, names);
    eventually("https", async || portal(&appliance, &client, "localhost").await.ok()).await;
    assert!(portal(&appliance, &client, "b.localhost").await.is_err());

    let reload = |apps: &str| {
        std::fs::write(&path, format!("{first}{apps}")).unwrap();
        let reload = appliance.cli(&["reload"]);
        assert!(reload.status.success(), "{reload:?}");
    };
    reload(&host("b.localhost"));
    // A new connection; the app itself does not answer.
    let again = trusting(&pem, names);
    assert!(portal(&appliance, &again, "b.localhost").await.is_ok());
    assert_eq!(printed(&appliance), pem, "the name is below one that the authority may sign for");

    reload(&host("b.lan"));
    let again = trusting(&pem, names);
    let refused = portal(&appliance, &again, "b.lan").await.unwrap_err();
    assert!(refused.contains("UnknownIssuer") || refused.contains("BadSignature"), "{refused}");
    let new = printed(&appliance);
    assert_ne!(new, pem);
    assert!(portal(&appliance, &trusting(&new, names), "b.lan").await.is_ok());
    let log = appliance.log();
    assert!(log.contains("browsers must be told again"), "{log}");
    assert!(log.contains("it may not sign for b.lan"), "{log}");
}

#[test]
fn the_command_makes_the_authority_before_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("appliance.toml");
    let ca = |server: &str| {
        std::fs::write(&file, format!("[server]\n{server}\n")).unwrap();
        let answer = Command::new(env!("CARGO_BIN_EXE_appliance"))
            .args(["--config", file.to_str().unwrap(), "ca"])
            .output()
            .unwrap();
        (answer.status.code(), text(&answer.stdout), text(&answer.stderr))
    };
    let internal = "public_url = \"https://apps.lan\"\ntls = { internal = true }";
    let (code, pem, _) = ca(internal);
    assert!(code == Some(0) && pem.starts_with("-----BEGIN CERTIFICATE-----"), "{code:?} {pem}");
    assert_eq!(ca(internal).1, pem, "it is kept");
    let (code, same, said) = ca("public_url = \"https://other.lan\"\ntls = { internal = true }");
    assert!(code == Some(0) && same == pem);
    assert!(said.contains("the next start or reload makes a new authority"), "{said}");
    assert!(said.contains("it may not sign for other.lan"), "{said}");
    for server in
        ["", "public_url = \"https://a.lan\"\ntls = { cert = \"a.pem\", key = \"a.key\" }"]
    {
        let (code, pem, why) = ca(server);
        assert_eq!((code, pem.as_str()), (Some(78), ""), "{why}");
        assert!(why.contains("only with `tls = { internal = true }`"), "{why}");
    }
    verify_with_openssl(&pem);
}

/// Whether OpenSSL, as Debian has it, accepts the certificate for a name.
fn openssl_accepts(appliance: &Appliance, name: &str, pem: &str) -> bool {
    let root = appliance.path("root.pem");
    std::fs::write(&root, pem).unwrap();
    let answer = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{}", appliance.port)])
        .args(["-servername", name, "-verify_hostname", name, "-verify_return_error"])
        .args(["-x509_strict", "-CAfile"])
        .arg(&root)
        .stdin(std::process::Stdio::null())
        .output();
    answer.unwrap().status.success()
}

/// OpenSSL, as Debian has it, reads the certificate and its constraints.
fn verify_with_openssl(pem: &str) {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("ca.pem");
    std::fs::write(&root, pem).unwrap();
    let shown =
        Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(&root).output();
    let shown = text(&shown.unwrap().stdout);
    for part in [
        "CA:TRUE, pathlen:0",
        "X509v3 Name Constraints: critical",
        "DNS:apps.lan",
        "IP:0.0.0.0/0.0.0.0",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    let verified = Command::new("openssl")
        .arg("verify")
        .arg("-x509_strict")
        .arg("-CAfile")
        .arg(&root)
        .arg(&root)
        .output();
    assert!(verified.unwrap().status.success());
}
