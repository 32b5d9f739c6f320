//! `provider = "github"`: sign-in at an issuer without OpenID Connect, a GitHub Enterprise Server.

mod stub;

use reqwest::Method;
use serde_json::json;

use crate::fixture::outlive;
use crate::harness::{Answer, Appliance, Browser, NAVIGATION, eventually};
use crate::upstream::Upstream;
use stub::{CLIENT, GitHub, LIFE, Refusal, SECRET};

const APPS: &str = r#"
[apps.app]
path = "/app"
upstream = "http://127.0.0.1:{UP}"
[apps.league]
path = "/league"
upstream = "http://127.0.0.1:{UP}"
access = { groups = ["octo-org/justice-league"] }
[apps.mail]
path = "/mail"
upstream = "http://127.0.0.1:{UP}"
access = { email_domains = ["example.com"] }
[apps.shut]
path = "/shut"
upstream = "http://127.0.0.1:{UP}"
deny = { groups = ["Octo-Org"] }
"#;

struct Fixture {
    github: GitHub,
    upstream: Upstream,
    appliance: Appliance,
    secret: tempfile::NamedTempFile,
}

impl Fixture {
    async fn new(oidc: &str) -> Self {
        let (github, upstream) = (GitHub::start().await, Upstream::start());
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), SECRET).unwrap();
        let config = format!(
            "[oidc]\nprovider = \"github\"\nissuer = \"{}\"\nclient_id = \"{CLIENT}\"\n\
             client_secret = {{ file = \"{}\" }}\n{oidc}\n{}",
            github.url,
            secret.path().display(),
            APPS.replace("{UP}", &upstream.port.to_string()),
        );
        let appliance = Appliance::start(&config);
        appliance.wait_ready().await;
        Self { github, upstream, appliance, secret }
    }

    /// The access token expires soon, so that a refresh is due.
    async fn with_short_tokens(oidc: &str) -> Self {
        let fixture = Self::new(oidc).await;
        fixture.github.state().expires_in = Some(LIFE.as_secs());
        fixture
    }

    async fn signed_in(&self) -> Browser {
        let mut browser = Browser::new(&self.appliance.url);
        let answer = browser.go("/app/").await;
        assert_eq!(answer.status, 200, "{answer:?}\n{}", self.appliance.log());
        browser
    }

    /// A login that fails: the response to the callback. There is no session.
    async fn refused(&self) -> Answer {
        let mut browser = Browser::new(&self.appliance.url);
        let answer = browser.go("/app/").await;
        let next = browser.send(Method::GET, "/app/", NAVIGATION).await.unwrap();
        assert!(next.location().starts_with("/oauth2/start"), "no session: {next:?}");
        assert!(self.upstream.seen().is_empty());
        answer
    }

    /// The end of a test: nothing that was issued is in the log.
    fn log_has_no_secret(&self) {
        let (log, state) = (self.appliance.log(), self.github.state());
        assert!(state.secrets.len() > 2);
        let leaked: Vec<_> =
            state.secrets.iter().filter(|one| log.contains(one.as_str())).collect();
        assert!(leaked.is_empty() && !log.contains(SECRET), "{leaked:?}\n{log}");
    }
}

/// Whether the browser is sent to a login.
async fn is_signed_out(browser: &Browser) -> bool {
    let answer = browser.send(Method::GET, "/app/", NAVIGATION).await.unwrap();
    answer.location().starts_with("/oauth2/start")
}

