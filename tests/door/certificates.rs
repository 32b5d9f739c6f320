//! Certificates from a real ACME authority: Pebble, the test authority of Let's Encrypt.

use std::path::Path;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use rustls::pki_types::ServerName;

use crate::harness::{Appliance, eventually};
use crate::pebble::{Checks, Pebble};

const HOST: &str = "apps.example";

/// An appliance at `host` that orders from `pebble`.
fn config(pebble: &Pebble, host: &str) -> String {
    let (listen, redirect) = (pebble.tls_port, pebble.http_port);
    let acme = format!(
        "{{ email = \"ops@example.org\", directory = \"{}\", ca_file = \"pebble.pem\" }}",
        pebble.directory()
    );
    format!(
        "[server]\nlisten = \"127.0.0.1:{listen}\"\npublic_url = \"https://{host}:{listen}\"\n\
         redirect_http = \"127.0.0.1:{redirect}\"\nstate_dir = \"{{STATE}}/state\"\n\
         tls = {{ acme = {acme} }}\n\
         [apps.a]\nupstream = \"http://127.0.0.1:9\"\npath = \"/a\"\naccess = \"public\"\n"
    )
}

/// An app with a host of its own.
const WIKI: &str = "[apps.wiki]\nupstream = \"http://127.0.0.1:9\"\nhost = \"wiki.example\"\naccess = \"public\"\n";

fn start(pebble: &Pebble, host: &str) -> Appliance {
    start_beside(pebble, host, "")
}

/// The same with more apps.
fn start_beside(pebble: &Pebble, host: &str, apps: &str) -> Appliance {
    let ca = pebble.ca_pem().to_owned();
    let prepare = move |folder: &Path| std::fs::write(folder.join("pebble.pem"), ca).unwrap();
    Appliance::start_with_in(prepare, &(config(pebble, host) + apps))
}

/// A client that trusts these roots only, and finds the hosts at the loopback address.
fn client(roots: &str) -> Client {
    let roots = reqwest::Certificate::from_pem_bundle(roots.as_bytes()).unwrap();
    trusting(Client::builder().tls_certs_only(roots))
}

/// A person who clicks the warning of the browser away.
fn careless() -> Client {
    trusting(Client::builder().tls_danger_accept_invalid_certs(true))
}

fn trusting(builder: reqwest::ClientBuilder) -> Client {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let at = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let builder = builder.redirect(reqwest::redirect::Policy::none()).pool_max_idle_per_host(0);
    [HOST, "wiki.example"]
        .iter()
        .fold(builder, |builder, host| builder.resolve(host, at))
        .build()
        .unwrap()
}

async fn portal(client: &Client, pebble: &Pebble, host: &str) -> Option<StatusCode> {
    let url = format!("https://{host}:{}/_appliance/", pebble.tls_port);
    client.get(url).send().await.ok().map(|response| response.status())
}

async fn until_served(appliance: &Appliance, pebble: &Pebble, host: &str) {
    let client = client(&pebble.roots().await);
    eventually(&format!("a certificate for {host}: {}", appliance.log()), async || {
        portal(&client, pebble, host).await.filter(|status| *status == StatusCode::OK)
    })
    .await;
}

#[tokio::test]
async fn a_certificate_is_ordered_over_tls_kept_and_extended_by_a_reload() {
    let pebble = Pebble::start(Duration::from_hours(90 * 24)).await;
    let mut appliance = start(&pebble, HOST);
    until_served(&appliance, &pebble, HOST).await;
    let log = appliance.log();
    for part in ["waiting for a certificate", "tls-alpn-01", HOST, "a new certificate is served"] {
        assert!(log.contains(part), "{part}\n{log}");
    }
    assert!(!log.contains("PRIVATE"), "{log}");
    for file in ["acme.key", "acme.account"] {
        use std::os::unix::fs::PermissionsExt as _;
        let found = appliance.path("state").join(file).metadata().unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600, "{file}");
    }

    // After a restart, also without the authority.
    let first = std::fs::read(appliance.path("state").join("acme.key")).unwrap();
    assert_eq!(appliance.stop().await, 0);
    appliance.restart();
    until_served(&appliance, &pebble, HOST).await;
    assert_eq!(std::fs::read(appliance.path("state").join("acme.key")).unwrap(), first);

    // A host more.
    let file = appliance.path("appliance.toml");
    let written = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{written}{WIKI}")).unwrap();
    let reload = appliance.cli(&["reload"]);
    assert!(reload.status.success(), "{reload:?}");
    until_served(&appliance, &pebble, "wiki.example").await;
    until_served(&appliance, &pebble, HOST).await;
    assert_eq!(appliance.log().matches("an account was made").count(), 1);
}

