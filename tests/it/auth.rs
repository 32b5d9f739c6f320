//! Logins and sessions against an issuer in this process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use appliance::auth::{Auth, Authentication, IssuerState, Reply, Session, SessionState};
use appliance::config::{
    Color, Config, Log, LogFormat, Oidc, PublicUrl, SecretSource, Server, Session as Limits,
};
use http::header::COOKIE;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::issuer::{Call, Fault, Issuer};

/// An issuer, a folder, and the auth of an appliance that can be restarted.
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

    /// As after `kill -9`.
    async fn restart(&mut self) {
        self.running.abort();
        (self.auth, self.running) = open(&self.config);
        self.right().await;
    }

    /// A login up to the issuer's answer.
    fn begin(&self, browser: &mut Browser, rd: &str) -> String {
        let reply = self.auth.start(&query(&[("rd", rd)]), &browser.headers());
        let (to, cookies) = redirect(reply);
        browser.take(&cookies);
        self.issuer.approve(&to)
    }

    async fn finish(&self, browser: &mut Browser, callback: &str) -> Reply {
        let query = callback.split_once('?').unwrap().1;
        let reply = self.auth.callback(query, &browser.headers()).await;
        browser.take(cookies(&reply));
        reply
    }

    async fn log_in(&self, browser: &mut Browser, rd: &str) -> String {
        let callback = self.begin(browser, rd);
        redirect(self.finish(browser, &callback).await).0
    }

    async fn signed_in(&self, user: &str) -> Browser {
        self.issuer.order(|orders| orders.user = user.to_owned());
        let mut browser = Browser::default();
        self.log_in(&mut browser, "/").await;
        assert_eq!(self.who(&mut browser).await.as_deref(), Some(user));
        browser
    }

    async fn session(&self, browser: &mut Browser) -> Option<Arc<Session>> {
        match self.auth.authenticate(&browser.headers()).await {
            Authentication::SignedIn { session, set_cookie } => {
                browser.take(set_cookie.as_slice());
                Some(session)
            }
            Authentication::Anonymous { clear } => {
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
        path: dir.join("appliance.toml"),
        dir: dir.into(),
        server: Server {
            listen: Vec::new(),
            public_url: PublicUrl { secure: false, host: "localhost".into(), port: 8080 },
            state_dir: dir.join("state"),
            trusted_proxies: Vec::new(),
            max_header_bytes: 32 << 10,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(30),
            shutdown_timeout: Duration::from_secs(8),
            operators: None,
            title: None,
            logo: None,
            contact: None,
        },
        log: Log {
            format: LogFormat::Text,
            level: "info".into(),
            access: true,
            color: Color::Never,
        },
        oidc: Some(Oidc {
            issuer: issuer.into(),
            served_by: None,
            realm_users: Vec::new(),
            dial: None,
            client_id: "appliance".into(),
            client_secret: SecretSource::File(dir.join("secret")),
            scopes: vec!["openid".into(), "profile".into(), "email".into()],
            user_claim: "preferred_username".into(),
            email_claim: "email".into(),
            groups_claim: "groups".into(),
            roles_claim: "realm_access.roles".into(),
            require_verified_email: false,
            clock_skew: Duration::from_secs(30),
            ca_file: None,
            login_params: vec![("ui_locales".into(), "de".into())],
        }),
        session: Limits {
            lifetime: Duration::from_secs(36_000),
            idle: None,
            cookie: "appliance".into(),
            keys: SecretSource::File(dir.join("keys")),
            recheck: Duration::from_secs(60),
        },
        apps: Vec::new(),
    }
}

fn key(byte: u8) -> String {
    use base64::Engine as _;
    base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([byte; 32])
}

/// A browser's jar.
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

    fn cookie(&self) -> Option<&String> {
        self.0.get("appliance")
    }
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

#[tokio::test]
async fn a_login_ends_where_it_began() {
    let stack = Stack::new().await;
    let mut browser = Browser::default();
    let deep = "/app/p%20q?next=https://x//y&n=%C3%BC";
    assert_eq!(stack.log_in(&mut browser, deep).await, deep);
    let session = stack.session(&mut browser).await.unwrap();
    let person = session.person();
    assert_eq!(person.user, "alice");
    assert_eq!(person.groups, ["staff", "group1", "group2"]);
    assert_eq!(person.headers.groups.as_ref().unwrap(), "staff,group1,group2");
    assert!(session.access_token().is_some());
    assert_eq!(stack.issuer.count(Call::Code), 1);
    assert_eq!(browser.0.len(), 1, "the attempt's cookie is gone");
    assert!(browser.cookie().unwrap().len() < 2048);
}

#[tokio::test]
async fn the_authorization_request_is_complete() {
    let stack = Stack::new().await;
    let (to, _) = redirect(stack.auth.start("rd=/", &HeaderMap::new()));
    let url = url::Url::parse(&to).unwrap();
    let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(query["redirect_uri"], "http://localhost:8080/oauth2/callback");
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["scope"], "openid profile email");
    assert_eq!(query["code_challenge_method"], "S256");
    assert_eq!(query["client_id"], "appliance");
    assert_eq!(query["ui_locales"], "de");
    assert!(query["nonce"].len() >= 22 && query["state"].len() >= 22);
}