/// GitHub has no discovery document that `doctor` could miss.
#[tokio::test]
async fn the_doctor_does_not_ask_for_a_document() {
    let fixture = Fixture::new("").await;
    let output = fixture.appliance.cli(&["doctor", "--json"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let findings = json["findings"].as_array().unwrap();
    let issuer = findings.iter().find(|finding| finding["question"] == "issuer").unwrap();
    assert_eq!(issuer["verdict"], "skipped", "{text}");
}

#[tokio::test]
async fn organisations_and_teams_are_groups() {
    let mut fixture = Fixture::new("").await;
    let mut browser = fixture.signed_in().await;
    assert_eq!(browser.go("/league/").await.status, 200, "a team of the second page");
    assert_eq!(browser.go("/mail/").await.status, 200);
    assert_eq!(browser.go("/shut/").await.status, 403, "an organisation of the third page");
    let person = browser.fetch("/oauth2/userinfo", &[]).await.json();
    let groups =
        ["four", "octo-org", "octo-org/justice-league", "one", "three", "two", "two/a", "two/b"];
    assert_eq!(person["groups"], json!(groups));
    let seen = fixture.upstream.seen();
    assert_eq!(seen[0].all("x-forwarded-user"), ["octocat"]);
    assert_eq!(seen[0].all("x-forwarded-email"), ["octocat@example.com"]);

    // After a restart the cookie alone brings the person back, with the groups of now.
    fixture.github.state().teams.clear();
    assert_eq!(fixture.appliance.stop().await, 0);
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    assert_eq!(browser.go("/app/").await.status, 200);
    assert_eq!(browser.go("/league/").await.status, 403);
    fixture.log_has_no_secret();
}

#[tokio::test]
async fn a_response_that_the_browser_did_not_ask_for_is_refused() {
    let fixture = Fixture::new("").await;
    let mut browser = Browser::new(&fixture.appliance.url);
    let start = browser.open("/oauth2/start?rd=/app/").await;
    let callback = browser.open(start.location()).await.location().to_owned();
    let (there, state) = callback.rsplit_once("state=").unwrap();
    for odd in [
        format!("{there}state=x{state}"),
        format!("{there}state={state}x"),
        format!("{callback}&iss=https://github.com.test"),
    ] {
        let mut thief = browser.clone();
        let answer = thief.open(&odd).await;
        assert_ne!(answer.location(), "/app/", "{odd}");
        assert!(is_signed_out(&thief).await, "{odd}");
    }
    assert!(fixture.github.state().tokens.is_empty(), "no code was exchanged");
    let own = format!("{callback}&iss={}/login/oauth", fixture.github.url);
    assert_eq!(browser.open(&own).await.location(), "/app/");
    fixture.log_has_no_secret();
}

#[tokio::test]
async fn an_error_with_status_200_is_an_error() {
    let fixture = Fixture::new("").await;
    fixture.github.state().error = Some("bad_verification_code");
    assert_eq!(fixture.refused().await.status, 400);
    fixture.appliance.logs("the issuer refused the request: bad_verification_code").await;
    fixture.github.state().error = None;
    std::fs::write(fixture.secret.path(), "another").unwrap();
    let reload = fixture.appliance.cli(&["reload"]);
    assert!(reload.status.success(), "{reload:?}");
    assert_eq!(fixture.refused().await.status, 400);
    fixture.appliance.logs("incorrect_client_credentials").await;
    fixture.appliance.logs("compare client_id and client_secret").await;
    fixture.log_has_no_secret();
}

#[tokio::test]
async fn only_a_verified_primary_address_is_an_address() {
    let unverified = json!([
        {"email": "boss@example.com", "primary": true, "verified": false},
        {"email": "mine@example.com", "primary": false, "verified": true},
    ]);
    let fixture = Fixture::new("").await;
    fixture.github.state().addresses = unverified.clone();
    let mut browser = fixture.signed_in().await;
    assert_eq!(browser.go("/mail/").await.status, 403);
    assert!(fixture.upstream.seen()[0].all("x-forwarded-email").is_empty());

    let strict = Fixture::new("require_verified_email = true").await;
    strict.github.state().addresses = unverified;
    assert_eq!(strict.refused().await.status, 403);
    strict.github.state().addresses =
        json!([{"email": "boss@example.com", "primary": true, "verified": true}]);
    strict.signed_in().await;
    strict.log_has_no_secret();
}

#[tokio::test]
async fn a_lost_membership_ends_access_at_the_next_refresh() {
    let fixture = Fixture::with_short_tokens("").await;
    let mut browser = fixture.signed_in().await;
    assert_eq!(browser.go("/league/").await.status, 200);
    fixture.github.state().teams.retain(|(organisation, _)| *organisation != "Octo-Org");
    outlive(LIFE).await;
    assert_eq!(browser.go("/league/").await.status, 403);
    assert_eq!(browser.go("/app/").await.status, 200);
    fixture.log_has_no_secret();
}

#[tokio::test]
async fn a_token_that_is_revoked_ends_the_session() {
    for suspended in [false, true] {
        let fixture = Fixture::with_short_tokens("").await;
        let browser = fixture.signed_in().await;
        if suspended {
            let refusal = Refusal { path: "user", status: 403, headers: Vec::new() };
            fixture.github.state().refusal = Some(refusal);
        } else {
            fixture.github.state().tokens.clear();
        }
        outlive(LIFE).await;
        assert!(is_signed_out(&browser).await, "suspended: {suspended}");
        fixture.appliance.logs("GitHub has ended a session").await;
        fixture.log_has_no_secret();
    }
}

#[tokio::test]
async fn a_limit_signs_nobody_out() {
    for (path, status, header, value) in [
        ("user", 429, "retry-after", "60"),
        ("user/orgs", 403, "x-ratelimit-remaining", "0"),
        ("user/teams", 500, "x-other", "0"),
    ] {
        let mut fixture = Fixture::with_short_tokens("").await;
        let mut browser = fixture.signed_in().await;
        let headers = vec![(header, value.to_owned())];
        fixture.github.state().refusal = Some(Refusal { path, status, headers });
        outlive(LIFE).await;
        assert_eq!(browser.go("/league/").await.status, 200, "{path}: what is known stays");
        fixture.appliance.logs("those that are known stay in force").await;

        // A restart forgets what is known; the cookie stays.
        fixture.appliance.stop().await;
        fixture.appliance.restart();
        fixture.appliance.wait_ready().await;
        assert_eq!(browser.go("/league/").await.status, 503, "{path}");
        let asked = fixture.github.state().calls.len();
        assert_eq!(browser.go("/league/").await.status, 503, "{path}");
        if status != 500 {
            assert_eq!(fixture.github.state().calls.len(), asked, "{path}: GitHub wants a pause");
        }
        fixture.log_has_no_secret();
    }
}

#[tokio::test]
async fn nobody_signs_in_with_a_part_of_the_groups() {
    let fixture = Fixture::new("").await;
    let refusal = |path| Refusal { path, status: 403, headers: Vec::new() };
    for path in ["user/orgs", "user/teams", "user/emails"] {
        fixture.github.state().refusal = Some(refusal(path));
        assert_eq!(fixture.refused().await.status, 503, "{path}");
        fixture.appliance.logs(&format!("{path} answers 403 Forbidden; ask for")).await;
    }
    fixture.github.state().refusal = None;
    let other = GitHub::start().await;
    fixture.github.state().next = Some(format!("{}/api/v3/user/orgs", other.url));
    assert_eq!(fixture.refused().await.status, 503);
    fixture.appliance.logs("must not get the token").await;
    assert!(other.state().calls.is_empty(), "{:?}", other.state().calls);
    fixture.github.state().next = None;

    // GitHub does not say which teams are in an organisation that it hides.
    fixture.github.state().hidden = Some("21955855");
    fixture.signed_in().await;
    fixture.appliance.logs("GitHub hides organisations of a person").await;
    fixture.log_has_no_secret();
}

#[tokio::test]
async fn a_sign_out_ends_the_token_at_github() {
    for refresh in [false, true] {
        let fixture = Fixture::new("").await;
        fixture.github.state().refresh = refresh;
        let browser = fixture.signed_in().await;
        let own = [("origin", fixture.appliance.url.as_str()), ("sec-fetch-site", "same-origin")];
        let answer = browser.send(Method::POST, "/oauth2/sign_out", &own).await.unwrap();
        assert_eq!(answer.status, 200, "GitHub has no page for it: {answer:?}");
        eventually("the end of the token", async || {
            fixture.github.state().tokens.is_empty().then_some(())
        })
        .await;
        assert_eq!(fixture.github.state().ended.len(), 1);
        assert!(is_signed_out(&browser).await);
        fixture.log_has_no_secret();
    }
}

#[tokio::test]
async fn a_github_app_renews_its_tokens() {
    let mut fixture = Fixture::with_short_tokens("").await;
    fixture.github.state().refresh = true;
    let mut browser = fixture.signed_in().await;
    let first = fixture.github.state().tokens.clone();
    outlive(LIFE).await;
    assert_eq!(browser.go("/league/").await.status, 200);
    assert!(fixture.github.state().tokens.is_disjoint(&first), "a refresh ends the token before");

    // The newest refresh token brings the session back after a restart.
    fixture.appliance.stop().await;
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    assert_eq!(browser.go("/league/").await.status, 200);
    fixture.github.state().refreshes.clear();
    outlive(LIFE).await;
    assert!(is_signed_out(&browser).await, "bad_refresh_token");
    fixture.log_has_no_secret();
}

#[tokio::test]
async fn sign_in_waits_until_github_answers() {
    let mut fixture = Fixture::new("").await;
    fixture.github.state().down = true;
    fixture.appliance.stop().await;
    fixture.appliance.restart();
    fixture.appliance.logs("answers 503 Service Unavailable").await;
    let browser = Browser::new(&fixture.appliance.url);
    let gate = browser.send(Method::GET, "/app/", NAVIGATION).await.unwrap();
    assert_eq!(gate.status, 503, "{gate:?}");
    fixture.github.state().down = false;
    fixture.appliance.wait_ready().await;
    fixture.signed_in().await;
}
