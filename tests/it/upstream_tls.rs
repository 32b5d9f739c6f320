//! Apps behind `https://` upstreams: who verifies whom, and what a reload changes.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use reqwest::Method;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{HandshakeKind, RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::tungstenite::Message;

use crate::harness::{Answer, Appliance, Browser, FETCH, eventually};
use crate::upstream::Upstream;

const DOCS: &str = include_str!("../../docs/apps.md");

/// A certificate authority.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
}

impl Authority {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        let name = format!("authority {:x}", fastrand::u64(..));
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    /// A certificate for this name and its key, as PEM.
    fn issue(&self, name: &str) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }

    fn write(&self, folder: &Path, file: &str) {
        std::fs::write(folder.join(file), &self.pem).unwrap();
    }

    fn write_certificate(&self, folder: &Path, file: &str, name: &str) {
        let (cert, key) = self.issue(name);
        std::fs::write(folder.join(format!("{file}.pem")), cert).unwrap();
        std::fs::write(folder.join(format!("{file}.key")), key).unwrap();
    }
}

/// An app behind TLS.
struct Secured {
    app: Upstream,
    port: u16,
    resumed: Arc<AtomicUsize>,
    /// The names that clients asked for.
    names: Arc<Mutex<Vec<Option<String>>>>,
}

impl Secured {
    /// With a certificate of the authority for `name`. `clients`: the authority of the certificates that
    /// clients have to show.
    async fn start(authority: &Authority, name: &str, clients: Option<&Authority>) -> Self {
        Self::start_with(authority, name, clients, rustls::ALL_VERSIONS).await
    }

    async fn start_with(
        authority: &Authority,
        name: &str,
        clients: Option<&Authority>,
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let (cert, key) = authority.issue(name);
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)
            .unwrap();
        let builder = match clients {
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(CertificateDer::from_pem_slice(clients.pem.as_bytes()).unwrap()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
                builder.with_client_cert_verifier(verifier.build().unwrap())
            }
            None => builder.with_no_client_auth(),
        };
        let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(chain, key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let this =
            Self { app: Upstream::start(), port, resumed: Arc::default(), names: Arc::default() };
        let (app, resumed) = (this.app.port, Arc::clone(&this.resumed));
        let names = Arc::clone(&this.names);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let (acceptor, resumed) = (acceptor.clone(), Arc::clone(&resumed));
                let names = Arc::clone(&names);
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(socket).await else { return };
                    let session = stream.get_ref().1;
                    names.lock().unwrap().push(session.server_name().map(str::to_owned));
                    if session.handshake_kind() == Some(HandshakeKind::Resumed) {
                        resumed.fetch_add(1, Ordering::SeqCst);
                    }
                    let mut behind = TcpStream::connect(("127.0.0.1", app)).await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut stream, &mut behind).await;
                });
            }
        });
        this
    }

    fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.port)
    }
}

/// A public app with this upstream and these lines.
fn app(name: &str, secured: &Secured, lines: &str) -> String {
    let upstream = secured.url();
    format!(
        "[apps.{name}]\nupstream = \"{upstream}\"\npath = \"/{name}\"\naccess = \"public\"\n{lines}\n"
    )
}

async fn start(prepare: impl FnOnce(&Path), apps: &str) -> (Appliance, Browser) {
    let appliance = Appliance::start_in(prepare, apps);
    appliance.wait_ready().await;
    let browser = Browser::new(&appliance.url);
    (appliance, browser)
}

async fn ask(browser: &Browser, path: &str) -> Answer {
    browser.send(Method::GET, path, FETCH).await.unwrap()
}

/// The app is answered 502, and the log names it, its address and this reason.
async fn refused(appliance: &Appliance, browser: &Browser, app: &str, at: &Secured, why: &str) {
    let answer = ask(browser, &format!("/{app}/x")).await;
    assert_eq!(answer.status, 502, "{app}: {answer:?}");
    assert!(!answer.body.contains("certificate"), "clients learn nothing of it: {answer:?}");
    let line = eventually(&format!("a line about {app}"), async || {
        let (log, subject) = (appliance.log(), format!("app={app} "));
        let mut lines = log.lines().filter(|line| line.contains(" WARN "));
        lines.find(|line| line.contains(&subject)).map(str::to_owned)
    })
    .await;
    assert!(line.contains(why) && line.contains(&at.url()), "{line}");
}