#[tokio::test]
async fn two_tabs_both_succeed_and_sign_out_together() {
    let stack = Stack::new().await;
    let mut browser = Browser::default();
    let one = stack.begin(&mut browser, "/one");
    let two = stack.begin(&mut browser, "/two");
    assert_eq!(redirect(stack.finish(&mut browser, &two).await).0, "/two");
    assert_eq!(redirect(stack.finish(&mut browser, &one).await).0, "/one");
    assert!(stack.who(&mut browser).await.is_some());
}

#[tokio::test]
async fn a_callback_belongs_to_its_browser_and_is_redeemed_once() {
    let stack = Stack::new().await;
    let (mut mine, mut other) = (Browser::default(), Browser::default());
    let callback = stack.begin(&mut mine, "/app");
    stack.begin(&mut other, "/");
    let reply = stack.finish(&mut other, &callback).await;
    assert_eq!(status(&reply), StatusCode::BAD_REQUEST);
    assert_eq!(stack.issuer.count(Call::Code), 0);
    let before = mine.clone();
    assert_eq!(redirect(stack.finish(&mut mine, &callback).await).0, "/app");
    // Back button, with and without the attempt's cookie.
    assert_eq!(redirect(stack.finish(&mut mine, &callback).await).0, "/app");
    let mut again = before.clone();
    again.0.extend(mine.0.clone());
    assert_eq!(redirect(stack.finish(&mut again, &callback).await).0, "/app");
    // The attempt alone begins anew.
    let (to, _) = redirect(stack.finish(&mut before.clone(), &callback).await);
    assert_eq!(to, "/oauth2/start?rd=%2Fapp");
    assert_eq!(stack.issuer.count(Call::Code), 1);
    assert!(stack.who(&mut mine).await.is_some());
}

#[tokio::test]
async fn a_doubled_callback_waits_for_the_first() {
    let stack = Stack::new().await;
    let mut browser = Browser::default();
    let callback = stack.begin(&mut browser, "/app");
    let hold = stack.issuer.hold(Call::Code);
    let (mut one, mut two) = (browser.clone(), browser);
    let (first, second) = tokio::join!(stack.finish(&mut one, &callback), async {
        hold.arrived.notified().await;
        let second = stack.finish(&mut two, &callback);
        tokio::pin!(second);
        let early = tokio::time::timeout(Duration::from_millis(50), &mut second).await;
        assert!(early.is_err());
        stack.issuer.release(Call::Code);
        second.await
    });
    assert_eq!((redirect(first).0, redirect(second).0), ("/app".into(), "/app".into()));
    assert_eq!(one.cookie(), two.cookie());
    assert_eq!(stack.issuer.count(Call::Code), 1);
}

