//! Sessions through the built appliance: restarts, refreshes, and who asks how often.

use std::time::Duration;

use futures_util::future::join_all;
use reqwest::Method;

use crate::harness::FETCH;
use crate::issuer::{Call, Fault};
use crate::world::{World, outlive};

const TTL: Duration = Duration::from_secs(2);

#[tokio::test]
async fn twenty_requests_on_an_expired_token_make_one_refresh() {
    let world = World::with("recheck = \"1s\"", |issuer| {
        issuer.order(|orders| (orders.ttl, orders.rotate) = (TTL, true));
    })
    .await;
    let alice = world.signed_in("alice").await;
    outlive(TTL).await;
    let before = world.issuer.count(Call::Refresh);
    let answers = join_all((0..20).map(|_| alice.send(Method::GET, "/app/", FETCH))).await;
    assert!(answers.iter().all(|answer| answer.as_ref().unwrap().status == 200));
    assert_eq!(world.issuer.count(Call::Refresh) - before, 1);
    assert_eq!(world.issuer.reused(), 0);
}

#[tokio::test]
async fn a_session_survives_our_restart_by_one_refresh() {
    let mut world = World::with("", |issuer| issuer.order(|orders| orders.rotate = true)).await;
    let alice = world.signed_in("alice").await;
    assert_eq!(world.appliance.stop().await, 0);
    world.appliance.restart();
    world.appliance.wait_ready().await;
    let before = world.issuer.count(Call::Refresh);
    let answers = join_all((0..20).map(|_| alice.send(Method::GET, "/app/", FETCH))).await;
    for answer in answers {
        assert_eq!(answer.unwrap().status, 200);
    }
    assert_eq!(
        world.issuer.count(Call::Refresh) - before,
        1,
        "the session was not brought back once"
    );
    assert_eq!(world.issuer.count(Call::Authorize), 1, "a new login");
}

#[tokio::test]
async fn a_session_that_was_revoked_meanwhile_does_not_come_back() {
    let mut world = World::new().await;
    let alice = world.signed_in("alice").await;
    assert_eq!(world.appliance.stop().await, 0);
    world.issuer.revoke("alice");
    world.appliance.restart();
    world.appliance.wait_ready().await;
    let answer = alice.send(Method::GET, "/app/", FETCH).await.unwrap();
    assert_eq!(answer.status, 401);
}

#[tokio::test]
async fn an_answer_that_still_streams_is_broken_off_when_its_session_ends() {
    let world = World::new().await;
    let mut alice = world.signed_in("alice").await;
    let request = reqwest::Client::builder().no_proxy().build().unwrap();
    let stream = |cookie: String| {
        let url = format!("{}/app/slow", world.appliance.url);
        request.get(url).header("cookie", cookie).send()
    };
    let mut whole = stream(alice.cookie_line()).await.unwrap();
    let mut heard = Vec::new();
    while let Some(piece) = whole.chunk().await.unwrap() {
        heard.extend_from_slice(&piece);
    }
    assert_eq!(heard, b"onetwosix");
    let mut cut = stream(alice.cookie_line()).await.unwrap();
    assert_eq!(cut.chunk().await.unwrap().unwrap(), "one");
    alice.open("/oauth2/sign_out").await;
    let rest = async {
        while cut.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    assert!(rest.await.is_err(), "the answer went on to its end");
}

#[tokio::test]
async fn an_issuer_that_is_down_ends_no_session() {
    let world = World::with("recheck = \"1s\"", |issuer| {
        issuer.order(|orders| orders.ttl = TTL);
    })
    .await;
    let alice = world.signed_in("alice").await;
    world.issuer.fault(Call::Refresh, Fault::Status(503), usize::MAX);
    outlive(TTL).await;
    assert_eq!(alice.send(Method::GET, "/app/", FETCH).await.unwrap().status, 200);
}

#[tokio::test]
async fn before_the_issuer_is_right_nothing_opens_and_a_page_says_why() {
    let world = World::new().await;
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
        world.upstream.port
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