#[tokio::test]
async fn an_app_is_verified_by_its_authority_and_name() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let here = Secured::start(&ours, "127.0.0.1", None).await;
    let named = Secured::start(&ours, "wiki.internal", None).await;
    let apps = [
        app("right", &here, "ca_file = \"ours.pem\""),
        app("wrong", &here, "ca_file = \"theirs.pem\""),
        app("system", &here, ""),
        app("named", &named, "ca_file = \"ours.pem\"\nserver_name = \"wiki.internal\""),
        app("unnamed", &named, "ca_file = \"ours.pem\""),
        app("misnamed", &named, "ca_file = \"ours.pem\"\nserver_name = \"other.internal\""),
    ];
    let prepare = |folder: &Path| {
        ours.write(folder, "ours.pem");
        theirs.write(folder, "theirs.pem");
    };
    let (appliance, browser) = start(prepare, &apps.concat()).await;
    for app in ["right", "named"] {
        let answer = ask(&browser, &format!("/{app}/x")).await;
        assert_eq!(answer.status, 200, "{answer:?}\n{}", appliance.log());
    }
    assert_eq!(named.names.lock().unwrap().as_slice(), [Some("wiki.internal".to_owned())]);
    refused(&appliance, &browser, "wrong", &here, "ca_file").await;
    refused(&appliance, &browser, "unnamed", &named, "server_name").await;
    refused(&appliance, &browser, "misnamed", &named, "server_name").await;
    refused(&appliance, &browser, "system", &here, "ca_file").await;
    assert_eq!(here.app.seen().len(), 1, "nothing was sent to an app that is not verified");
    assert_eq!(named.app.seen().len(), 1);
}

#[tokio::test]
async fn an_app_can_ask_for_a_certificate_of_the_appliance() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let newest = Secured::start(&ours, "127.0.0.1", Some(&ours)).await;
    let version = [&rustls::version::TLS12];
    let older = Secured::start_with(&ours, "127.0.0.1", Some(&ours), &version).await;
    let mut apps = String::new();
    for (version, secured) in [("newest", &newest), ("older", &older)] {
        let with = |file: &str| {
            format!(
                "ca_file = \"ca.pem\"\nclient_cert = \"{file}.pem\"\nclient_key = \"{file}.key\""
            )
        };
        let probe = "\nready = { http = \"/x\", interval = \"100ms\" }";
        apps += &app(&format!("{version}-shown"), secured, &(with("right") + probe));
        apps += &app(&format!("{version}-wrong"), secured, &with("wrong"));
        apps += &app(&format!("{version}-none"), secured, "ca_file = \"ca.pem\"");
    }
    let prepare = |folder: &Path| {
        ours.write(folder, "ca.pem");
        ours.write_certificate(folder, "right", "appliance");
        theirs.write_certificate(folder, "wrong", "appliance");
    };
    let (appliance, browser) = start(prepare, &apps).await;
    for (version, secured) in [("newest", &newest), ("older", &older)] {
        let shown = format!("{version}-shown");
        // The probe shows the certificate, too.
        appliance.wait_for_state(&shown, "ready").await;
        let answer = ask(&browser, &format!("/{shown}/x")).await;
        assert_eq!(answer.status, 200, "{answer:?}\n{}", appliance.log());
        for case in ["wrong", "none"] {
            let app = format!("{version}-{case}");
            refused(&appliance, &browser, &app, secured, "client_cert").await;
        }
    }
}

#[tokio::test]
async fn a_websocket_and_later_handshakes_go_over_tls() {
    let ours = Authority::new();
    let here = Secured::start(&ours, "127.0.0.1", None).await;
    let apps = app("a", &here, "ca_file = \"ca.pem\"");
    let (appliance, browser) = start(|folder| ours.write(folder, "ca.pem"), &apps).await;
    let url = format!("ws://localhost:{}/a/ws", appliance.port);
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
    eventually("a handshake that is resumed", async || {
        // A request with a body that its method does not need has a connection of its own.
        let request = reqwest::Client::builder().no_proxy().build().unwrap();
        let request = request.delete(format!("{}/a/x", appliance.url)).body("x");
        assert_eq!(request.send().await.unwrap().status(), 200);
        (here.resumed.load(Ordering::SeqCst) > 0).then_some(())
    })
    .await;
    assert_eq!(ask(&browser, "/a/x").await.status, 200);
}

