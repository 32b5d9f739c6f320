//! Logins and sessions with an issuer in the test process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use appliance::auth::{Auth, Authentication, IssuerState, Reply, Session, Visitor};
use appliance::config::{
    Color, Config, Log, LogFormat, Oidc, PublicUrl, SecretSource, Server, Session as Limits,
    SignInProtocol, Users,
};
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::issuer::Issuer;

mod another_person;
mod endpoints;
mod issuer;
mod limits;
mod login;
mod planted;
mod privacy;
mod refresh;
mod reload;
mod restart;
mod sign_out;

/// The login part of an appliance that can be restarted, with its issuer and its folder.
struct Stack {
    issuer: Issuer,
    dir: TempDir,
    config: Config,
    auth: Arc<Auth>,
    running: JoinHandle<()>,
}

impl Stack {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let issuer = Issuer::new().await;
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(&issuer.url, dir.path());
        change(&mut config);
        let (auth, running) = open(&config);
        let stack = Self { issuer, dir, config, auth, running };
        stack.right().await;
        stack
    }

    async fn right(&self) {
        self.state(|state| *state == IssuerState::Right).await;
    }

    async fn state(&self, wanted: impl Fn(&IssuerState) -> bool) {
        let mut issuer = self.auth.issuer();
        let waiting = issuer.wait_for(|state| wanted(state));
        tokio::time::timeout(Duration::from_secs(10), waiting).await.unwrap().unwrap();
    }

    /// Restarts without an orderly stop, as after `kill -9`.
    async fn restart(&mut self) {
        self.running.abort();
        (self.auth, self.running) = open(&self.config);
        self.right().await;
    }

    /// Begins a login. Returns the URL of the callback.
    fn begin(&self, browser: &mut Browser, rd: &str) -> String {
        let reply = self.auth.start(&query(&[("rd", rd)]), &browser.headers());
        let (to, cookies) = redirect(reply);
        browser.take(&cookies);
        self.issuer.approve(&to)
    }

    async fn finish(&self, browser: &mut Browser, callback: &str) -> Reply {
        let query = callback.split_once('?').unwrap().1;
        let reply = self.auth.callback(query, visitor(&browser.headers()), true).await;
        browser.take(cookies(&reply));
        reply
    }

    async fn log_in(&self, browser: &mut Browser, rd: &str) -> String {
        let callback = self.begin(browser, rd);
        redirect(self.finish(browser, &callback).await).0
    }

    async fn signed_in(&self, user: &str) -> Browser {
        self.issuer.order(|orders| user.clone_into(&mut orders.user));
        let mut browser = Browser::default();
        self.log_in(&mut browser, "/").await;
        assert_eq!(self.who(&mut browser).await.as_deref(), Some(user));
        browser
    }

    /// A login that ends with the question whether another person is meant: the path of its button.
    async fn asked(&self, browser: &mut Browser, callback: &str) -> String {
        match self.finish(browser, callback).await {
            Reply::Page { status: StatusCode::OK, action: Some(action), .. } if action.post => {
                action.path
            }
            other => panic!("no question: {other:?}"),
        }
    }

    async fn session(&self, browser: &mut Browser) -> Option<Arc<Session>> {
        match self.auth.authenticate(visitor(&browser.headers())).await {
            Authentication::SignedIn { session, set_cookie } => {
                browser.take(set_cookie.as_slice());
                Some(session)
            }
            Authentication::Anonymous { clear, .. } => {
                browser.take(&clear);
                None
            }
            Authentication::Unavailable => panic!("unavailable"),
        }
    }

    async fn who(&self, browser: &mut Browser) -> Option<String> {
        self.session(browser).await.map(|session| session.person().user.clone())
    }

    async fn sign_out(&self, browser: &mut Browser) -> String {
        let reply = self.auth.sign_out("", &browser.headers()).await;
        browser.take(cookies(&reply));
        redirect(reply).0
    }
}

fn open(config: &Config) -> (Arc<Auth>, JoinHandle<()>) {
    let auth = Auth::open(config, tokio::runtime::Handle::current()).unwrap();
    let running = tokio::spawn(auth.clone().run());
    (auth, running)
}