#[tokio::test]
async fn a_host_without_dns_holds_up_no_other() {
    let pebble = Pebble::start(Duration::from_hours(24)).await;
    pebble.know("wiki.example", false).await;
    let mut appliance = start_beside(&pebble, HOST, WIKI);
    let tried = "no certificate was issued names=wiki.example";
    eventually(tried, async || appliance.log().contains(tried).then_some(())).await;
    assert!(appliance.log().contains("an order was refused"), "{}", appliance.log());
    until_served(&appliance, &pebble, HOST).await;
    pebble.know("wiki.example", true).await;
    // The next try is about a minute away.
    let (began, client) = (std::time::Instant::now(), client(&pebble.roots().await));
    while portal(&client, &pebble, "wiki.example").await != Some(StatusCode::OK) {
        assert!(began.elapsed() < Duration::from_mins(5), "{}", appliance.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    until_served(&appliance, &pebble, HOST).await;

    // Both are kept.
    assert_eq!(appliance.stop().await, 0);
    let orders = |log: &str| log.matches("the certificate authority checks a host").count();
    let before = orders(&appliance.log());
    appliance.restart();
    until_served(&appliance, &pebble, HOST).await;
    until_served(&appliance, &pebble, "wiki.example").await;
    assert_eq!(orders(&appliance.log()), before);
}

#[tokio::test]
async fn an_address_gets_a_certificate_too() {
    let pebble = Pebble::start(Duration::from_hours(24)).await;
    let appliance = start(&pebble, "127.0.0.1");
    until_served(&appliance, &pebble, "127.0.0.1").await;
    assert!(appliance.log().contains("check=tls-alpn-01"), "{}", appliance.log());
}

#[tokio::test]
async fn people_get_a_page_until_the_authority_reaches_the_appliance_by_http() {
    let pebble = Pebble::start_with(Duration::from_hours(24), Checks::Unreachable).await;
    let mut appliance = start(&pebble, HOST);
    let plain = format!("http://127.0.0.1:{}/a/x", pebble.http_port);
    let person = careless();
    eventually("a failed order", async || {
        appliance.log().contains("no certificate was issued").then_some(())
    })
    .await;
    let secure = format!("https://{HOST}:{}/a/x", pebble.tls_port);
    for url in [&plain, &secure] {
        let page = person.get(url).header("accept", "text/html").send().await.unwrap();
        assert_eq!(page.status(), StatusCode::SERVICE_UNAVAILABLE, "{url}");
        assert_eq!(page.headers()["retry-after"], "5");
        assert!(page.headers().contains_key("x-request-id"));
        let text = page.text().await.unwrap();
        assert!(text.contains("waits for its certificate from 127.0.0.1"), "{text}");
        let json = person.get(url).send().await.unwrap().text().await.unwrap();
        assert!(json.starts_with("\"This site waits"), "{json}");
    }
    let style = plain.replace("/a/x", "/_appliance/style.css");
    assert_eq!(person.get(style).send().await.unwrap().status(), StatusCode::OK);
    let live = secure.replace("/a/x", "/_appliance/live");
    assert_eq!(person.get(live).send().await.unwrap().status(), StatusCode::OK);
    let log = appliance.log();
    for part in ["why=", "urn:ietf:params:acme:error:", "next_try_in="] {
        assert!(log.contains(part), "{part}\n{log}");
    }

    // A crash loop does not order at each start.
    let orders = log.matches("waiting for a certificate").count();
    assert_eq!(appliance.stop().await, 0);
    appliance.restart();
    eventually("the pause of the last run", async || {
        appliance.log().contains("orders failed before this start").then_some(())
    })
    .await;
    assert_eq!(appliance.log().matches("waiting for a certificate").count(), orders);
    assert_eq!(appliance.stop().await, 0);
    std::fs::remove_file(appliance.path("state").join("acme.retry")).unwrap();
    appliance.restart();
    eventually("an order without the file", async || {
        (appliance.log().matches("waiting for a certificate").count() > orders).then_some(())
    })
    .await;
}

#[tokio::test]
async fn http_is_tried_where_tls_is_not_reachable_and_short_certificates_are_renewed() {
    let pebble = Pebble::start_with(Duration::from_secs(30), Checks::HttpOnly).await;
    let appliance = start(&pebble, HOST);
    eventually("a failed check by tls", async || {
        appliance.log().contains("apps.example by tls-alpn-01").then_some(())
    })
    .await;
    // The next try, by http, is about a minute away.
    let slow = std::time::Instant::now();
    while !appliance.log().contains("a new certificate is served") {
        assert!(slow.elapsed() < Duration::from_mins(3), "{}", appliance.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert!(appliance.log().contains("check=http-01"), "{}", appliance.log());
    let served = || appliance.log().matches("a new certificate is served").count();
    while served() < 3 {
        assert!(slow.elapsed() < Duration::from_mins(5), "{}", appliance.log());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_check_by_tls_is_no_connection_for_people() {
    let pebble = Pebble::start(Duration::from_hours(24)).await;
    let appliance = start(&pebble, HOST);
    until_served(&appliance, &pebble, HOST).await;
    let mut roots = rustls::RootCertStore::empty();
    for root in certificates(&pebble.roots().await) {
        roots.add(root).unwrap();
    }
    let mut config =
        rustls::ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"acme-tls/1".to_vec()];
    let connector = tokio_rustls::TlsConnector::from(std::sync::Arc::new(config));
    let socket = tokio::net::TcpStream::connect(("127.0.0.1", pebble.tls_port)).await.unwrap();
    let name = ServerName::try_from(HOST).unwrap();
    assert!(connector.connect(name, socket).await.is_err(), "no check is under way");
}

fn certificates(pem: &str) -> Vec<rustls::pki_types::CertificateDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    rustls::pki_types::CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}