#[tokio::test]
async fn a_reload_reads_the_files_again() {
    let (ours, theirs) = (Authority::new(), Authority::new());
    let here = Secured::start(&ours, "127.0.0.1", None).await;
    let apps = app("a", &here, "ca_file = \"ca.pem\"\nready = { tcp = true }");
    let (appliance, browser) = start(|folder| ours.write(folder, "ca.pem"), &apps).await;
    let reload = |expected: &str| {
        let answer = appliance.cli(&["reload"]);
        let said = String::from_utf8_lossy(&[answer.stdout, answer.stderr].concat()).into_owned();
        assert!(said.contains(expected), "{said}\n{}", appliance.log());
    };
    let url = format!("ws://localhost:{}/a/ws", appliance.port);
    let (mut socket, _) = tokio_tungstenite::connect_async(&url).await.unwrap();
    assert_eq!(ask(&browser, "/a/x").await.status, 200);
    reload("nothing has changed");
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));

    // The connection of the last request is idle. Nothing is sent over it any more.
    assert_eq!(ask(&browser, "/a/x").await.status, 200);
    theirs.write(appliance.folder.path(), "ca.pem");
    reload("update a: ca_file");
    refused(&appliance, &browser, "a", &here, "ca_file").await;
    let end = eventually("the end of the tunnel", async || socket.next().await).await;
    assert!(end.unwrap().is_close(), "its app is no longer verified");

    std::fs::write(appliance.path("ca.pem"), "no certificate").unwrap();
    reload("ca.pem has no certificate");
    refused(&appliance, &browser, "a", &here, "ca_file").await;

    ours.write(appliance.folder.path(), "ca.pem");
    reload("update a: ca_file");
    assert_eq!(ask(&browser, "/a/x").await.status, 200);
}

#[tokio::test]
async fn files_that_cannot_be_used_are_named() {
    let ours = Authority::new();
    let here = Secured::start(&ours, "127.0.0.1", None).await;
    let pair = "client_cert = \"a.pem\"\nclient_key = \"b.key\"";
    let prepare = |folder: &Path| {
        ours.write_certificate(folder, "a", "appliance");
        ours.write_certificate(folder, "b", "appliance");
    };
    for (lines, place, why) in [
        ("ca_file = \"missing.pem\"", "ca_file", "missing.pem cannot be read"),
        ("ca_file = \"a.key\"", "ca_file", "has no certificate"),
        (pair, "client_key", "does not belong to the certificate"),
    ] {
        let mut appliance = Appliance::start_in(prepare, &app("a", &here, lines));
        assert_eq!(appliance.end().await, 78);
        let checked = String::from_utf8(appliance.cli(&["check"]).stderr).unwrap();
        for text in [appliance.log(), checked] {
            assert!(text.contains(why) && text.contains(&format!("| {place} =")), "{text}");
        }
    }
}

/// The example of the documentation.
#[tokio::test]
async fn the_example_of_the_documentation_works() {
    let ours = Authority::new();
    let here = Secured::start(&ours, "wiki.internal", Some(&ours)).await;
    let example = DOCS.split("```toml\n").find(|text| text.contains("client_cert")).unwrap();
    let example = example.split("```").next().unwrap();
    let config = example.replace("https://10.0.0.7:8443", &here.url());
    assert_ne!(config, example);
    let prepare = |folder: &Path| {
        ours.write(folder, "ca.pem");
        ours.write_certificate(folder, "client", "appliance");
    };
    let (appliance, browser) = start(prepare, &format!("{config}\naccess = \"public\"\n")).await;
    appliance.wait_for_state("wiki", "ready").await;
    let answer = ask(&browser, "/wiki/x").await;
    assert_eq!(answer.status, 200, "{answer:?}\n{}", appliance.log());
}
