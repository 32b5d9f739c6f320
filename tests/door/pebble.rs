//! Pebble, the test authority of Let's Encrypt, with a name server that leads every host to this machine.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};

use crate::harness::{eventually, free_port};
use crate::tool;

/// Which addresses of the appliance the authority reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Checks {
    All,
    HttpOnly,
    Unreachable,
}

/// A running authority. Its drop ends the programs.
pub struct Pebble {
    folder: tempfile::TempDir,
    ca: String,
    port: u16,
    management: u16,
    /// Of the name server.
    control: String,
    /// Where the appliance listens.
    pub tls_port: u16,
    /// Where the appliance redirects.
    pub http_port: u16,
    programs: Vec<Child>,
}

impl Pebble {
    /// Issues certificates that are valid for this long.
    pub async fn start(life: Duration) -> Self {
        Self::start_with(life, Checks::All).await
    }

    pub async fn start_with(life: Duration, checks: Checks) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        let key = KeyPair::generate().unwrap();
        let cert =
            CertificateParams::new(["127.0.0.1".to_owned()]).unwrap().self_signed(&key).unwrap();
        std::fs::write(at("cert.pem"), cert.pem()).unwrap();
        std::fs::write(at("key.pem"), key.serialize_pem()).unwrap();
        let [port, management, names, control, tls_port, http_port] = [(); 6].map(|()| free_port());
        let closed = free_port();
        let config = serde_json::json!({ "pebble": {
            "listenAddress": format!("127.0.0.1:{port}"),
            "managementListenAddress": format!("127.0.0.1:{management}"),
            "certificate": at("cert.pem"),
            "privateKey": at("key.pem"),
            "httpPort": if checks == Checks::Unreachable { closed } else { http_port },
            "tlsPort": if checks == Checks::All { tls_port } else { closed },
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "retryAfter": { "authz": 1, "order": 1 },
            "keyAlgorithm": "ecdsa",
            "profiles": { "default": { "description": "", "validityPeriod": life.as_secs() } },
        }});
        std::fs::write(at("config.json"), config.to_string()).unwrap();
        let run = |name: &str, arguments: &[&str]| {
            let mut command = Command::new(tool(&format!("bin/{name}")));
            command.args(arguments).env("PEBBLE_VA_NOSLEEP", "1").current_dir(folder.path());
            let log = std::fs::File::create(at(&format!("{name}.log"))).unwrap();
            command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
            command.spawn().unwrap()
        };
        let (names, control) = (format!("127.0.0.1:{names}"), format!("127.0.0.1:{control}"));
        let programs = vec![
            run(
                "pebble-challtestsrv",
                &[
                    "-dnsserver",
                    &names,
                    "-management",
                    &control,
                    "-http01",
                    "",
                    "-https01",
                    "",
                    "-tlsalpn01",
                    "",
                    "-doh",
                    "",
                    "-defaultIPv6",
                    "",
                ],
            ),
            run("pebble", &["-config", &at("config.json"), "-dnsserver", &names]),
        ];
        let pebble = Self {
            ca: cert.pem(),
            folder,
            port,
            management,
            control,
            tls_port,
            http_port,
            programs,
        };
        eventually("the authority", async || pebble.root(0).await).await;
        pebble
    }

    pub fn directory(&self) -> String {
        format!("https://127.0.0.1:{}/dir", self.port)
    }

    /// The certificate of its own address.
    pub fn ca_pem(&self) -> &str {
        &self.ca
    }

    /// The roots of the certificates that it issues.
    pub async fn roots(&self) -> String {
        self.root(0).await.unwrap()
    }

    /// Whether the name server knows a host. At the start it knows all.
    pub async fn know(&self, host: &str, is_known: bool) {
        let order = if is_known { "clear" } else { "set" };
        let url = format!("http://{}/{order}-servfail", self.control);
        let body = serde_json::json!({ "host": host }).to_string();
        eventually("the name server", async || {
            let answer = reqwest::Client::new().post(&url).body(body.clone()).send().await.ok()?;
            answer.error_for_status().ok()
        })
        .await;
    }

    async fn root(&self, number: u8) -> Option<String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let own = reqwest::Certificate::from_pem(self.ca.as_bytes()).unwrap();
        let client = reqwest::Client::builder().tls_certs_only([own]).build().unwrap();
        let url = format!("https://127.0.0.1:{}/roots/{number}", self.management);
        client.get(url).send().await.ok()?.error_for_status().ok()?.text().await.ok()
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for program in &mut self.programs {
            let _ = program.kill();
            let _ = program.wait();
        }
        if std::thread::panicking() {
            for name in ["pebble", "pebble-challtestsrv"] {
                let log = std::fs::read_to_string(self.folder.path().join(format!("{name}.log")));
                eprintln!("{name}: {}", log.unwrap_or_default());
            }
        }
    }
}