fn config(issuer: &str, dir: &Path) -> Config {
    std::fs::write(dir.join("secret"), "the client's secret\n").unwrap();
    std::fs::write(dir.join("keys"), key(1)).unwrap();
    Config {
        apps_folder: None,
        path: dir.join("appliance.toml"),
        dir: dir.into(),
        server: Server {
            listen: Vec::new(),
            public_url: PublicUrl { secure: false, host: "localhost".into(), port: 8080 },
            state_dir: dir.join("state"),
            metrics: None,
            users: Users::Same,
            trusted_proxies: Vec::new(),
            proxy_protocol: false,
            max_connections: 10_000,
            max_connections_per_ip: None,
            max_header_bytes: 32 << 10,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            send_timeout: Duration::from_mins(5),
            compression: true,
            rate_limit: None,
            parallel_starts: None,
            shutdown_timeout: Duration::from_secs(8),
            operators: None,
            title: None,
            logo: None,
            color: None,
            contact: None,
            tls: None,
            redirect_http: None,
            http2: true,
            h2c: false,
            hsts: None,
        },
        log: Log {
            format: LogFormat::Text,
            level: "info".into(),
            access: true,
            color: Color::Never,
        },
        oidc: Some(Oidc {
            own_realm: None,
            account_actions: true,
            provider: None,
            protocol: SignInProtocol::OpenIdConnect,
            issuer: issuer.into(),
            served_by: None,
            realm_users: Vec::new(),
            realm: None,
            dial: None,
            client_id: "appliance".into(),
            client_secret: SecretSource::File(dir.join("secret")),
            scopes: vec!["openid".into(), "profile".into(), "email".into()],
            audiences: vec!["appliance".into()],
            user_claim: "preferred_username".into(),
            email_claim: "email".into(),
            groups_claim: "groups".into(),
            groups_prefix: None,
            groups_overage: None,
            groups_only: Vec::new(),
            roles_claim: "realm_access.roles".into(),
            require_verified_email: false,
            clock_skew: Duration::from_secs(30),
            ca_file: None,
            login_params: vec![("ui_locales".into(), "de".into())],
        }),
        session: Limits {
            lifetime: Duration::from_hours(10),
            idle: None,
            cookie: "appliance".into(),
            keys: SecretSource::File(dir.join("keys")),
            recheck: Duration::from_mins(1),
        },
        alerts: None,
        apps: Vec::new(),
        secrets: Vec::new(),
        digest: [0; 32],
    }
}

fn key(byte: u8) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([byte; 32])
}

/// The cookie jar of a browser.
#[derive(Debug, Default, Clone)]
struct Browser(BTreeMap<String, String>);

impl Browser {
    fn take(&mut self, set: &[HeaderValue]) {
        for line in set {
            let line = line.to_str().unwrap();
            let (name, value) = line.split(';').next().unwrap().split_once('=').unwrap();
            if line.contains("Max-Age=0") {
                self.0.remove(name);
            } else {
                self.0.insert(name.into(), value.into());
            }
        }
    }

    fn headers(&self) -> HeaderMap {
        let pairs: Vec<_> = self.0.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut headers = HeaderMap::new();
        if !pairs.is_empty() {
            headers.insert(COOKIE, pairs.join("; ").try_into().unwrap());
        }
        headers.insert(HeaderName::from_static("sec-fetch-mode"), "navigate".parse().unwrap());
        headers
    }

    fn cookie_line(&self) -> String {
        self.headers()[COOKIE].to_str().unwrap().to_owned()
    }

    fn cookie(&self) -> Option<&String> {
        self.0.get("appliance")
    }
}

/// A request from no particular address.
fn visitor(headers: &HeaderMap) -> Visitor<'_> {
    Visitor { method: &http::Method::GET, headers, path: "/", client: None }
}

fn query(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

fn cookies(reply: &Reply) -> &[HeaderValue] {
    match reply {
        Reply::Redirect { cookies, .. }
        | Reply::Page { cookies, .. }
        | Reply::Json { cookies, .. } => cookies,
        Reply::Empty { .. } => &[],
    }
}

fn redirect(reply: Reply) -> (String, Vec<HeaderValue>) {
    match reply {
        Reply::Redirect { location, cookies } => (location, cookies),
        other => panic!("no redirect: {other:?}"),
    }
}

fn status(reply: &Reply) -> StatusCode {
    match reply {
        Reply::Redirect { .. } => StatusCode::FOUND,
        Reply::Page { status, .. } | Reply::Json { status, .. } | Reply::Empty { status, .. } => {
            *status
        }
    }
}

async fn soon(what: &str, mut done: impl AsyncFnMut() -> bool) {
    for _ in 0..400 {
        if done().await {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("not in time: {what}");
}

fn short(config: &mut Config) {
    config.session.recheck = Duration::from_secs(1);
}

async fn short_lived() -> Stack {
    let stack = Stack::with(short).await;
    stack.issuer.order(|orders| orders.ttl = Duration::from_secs(1));
    stack
}

async fn over() {
    tokio::time::sleep(Duration::from_millis(1100)).await;
}