#[tokio::test]
async fn bad_callbacks_redeem_nothing() {
    let stack = Stack::new().await;
    let edits: [(&str, fn(String) -> String); 8] = [
        ("no state", |url| url.replace("state=", "stat=")),
        ("wrong state", |url| url.replace("state=", "state=x")),
        ("two states", |url| url + "&state=x"),
        ("two codes", |url| url + "&code=x"),
        ("no code", |url| url.replace("code=", "cod=")),
        ("empty code", |url| url.replace("code=", "code=&x=")),
        ("no iss", |url| url.replace("iss=", "is=")),
        ("foreign iss", |url| url.replace("iss=http", "iss=https")),
    ];
    for (what, edit) in edits {
        let mut browser = Browser::default();
        let callback = edit(stack.begin(&mut browser, "/"));
        let reply = stack.finish(&mut browser, &callback).await;
        assert_eq!(status(&reply), StatusCode::BAD_REQUEST, "{what}");
        assert!(browser.cookie().is_none());
    }
    assert_eq!(stack.issuer.count(Call::Code), 0);
}

#[tokio::test]
async fn id_tokens_that_lie_are_refused() {
    let stack = Stack::new().await;
    let later = 4_000_000_000_u64;
    for claims in [
        json!({"iss": "https://evil.example"}),
        json!({"iss": format!("{}/", stack.issuer.url)}),
        json!({"iss": null}),
        json!({"aud": "other"}),
        json!({"aud": ["appliance", "other"], "azp": null}),
        json!({"aud": ["appliance", "other"], "azp": "other"}),
        json!({"azp": "other"}),
        json!({"nonce": "other"}),
        json!({"nonce": null}),
        json!({"exp": 1}),
        json!({"exp": -1}),
        json!({"exp": "soon"}),
        json!({"exp": null}),
        json!({"iat": null}),
        json!({"iat": later}),
        json!({"nbf": later}),
        json!({"sub": null}),
        json!({"sub": ""}),
    ] {
        stack.issuer.order(|orders| orders.id_claims = claims.clone());
        let mut browser = Browser::default();
        let callback = stack.begin(&mut browser, "/");
        let reply = stack.finish(&mut browser, &callback).await;
        let refused = matches!(status(&reply).as_u16(), 400 | 502);
        assert!(refused && browser.cookie().is_none(), "{claims}: {reply:?}");
    }
    stack.issuer.order(|orders| {
        orders.id_claims = json!({"aud": ["appliance", "other"]});
    });
    stack.signed_in("alice").await;
    stack.issuer.order(|orders| orders.forge = true);
    let mut browser = Browser::default();
    let callback = stack.begin(&mut browser, "/");
    let reply = stack.finish(&mut browser, &callback).await;
    assert_eq!(status(&reply), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_declined_login_says_so_and_one_that_ran_out_begins_again_once() {
    let stack = Stack::new().await;
    let declined = |callback: &str, error: &[(&str, &str)]| {
        let state = callback.split("state=").nth(1).unwrap().split('&').next().unwrap();
        format!("x?state={state}&{}", query(error))
    };
    let mut browser = Browser::default();
    let callback = stack.begin(&mut browser, "/app");
    let url = declined(&callback, &[("error", "access_denied")]);
    assert_eq!(status(&stack.finish(&mut browser, &url).await), StatusCode::FORBIDDEN);
    let ran_out =
        [("error", "temporarily_unavailable"), ("error_description", "authentication_expired")];
    let callback = stack.begin(&mut browser, "/app");
    let (to, _) = redirect(stack.finish(&mut browser, &declined(&callback, &ran_out)).await);
    assert!(to.starts_with(&stack.issuer.url));
    let callback = stack.issuer.approve(&to);
    let mut other = browser.clone();
    let reply = stack.finish(&mut other, &declined(&callback, &ran_out)).await;
    assert_eq!(status(&reply), StatusCode::BAD_REQUEST, "no loop");
    assert_eq!(redirect(stack.finish(&mut browser, &callback).await).0, "/app");
    assert_eq!(stack.issuer.count(Call::Code), 1);
}

#[tokio::test]
async fn a_token_endpoint_in_trouble_signs_nobody_in() {
    let stack = Stack::new().await;
    for (fault, want) in [
        (Fault::Error("invalid_grant"), 400),
        (Fault::Error("invalid_client"), 502),
        (Fault::Status(500), 503),
        (Fault::Body("<html>"), 502),
        (Fault::Body("[]"), 502),
    ] {
        stack.issuer.fault(Call::Code, fault.clone(), 1);
        let mut browser = Browser::default();
        let callback = stack.begin(&mut browser, "/app");
        let reply = stack.finish(&mut browser, &callback).await;
        assert_eq!(status(&reply), want, "{fault:?}");
        assert!(browser.cookie().is_none());
        stack.right().await;
        if want == 503 {
            let (to, _) = redirect(stack.finish(&mut browser, &callback).await);
            assert_eq!(to, "/oauth2/start?rd=%2Fapp", "the page that comes back begins anew");
        }
    }
    stack.signed_in("alice").await;
}

#[tokio::test]
async fn an_unverified_address_stays_out_where_that_is_asked() {
    let stack = Stack::with(|config| {
        config.oidc.as_mut().unwrap().require_verified_email = true;
    })
    .await;
    stack.signed_in("alice").await;
    stack.issuer.order(|orders| orders.user = "carol".into());
    let mut browser = Browser::default();
    let callback = stack.begin(&mut browser, "/");
    let reply = stack.finish(&mut browser, &callback).await;
    assert_eq!(status(&reply), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_login_over_a_planted_session_makes_a_new_one() {
    let stack = Stack::new().await;
    let attacker = stack.signed_in("bob").await;
    let mut victim = attacker.clone();
    stack.issuer.order(|orders| orders.user = "alice".into());
    stack.log_in(&mut victim, "/").await;
    assert_ne!(victim.cookie(), attacker.cookie());
    assert_eq!(stack.who(&mut victim).await.as_deref(), Some("alice"));
    assert_ne!(stack.who(&mut attacker.clone()).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn two_sessions_in_one_request_are_nobody() {
    let stack = Stack::new().await;
    let (alice, bob) = (stack.signed_in("alice").await, stack.signed_in("bob").await);
    let line = |values: &[&str]| {
        let pairs: Vec<_> = values.iter().map(|value| format!("appliance={value}")).collect();
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, pairs.join("; ").try_into().unwrap());
        headers
    };
    let (a, b) = (alice.cookie().unwrap(), bob.cookie().unwrap());
    for (values, user) in [
        (vec![a.as_str(), "twice"], Some("alice")),
        (vec!["rubbish", a], Some("alice")),
        (vec![a, a], Some("alice")),
        (vec![a, b], None),
        (vec![b, a], None),
    ] {
        let found = match stack.auth.authenticate(&line(&values)).await {
            Authentication::SignedIn { session, .. } => Some(session.person().user.clone()),
            _ => None,
        };
        assert_eq!(found.as_deref(), user);
    }
}

#[tokio::test]
async fn a_session_that_is_signed_out_is_dead_everywhere() {
    let stack = Stack::new().await;
    let mut browser = stack.signed_in("alice").await;
    let old = browser.clone();
    let session = stack.session(&mut browser).await.unwrap();
    let (_guard, mut changes) = session.tunnel();
    let to = stack.sign_out(&mut browser).await;
    let url = url::Url::parse(&to).unwrap();
    let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert!(to.starts_with(&format!("{}/logout?", stack.issuer.url)));
    assert_eq!(query["post_logout_redirect_uri"], "http://localhost:8080/");
    assert_eq!(query["id_token_hint"].split('.').count(), 3);
    assert!(browser.cookie().is_none());
    changes.changed().await.unwrap();
    assert!(matches!(*changes.borrow(), SessionState::Ended));
    assert_eq!(stack.who(&mut old.clone()).await, None);
    soon("the issuer's session is revoked", async || stack.issuer.count(Call::Revoke) == 1).await;
}

#[tokio::test]
async fn a_long_hint_is_left_out_and_the_session_is_over_before() {
    let stack = Stack::new().await;
    stack.issuer.order(|orders| {
        let groups: Vec<_> = (0..250).map(|n| format!("/department/group-{n:04}")).collect();
        orders.people.get_mut("alice").unwrap()["groups"] = json!(groups);
    });
    let mut browser = stack.signed_in("alice").await;
    assert!(browser.cookie().unwrap().len() < 2048);
    let to = stack.sign_out(&mut browser).await;
    assert!(!to.contains("id_token_hint") && to.contains("client_id=appliance"), "{to}");
    assert_eq!(stack.issuer.count(Call::Revoke), 1);
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

#[tokio::test]
async fn twenty_requests_on_an_expired_token_are_one_refresh() {
    let stack = short_lived().await;
    stack.issuer.order(|orders| orders.rotate = true);
    let browser = stack.signed_in("alice").await;
    stack.issuer.order(|orders| orders.ttl = Duration::from_secs(300));
    over().await;
    let requests = (0..20).map(|_| async {
        let mut browser = browser.clone();
        (stack.who(&mut browser).await, browser)
    });
    for (who, mut browser) in futures_util::future::join_all(requests).await {
        assert_eq!(who.as_deref(), Some("alice"));
        assert_eq!(stack.who(&mut browser).await.as_deref(), Some("alice"));
    }
    // The old cookie still counts, and is answered with the new one.
    let mut late = browser.clone();
    assert!(stack.who(&mut late).await.is_some());
    assert_ne!(late.cookie(), browser.cookie());
    assert_eq!((stack.issuer.count(Call::Refresh), stack.issuer.reused()), (1, 0));
}

#[tokio::test]
async fn a_refresh_ends_though_the_browser_leaves() {
    let stack = short_lived().await;
    stack.issuer.order(|orders| orders.rotate = true);
    let mut browser = stack.signed_in("alice").await;
    stack.issuer.order(|orders| orders.ttl = Duration::from_secs(300));
    over().await;
    let hold = stack.issuer.hold(Call::Refresh);
    let request = browser.headers();
    tokio::select! {
        _ = stack.auth.authenticate(&request) => panic!("it was held"),
        () = hold.arrived.notified() => {}
    }
    stack.issuer.release(Call::Refresh);
    for _ in 0..2 {
        assert_eq!(stack.who(&mut browser).await.as_deref(), Some("alice"));
    }
    assert_eq!((stack.issuer.count(Call::Refresh), stack.issuer.reused()), (1, 0));
}

#[tokio::test]
async fn the_issuers_no_ends_a_session_and_an_outage_keeps_it() {
    let mut stack = short_lived().await;
    let mut browser = stack.signed_in("alice").await;
    let old = browser.clone();
    over().await;
    stack.issuer.stop().await;
    assert!(stack.who(&mut browser).await.is_some());
    stack.state(|state| matches!(state, IssuerState::Down(_))).await;
    assert!(stack.who(&mut browser).await.is_some());
    stack.issuer.start().await;
    stack.right().await;
    stack.issuer.fault(Call::Refresh, Fault::Status(503), 1);
    assert!(stack.who(&mut browser).await.is_some());
    stack.issuer.revoke("alice");
    soon("the session ends", async || stack.who(&mut browser.clone()).await.is_none()).await;
    let asked = stack.issuer.count(Call::Refresh);
    assert_eq!(stack.who(&mut old.clone()).await, None);
    assert_eq!(stack.issuer.count(Call::Refresh), asked, "a dead session asks nobody");
}

#[tokio::test]
async fn a_refresh_brings_groups_and_never_another_person() {
    let stack = short_lived().await;
    let mut browser = stack.signed_in("bob").await;
    let session = stack.session(&mut browser).await.unwrap();
    let (_guard, mut changes) = session.tunnel();
    stack.issuer.order(|orders| {
        orders.people.get_mut("bob").unwrap()["groups"] = json!(["group2"]);
    });
    // The tunnel alone makes it refresh.
    changes.changed().await.unwrap();
    let state = changes.borrow_and_update().clone();
    assert!(matches!(state, SessionState::Live(person) if person.groups == ["group2"]));
    stack.issuer.order(|orders| {
        orders.id_claims = json!({"sub": "sub-alice", "preferred_username": "alice"});
    });
    changes.changed().await.unwrap();
    assert!(matches!(*changes.borrow(), SessionState::Ended));
    assert_eq!(stack.who(&mut browser).await, None);
}

#[tokio::test]
async fn a_refresh_without_an_id_token_keeps_the_person() {
    let stack = short_lived().await;
    stack.issuer.order(|orders| orders.id_on_refresh = false);
    let mut browser = stack.signed_in("alice").await;
    over().await;
    let session = stack.session(&mut browser).await.unwrap();
    assert_eq!(session.person().groups, ["staff", "group1", "group2"]);
    assert!(stack.issuer.count(Call::Refresh) >= 1);
}

#[tokio::test]
async fn a_sign_out_during_a_refresh_wins() {
    let stack = short_lived().await;
    let mut browser = stack.signed_in("alice").await;
    let old = browser.clone();
    over().await;
    let hold = stack.issuer.hold(Call::Refresh);
    let (mut late, ()) = tokio::join!(
        async {
            let mut late = old.clone();
            assert_eq!(stack.who(&mut late).await, None);
            late
        },
        async {
            hold.arrived.notified().await;
            stack.sign_out(&mut browser).await;
            stack.issuer.release(Call::Refresh);
        }
    );
    assert_eq!(stack.who(&mut late).await, None);
    assert_eq!(stack.who(&mut old.clone()).await, None);
}

#[tokio::test]
async fn a_session_survives_a_restart_by_one_refresh() {
    let mut stack = Stack::new().await;
    stack.issuer.order(|orders| orders.rotate = true);
    let browser = stack.signed_in("alice").await;
    stack.restart().await;
    let requests = (0..20).map(|_| async { stack.who(&mut browser.clone()).await });
    for who in futures_util::future::join_all(requests).await {
        assert_eq!(who.as_deref(), Some("alice"));
    }
    assert_eq!((stack.issuer.count(Call::Refresh), stack.issuer.reused()), (1, 0));
    assert_eq!(stack.issuer.count(Call::Code), 1);
    // Nobody took the new cookie: the ledger has what came of it.
    stack.restart().await;
    let mut old = browser.clone();
    assert_eq!(stack.who(&mut old).await.as_deref(), Some("alice"));
    assert_eq!(stack.issuer.reused(), 0);
    // Taken and shown, it is all that is needed.
    assert!(stack.who(&mut old).await.is_some());
    let kept = stack.dir.path().join("state/sessions");
    soon("the ledger forgets", async || std::fs::read_dir(&kept).unwrap().count() == 1).await;
    stack.restart().await;
    assert!(stack.who(&mut old).await.is_some());
    assert_eq!(stack.issuer.reused(), 0);
}

#[tokio::test]
async fn ended_sessions_stay_ended_over_a_restart() {
    let mut stack = Stack::new().await;
    let mut browser = stack.signed_in("alice").await;
    let revoked = stack.signed_in("bob").await;
    let old = browser.clone();
    stack.sign_out(&mut browser).await;
    stack.restart().await;
    stack.issuer.revoke("bob");
    assert_eq!(stack.who(&mut old.clone()).await, None);
    assert_eq!(stack.issuer.count(Call::Refresh), 0);
    for _ in 0..3 {
        assert_eq!(stack.who(&mut revoked.clone()).await, None);
    }
    assert_eq!(stack.issuer.count(Call::Refresh), 1);
}

#[tokio::test]
async fn an_issuer_in_trouble_leaves_the_cookie_of_a_sleeping_session() {
    let mut stack = Stack::new().await;
    let mut browser = stack.signed_in("alice").await;
    stack.restart().await;
    stack.issuer.fault(Call::Refresh, Fault::Status(502), 1);
    let found = stack.auth.authenticate(&browser.headers()).await;
    assert!(matches!(found, Authentication::Unavailable));
    stack.right().await;
    assert!(stack.who(&mut browser).await.is_some());
}

#[tokio::test]
async fn a_sign_out_before_the_session_is_brought_back_revokes_it() {
    let mut stack = Stack::new().await;
    let mut browser = stack.signed_in("alice").await;
    let old = browser.clone();
    stack.restart().await;
    stack.sign_out(&mut browser).await;
    assert_eq!(stack.issuer.count(Call::Revoke), 1);
    assert_eq!(stack.who(&mut old.clone()).await, None);
    assert_eq!(stack.issuer.count(Call::Refresh), 0);
}

#[tokio::test]
async fn without_refresh_tokens_the_cookie_carries_the_person() {
    let mut stack = Stack::new().await;
    stack.issuer.order(|orders| orders.refresh_tokens = false);
    let mut browser = stack.signed_in("alice").await;
    stack.restart().await;
    let session = stack.session(&mut browser).await.unwrap();
    assert_eq!(session.person().groups, ["staff", "group1", "group2"]);
    let old = browser.clone();
    stack.sign_out(&mut browser).await;
    stack.restart().await;
    assert_eq!(stack.who(&mut old.clone()).await, None);
}

#[tokio::test]
async fn a_person_too_large_for_a_cookie_is_kept_in_the_ledger() {
    let mut stack = Stack::new().await;
    stack.issuer.order(|orders| {
        orders.refresh_tokens = false;
        let groups: Vec<_> = (0..400).map(|n| format!("/department/group-{n:04}")).collect();
        orders.people.get_mut("alice").unwrap()["groups"] = json!(groups);
    });
    let mut browser = stack.signed_in("alice").await;
    assert!(browser.cookie().unwrap().len() < 300);
    for _ in 0..2 {
        stack.restart().await;
        assert_eq!(stack.session(&mut browser).await.unwrap().person().groups.len(), 400);
    }
}

#[tokio::test]
async fn keys_come_and_go() {
    let mut stack = Stack::new().await;
    let keys = stack.dir.path().join("keys");
    let mut browser = stack.signed_in("alice").await;
    let old = browser.clone();
    std::fs::write(&keys, format!("{}\n{}\n", key(2), key(1))).unwrap();
    stack.restart().await;
    assert!(stack.who(&mut browser).await.is_some());
    assert_ne!(browser.cookie(), old.cookie(), "sealed anew");
    std::fs::write(&keys, format!("{}\n", key(2))).unwrap();
    stack.restart().await;
    assert!(stack.who(&mut browser).await.is_some());
    assert_eq!(stack.who(&mut old.clone()).await, None);
}

#[tokio::test]
async fn idle_sessions_end_also_for_their_tunnels() {
    let stack = Stack::with(|config| config.session.idle = Some(Duration::from_secs(1))).await;
    let mut browser = stack.signed_in("alice").await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(stack.who(&mut browser).await.is_some(), "use prolongs it");
    }
    let session = stack.session(&mut browser).await.unwrap();
    let (_guard, mut changes) = session.tunnel();
    tokio::time::timeout(Duration::from_secs(2), changes.changed()).await.unwrap().unwrap();
    assert!(matches!(*changes.borrow(), SessionState::Ended));
    assert_eq!(stack.who(&mut browser).await, None);
}

#[tokio::test]
async fn a_lifetime_is_the_certain_end() {
    let stack = Stack::with(|config| config.session.lifetime = Duration::from_secs(2)).await;
    let mut browser = stack.signed_in("alice").await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(stack.who(&mut browser).await, None);
}

#[tokio::test]
async fn login_waits_until_the_issuer_is_right() {
    let issuer = Issuer::new().await;
    issuer.fault(Call::Discovery, Fault::Status(503), usize::MAX);
    let dir = tempfile::tempdir().unwrap();
    let config = config(&issuer.url, dir.path());
    let (auth, running) = open(&config);
    let stack = Stack { issuer, dir, config, auth, running };
    let waits_because = async |part: &str| {
        let waiting = |state: &IssuerState| matches!(state, IssuerState::Waiting(reason) if reason.contains(part));
        stack.state(waiting).await;
        let reply = stack.auth.start("rd=/", &HeaderMap::new());
        assert_eq!(status(&reply), StatusCode::SERVICE_UNAVAILABLE);
    };
    waits_because("answers 503").await;
    stack.issuer.fault(Call::Discovery, Fault::Body("<html>starting"), usize::MAX);
    waits_because("no JSON").await;
    stack.issuer.heal();
    let discovery = |edit: Value| stack.issuer.order(|orders| orders.discovery = edit);
    discovery(json!({"issuer": format!("{}/", stack.issuer.url)}));
    waits_because("says that the issuer is").await;
    discovery(json!({"token_endpoint": null}));
    waits_because("token_endpoint").await;
    stack.issuer.fault(Call::Jwks, Fault::Body(r#"{"keys": []}"#), usize::MAX);
    discovery(json!({}));
    waits_because("has no key").await;
    stack.issuer.heal();
    stack.right().await;
    stack.signed_in("alice").await;
}

#[tokio::test]
async fn an_outage_makes_logins_wait_and_passes() {
    let mut stack = Stack::new().await;
    let mut signed_in = stack.signed_in("alice").await;
    let mut browser = Browser::default();
    let callback = stack.begin(&mut browser, "/app");
    stack.issuer.stop().await;
    assert!(stack.who(&mut signed_in).await.is_some());
    let reply = stack.finish(&mut browser, &callback).await;
    assert_eq!(status(&reply), StatusCode::SERVICE_UNAVAILABLE);
    stack.state(|state| matches!(state, IssuerState::Down(_))).await;
    let reply = stack.auth.start("rd=/", &HeaderMap::new());
    assert_eq!(status(&reply), StatusCode::SERVICE_UNAVAILABLE);
    stack.issuer.start().await;
    stack.right().await;
    stack.signed_in("bob").await;
}

#[tokio::test]
async fn new_keys_of_the_issuer_are_found_but_not_for_everybody_who_asks() {
    let stack = Stack::new().await;
    stack.issuer.rotate_keys("key-2");
    stack.signed_in("alice").await;
    let fetched = stack.issuer.count(Call::Jwks);
    stack.issuer.rotate_keys("key-3");
    for _ in 0..3 {
        let mut browser = Browser::default();
        let callback = stack.begin(&mut browser, "/");
        let reply = stack.finish(&mut browser, &callback).await;
        assert_eq!(status(&reply), StatusCode::BAD_REQUEST);
    }
    assert_eq!(stack.issuer.count(Call::Jwks), fetched, "not twice within 30 s");
}

#[tokio::test]
async fn the_endpoints_tell_who_is_there() {
    let stack = Stack::new().await;
    let browser = stack.signed_in("bob").await;
    let Reply::Json { status, body, .. } = stack.auth.userinfo(&browser.headers()).await else {
        panic!("no JSON")
    };
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(status, 200);
    assert_eq!(body["user"], "bob");
    assert_eq!(body["groups"], json!(["staff", "group1"]));
    let nobody = stack.auth.userinfo(&HeaderMap::new()).await;
    assert_eq!(self::status(&nobody), StatusCode::UNAUTHORIZED);
    for (query, want) in [
        ("", 202),
        ("allowed_groups=", 202),
        ("allowed_groups=group1", 202),
        ("allowed_groups=group2", 403),
        ("allowed_groups=group2,group1", 202),
        ("allowed_groups=group2&allowed_groups=staff", 202),
        ("allowed_groups=GROUP1", 403),
        ("allowed_groups=group%31", 202),
        ("allowed_emails=x@y,bob%40other.example", 202),
        ("allowed_email_domains=ther.example", 403),
        ("allowed_groups=staff&allowed_emails=x@y", 403),
    ] {
        let Reply::Empty { status, headers } =
            stack.auth.auth_request(query, &browser.headers()).await
        else {
            panic!("not empty")
        };
        assert_eq!(status, want, "{query}");
        assert_eq!(headers.contains_key("x-auth-request-user"), want == 202);
    }
}

#[tokio::test]
async fn calls_of_a_served_issuer_go_over_loopback() {
    let issuer = Issuer::new().await;
    let dir = tempfile::tempdir().unwrap();
    let public = "https://apps.example/realms/main";
    let mut config = config(public, dir.path());
    let address = issuer.url.strip_prefix("http://127.0.0.1:").unwrap();
    let port = address.split('/').next().unwrap().parse().unwrap();
    config.oidc.as_mut().unwrap().dial =
        Some(appliance::config::Dial::Tcp("127.0.0.1".into(), port));
    config.server.public_url = PublicUrl { secure: true, host: "apps.example".into(), port: 443 };
    let at = |path: &str| format!("{public}/{path}");
    issuer.order(|orders| {
        orders.discovery = json!({
            "issuer": public, "authorization_endpoint": at("authorize"),
            "token_endpoint": at("token"), "jwks_uri": at("jwks"),
            "revocation_endpoint": at("revoke"), "userinfo_endpoint": at("userinfo"),
        });
        orders.id_claims = json!({"iss": public});
        orders.iss = false;
    });
    let (auth, running) = open(&config);
    let stack = Stack { issuer, dir, config, auth, running };
    stack.right().await;
    let mut browser = Browser::default();
    stack.log_in(&mut browser, "/").await;
    let name = browser.0.keys().next().unwrap();
    assert_eq!(name, "__Host-appliance");
    assert_eq!(stack.who(&mut browser).await.as_deref(), Some("alice"));
}
