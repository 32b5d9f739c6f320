//! Sessions through the built appliance: restarts, refreshes, and the number of calls to the issuer.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;

use crate::fixture::{Fixture, outlive};
use crate::harness::FETCH;
use crate::issuer::{Call, Fault};

const TTL: Duration = Duration::from_secs(2);

#[tokio::test]
async fn twenty_requests_on_an_expired_token_make_one_refresh() {
    let fixture = Fixture::with("recheck = \"1s\"", |issuer| {
        issuer.order(|orders| (orders.ttl, orders.rotate) = (TTL, true));
    })
    .await;
    let alice = fixture.signed_in("alice").await;
    outlive(TTL).await;
    let before = fixture.issuer.count(Call::Refresh);
    let answers = join_all((0..20).map(|_| alice.send(Method::GET, "/app/", FETCH))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status == 200));
    assert_eq!(fixture.issuer.count(Call::Refresh) - before, 1);
    assert_eq!(fixture.issuer.reused(), 0);
}

#[tokio::test]
async fn a_session_survives_a_restart_by_one_refresh() {
    let mut fixture = Fixture::with("", |issuer| issuer.order(|orders| orders.rotate = true)).await;
    let alice = fixture.signed_in("alice").await;
    assert_eq!(fixture.appliance.stop().await, 0);
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    let before = fixture.issuer.count(Call::Refresh);
    let answers = join_all((0..20).map(|_| alice.send(Method::GET, "/app/", FETCH))).await;
    for answer in answers {
        assert_eq!(answer.unwrap().status, 200);
    }
    assert_eq!(fixture.issuer.count(Call::Refresh) - before, 1, "refreshes to restore the session");
    assert_eq!(fixture.issuer.count(Call::Authorize), 1, "logins");
}

#[tokio::test]
async fn a_session_revoked_during_a_restart_is_not_restored() {
    let mut fixture = Fixture::new().await;
    let alice = fixture.signed_in("alice").await;
    assert_eq!(fixture.appliance.stop().await, 0);
    fixture.issuer.revoke("alice");
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    let answer = alice.send(Method::GET, "/app/", FETCH).await.unwrap();
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn a_streaming_response_ends_with_its_session() {
    let fixture = Fixture::new().await;
    let mut alice = fixture.signed_in("alice").await;
    let request = reqwest::Client::builder().no_proxy().build().unwrap();
    let stream = |cookie: String| {
        let url = format!("{}/app/slow", fixture.appliance.url);
        request.get(url).header("cookie", cookie).send()
    };
    let mut whole = stream(alice.cookie_line()).await.unwrap();
    let mut received = Vec::new();
    while let Some(piece) = whole.chunk().await.unwrap() {
        received.extend_from_slice(&piece);
    }
    assert_eq!(received, b"onetwosix");
    let mut cut = stream(alice.cookie_line()).await.unwrap();
    assert_eq!(cut.chunk().await.unwrap().unwrap(), "one");
    alice.open("/oauth2/sign_out").await;
    let rest = async {
        while cut.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    assert!(rest.await.is_err(), "the response was not cut off");
}

#[tokio::test]
async fn an_outage_of_the_issuer_ends_no_session() {
    let fixture = Fixture::with("recheck = \"1s\"", |issuer| {
        issuer.order(|orders| orders.ttl = TTL);
    })
    .await;
    let alice = fixture.signed_in("alice").await;
    fixture.issuer.fault(Call::Refresh, Fault::Status(503), usize::MAX);
    outlive(TTL).await;
    assert_eq!(alice.send(Method::GET, "/app/", FETCH).await.unwrap().status, 200);
}

#[tokio::test]
async fn while_the_issuer_is_not_available_a_page_says_why() {
    let fixture = Fixture::new().await;
    let fresh = crate::issuer::Issuer::new().await;
    fresh.order(|orders| {
        orders.client_secret = "s".into();
        orders.discovery = serde_json::json!({"issuer": "http://elsewhere.example"});
    });
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "s").unwrap();
    let config = format!(
        "[oidc]\nissuer = \"{}\"\nclient_id = \"appliance\"\nclient_secret = {{ file = \"{}\" }}\n\
         [apps.app]\npath = \"/app\"\nupstream = \"http://127.0.0.1:{}\"\n",
        fresh.url,
        secret.path().display(),
        fixture.upstream.port
    );
    let appliance = crate::harness::Appliance::start(&config);
    let mut browser = crate::harness::Browser::new(&appliance.url);
    let page = crate::harness::eventually("the starting page", async || {
        let answer = browser.send(Method::GET, "/app/", crate::harness::NAVIGATION).await.ok()?;
        answer.body.contains("elsewhere.example").then_some(answer)
    })
    .await;
    assert_eq!(page.status, 503);
    assert!(page.headers.contains_key("retry-after") && page.body.contains("refresh"), "{page:?}");
    assert_eq!(browser.fetch("/_appliance/ready", &[]).await.status, 503);
    fresh.order(|orders| orders.discovery = serde_json::json!({}));
    appliance.wait_ready().await;
    assert_eq!(browser.go("/app/").await.status, 200);
}
