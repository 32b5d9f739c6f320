//! The test fixture: an issuer, an app, and an appliance in front of them.

use std::time::Duration;

use reqwest::Method;

use crate::harness::{Answer, Appliance, Browser, NAVIGATION};
use crate::issuer::Issuer;
use crate::upstream::Upstream;

pub const SECRET: &str = "a secret of the client: 7Fq2+/=";

/// Apps with the same upstream: `/app` for every signed-in person, `/two` for `group2`, `/open` for
/// everybody, `/signed` for everybody and with an assertion, `/plain` without identity headers, and
/// one with its own host.
const APPS: &str = r#"
[apps.app]
path = "/app"
upstream = "http://127.0.0.1:{UP}"
[apps.two]
path = "/two"
upstream = "http://127.0.0.1:{UP}"
access = { groups = ["group2"] }
[apps.open]
path = "/open"
upstream = "http://127.0.0.1:{UP}"
access = "public"
[apps.signed]
path = "/signed"
upstream = "http://127.0.0.1:{UP}"
access = "public"
identity = { assertion = "X-Identity-Assertion" }
[apps.plain]
path = "/plain"
upstream = "http://127.0.0.1:{UP}"
identity = false
[apps.hosted]
host = "hosted.test"
upstream = "http://127.0.0.1:{UP}"
"#;

pub struct Fixture {
    pub issuer: Issuer,
    pub upstream: Upstream,
    pub appliance: Appliance,
    secret: tempfile::NamedTempFile,
}

impl Fixture {
    pub async fn new() -> Self {
        Self::with("", |_| {}).await
    }

    /// `session` holds lines of `[session]`; `prepare` changes the issuer before the appliance starts.
    pub async fn with(session: &str, prepare: impl FnOnce(&Issuer)) -> Self {
        Self::build(["", "", session, ""], &[], prepare).await
    }

    /// With more lines of `[server]` and more apps; `{UP}` is the port of the upstream.
    pub async fn beside(server: &str, apps: &str) -> Self {
        Self::build([server, "", "", apps], &[], |_| {}).await
    }

    /// With more lines of `[oidc]` and more apps; `prepare` changes the issuer before the appliance
    /// starts.
    pub async fn with_oidc(oidc: &str, apps: &str, prepare: impl FnOnce(&Issuer)) -> Self {
        Self::build(["", oidc, "", apps], &[], prepare).await
    }

    /// With variables of the environment, and more apps.
    #[cfg(feature = "otlp")]
    pub async fn with_variables(variables: &[(String, String)], apps: &str) -> Self {
        Self::build(["", "", "", apps], variables, |_| {}).await
    }

    async fn build(
        [server, oidc, session, apps]: [&str; 4],
        variables: &[(String, String)],
        prepare: impl FnOnce(&Issuer),
    ) -> Self {
        let issuer = Issuer::new().await;
        issuer.order(|orders| orders.client_secret = SECRET.into());
        prepare(&issuer);
        let upstream = Upstream::start();
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), SECRET).unwrap();
        let oidc = format!(
            "{server}\n[oidc]\nissuer = \"{}\"\nclient_id = \"appliance\"\nclient_secret = {{ file = \"{}\" }}\n{oidc}\n[session]\n{session}\n",
            issuer.url,
            secret.path().display()
        );
        let apps = [APPS, apps].concat().replace("{UP}", &upstream.port.to_string());
        let appliance = Appliance::start_in_environment(variables, &(oidc + &apps));
        appliance.wait_ready().await;
        Self { issuer, upstream, appliance, secret }
    }

    pub fn browser(&self) -> Browser {
        Browser::new(&self.appliance.url)
    }

    /// Changes the file with the client's secret.
    pub fn set_secret(&self, secret: &str) {
        std::fs::write(self.secret.path(), secret).unwrap();
    }

    /// A browser in which `user` has signed in at `/app/`.
    pub async fn signed_in(&self, user: &str) -> Browser {
        self.issuer.order(|orders| orders.user = user.into());
        let mut browser = self.browser();
        let answer = browser.go("/app/").await;
        assert_eq!(answer.status, 200, "{answer:?}\n{}", self.appliance.log());
        browser
    }

    /// Presses a button of a page of the appliance.
    pub async fn press(&self, browser: &Browser, path: &str) -> Answer {
        let own = [("origin", self.appliance.url.as_str()), ("sec-fetch-site", "same-origin")];
        let headers: Vec<_> = NAVIGATION
            .iter()
            .filter(|(name, _)| *name != "sec-fetch-site")
            .copied()
            .chain(own)
            .collect();
        browser.send(Method::POST, path, &headers).await.unwrap()
    }
}

/// Waits until an access token with the lifetime `ttl` has expired.
pub async fn outlive(ttl: Duration) {
    tokio::time::sleep(ttl + Duration::from_millis(300)).await;
}
