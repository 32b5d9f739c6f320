//! Back-channel logout through the built appliance: the issuer ends sessions.

use std::time::Duration;

use reqwest::Method;
use reqwest::header::CACHE_CONTROL;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::fixture::Fixture;
use crate::harness::{Browser, FETCH};
use crate::issuer::Call;
use crate::websocket::{closed, echoes, open_at};

const PATH: &str = "/oauth2/backchannel_logout";

/// What the appliance answers to a logout token.
pub(crate) async fn log_out(fixture: &Fixture, token: &str) -> reqwest::Response {
    log_out_at(fixture, &format!("localhost:{}", fixture.appliance.port), token).await
}

async fn log_out_at(fixture: &Fixture, host: &str, token: &str) -> reqwest::Response {
    let url = format!("http://127.0.0.1:{}{PATH}", fixture.appliance.port);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    client.post(url).header("host", host).form(&[("logout_token", token)]).send().await.unwrap()
}

async fn status(browser: &Browser) -> u16 {
    browser.send(Method::GET, "/app/", FETCH).await.unwrap().status.as_u16()
}

fn newest_sid(fixture: &Fixture, user: &str) -> String {
    fixture.issuer.sids(user).pop().unwrap()
}

#[tokio::test]
async fn the_end_of_one_session_of_the_issuer_ends_what_belongs_to_it_at_once() {
    let fixture = Fixture::new().await;
    let alice = fixture.signed_in("alice").await;
    let sid = newest_sid(&fixture, "alice");
    let elsewhere = fixture.signed_in("alice").await;
    let mut socket = open_at(&fixture, &alice, "/app/ws", None).await.unwrap();
    echoes(&mut socket).await;
    let events = format!("{}/app/events", fixture.appliance.url);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let events = client.get(events).header("cookie", alice.cookie_line()).send().await.unwrap();

    let answer = log_out(&fixture, &fixture.issuer.logout_token(&json!({"sid": sid}))).await;
    assert_eq!(answer.status(), 200);
    assert!(answer.headers()[CACHE_CONTROL].to_str().unwrap().contains("no-store"));
    let (code, took) = closed(&mut socket).await;
    assert_eq!(code, Some(CloseCode::Policy));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(events.bytes().await.is_err(), "the event stream was not cut off");
    assert_eq!((status(&alice).await, status(&elsewhere).await), (401, 200));
    fixture.appliance.logs("the issuer has signed a person out").await;
}

#[tokio::test]
async fn a_frame_of_the_issuer_ends_what_belongs_to_its_session() {
    let fixture = Fixture::new().await;
    let alice = fixture.signed_in("alice").await;
    let sid = newest_sid(&fixture, "alice");
    let elsewhere = fixture.signed_in("alice").await;
    let mut socket = open_at(&fixture, &alice, "/app/ws", None).await.unwrap();
    let stranger = fixture.browser();
    let load = async |iss: &str, sid: &str| {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("iss", iss), ("sid", sid)])
            .finish();
        let path = format!("/oauth2/frontchannel_logout?{query}");
        let frame = [("sec-fetch-site", "cross-site"), ("sec-fetch-dest", "iframe")];
        stranger.send(Method::GET, &path, &frame).await.unwrap()
    };
    for (iss, sid) in [("https://other.test", &*sid), (&*fixture.issuer.url, "unknown")] {
        assert_eq!(load(iss, sid).await.status, 200);
    }
    assert_eq!(load(&fixture.issuer.url, "").await.status, 400);
    echoes(&mut socket).await;
    let answer = load(&fixture.issuer.url, &sid).await;
    assert_eq!(answer.status, 200);
    assert!(answer.headers[CACHE_CONTROL].to_str().unwrap().contains("no-store"));
    assert_eq!(closed(&mut socket).await.0, Some(CloseCode::Policy));
    assert_eq!((status(&alice).await, status(&elsewhere).await), (401, 200));
}

#[tokio::test]
async fn without_a_session_all_sessions_of_the_person_end() {
    let fixture = Fixture::new().await;
    let (one, two) = (fixture.signed_in("alice").await, fixture.signed_in("alice").await);
    let bob = fixture.signed_in("bob").await;
    let token = fixture.issuer.logout_token(&json!({"sub": "sub-alice"}));
    assert_eq!(log_out(&fixture, &token).await.status(), 200);
    assert_eq!((status(&one).await, status(&two).await, status(&bob).await), (401, 401, 200));
    // The person of a token with both must be the person of the session.
    let sid = newest_sid(&fixture, "bob");
    let token = fixture.issuer.logout_token(&json!({"sub": "sub-alice", "sid": sid}));
    assert_eq!(log_out(&fixture, &token).await.status(), 200);
    assert_eq!(status(&bob).await, 200);
}

#[tokio::test]
async fn a_logout_token_counts_once_also_over_a_restart() {
    let mut fixture = Fixture::new().await;
    let token = fixture.issuer.logout_token(&json!({"sub": "sub-alice"}));
    assert_eq!(log_out(&fixture, &token).await.status(), 200);
    let alice = fixture.signed_in("alice").await;
    for _ in ["now", "after a restart"] {
        let answer = log_out(&fixture, &token).await;
        assert_eq!(answer.status(), 400);
        let body: Value = serde_json::from_str(&answer.text().await.unwrap()).unwrap();
        assert_eq!(body["error"], "invalid_request");
        assert_eq!(status(&alice).await, 200);
        assert_eq!(fixture.appliance.stop().await, 0);
        fixture.appliance.restart();
        fixture.appliance.wait_ready().await;
    }
}

#[tokio::test]
async fn a_session_that_only_its_cookie_knows_ends_as_well() {
    let mut fixture = Fixture::new().await;
    let (alice, carol) = (fixture.signed_in("alice").await, fixture.signed_in("carol").await);
    let bob = fixture.signed_in("bob").await;
    // A mark of the same second as the login counts for earlier logins only.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(fixture.appliance.stop().await, 0);
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    let by_sid = json!({"sid": newest_sid(&fixture, "alice")});
    for claims in [by_sid, json!({"sub": "sub-carol"})] {
        let token = fixture.issuer.logout_token(&claims);
        assert_eq!(log_out(&fixture, &token).await.status(), 200);
    }
    fixture.appliance.stop().await;
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    // The issuer would grant a refresh.
    assert_eq!((status(&alice).await, status(&carol).await, status(&bob).await), (401, 401, 200));
    assert_eq!(status(&fixture.signed_in("alice").await).await, 200);
}

#[tokio::test]
async fn a_login_that_is_under_way_does_not_outlive_the_logout() {
    let fixture = Fixture::new().await;
    let mut alice = fixture.browser();
    let start = alice.open("/oauth2/start?rd=/app/").await;
    let callback = fixture.issuer.approve(start.location());
    let hold = fixture.issuer.hold(Call::Code);
    let (answer, ()) = tokio::join!(alice.open(&callback), async {
        hold.arrived.notified().await;
        let token = fixture.issuer.logout_token(&json!({"sub": "sub-alice"}));
        assert_eq!(log_out(&fixture, &token).await.status(), 200);
        fixture.issuer.release(Call::Code);
    });
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(status(&alice).await, 401);
}

#[tokio::test]
async fn a_stranger_ends_nothing_and_causes_few_calls_to_the_issuer() {
    let fixture = Fixture::new().await;
    let alice = fixture.signed_in("alice").await;
    let claims = json!({"sub": "sub-alice"});
    let keys = fixture.issuer.count(Call::Jwks);
    let elsewhere = json!({"sub": "sub-alice", "aud": "another client"});
    let mut bad = vec![
        fixture.issuer.forged_logout_token("key-1", &claims),
        fixture.issuer.logout_token(&elsewhere),
        fixture.issuer.logout_token(&json!({})),
        "a.b.c".to_owned(),
        String::new(),
    ];
    bad.extend((0..30).map(|n| fixture.issuer.forged_logout_token(&format!("k{n}"), &claims)));
    for token in &bad {
        let answer = log_out(&fixture, token).await;
        assert_eq!(answer.status(), 400, "{token}");
        assert!(answer.text().await.unwrap().starts_with("{\"error\":"), "{token}");
    }
    let fetched = fixture.issuer.count(Call::Jwks) - keys;
    assert!(fetched <= 1, "{fetched} fetches of the keys");
    assert_eq!(status(&alice).await, 200);
    let log = fixture.appliance.log();
    assert!(log.contains("a logout by the issuer was refused"), "{log}");
    assert!(bad.iter().all(|token| token.len() < 20 || !log.contains(token)));
    // The issuer has changed its keys: a login still gets the new ones at once.
    fixture.issuer.rotate_keys("key-2");
    fixture.signed_in("bob").await;
}

#[tokio::test]
async fn the_endpoint_takes_a_form_by_post_under_its_own_and_loopback_names() {
    let fixture = Fixture::new().await;
    let token = || fixture.issuer.logout_token(&json!({"sid": "unknown"}));
    let port = fixture.appliance.port;
    for host in ["localhost", &format!("127.0.0.1:{port}"), "[::1]", "LocalHost", "hosted.test"] {
        assert_eq!(log_out_at(&fixture, host, &token()).await.status(), 200, "{host}");
    }
    for host in ["example.org", "127.0.0.1.example.org"] {
        assert_eq!(log_out_at(&fixture, host, &token()).await.status(), 421, "{host}");
    }
    let browser = fixture.browser();
    for method in [Method::GET, Method::HEAD, Method::PUT] {
        let answer = browser.send(method.clone(), PATH, &[]).await.unwrap();
        assert_eq!(answer.status, 405, "{method}");
    }
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let send = || client.post(format!("{}{PATH}", fixture.appliance.url));
    let json = send().header("content-type", "application/json").body("{}").send().await.unwrap();
    assert_eq!(json.status(), 400);
    assert_eq!(send().send().await.unwrap().status(), 400);
    let large = send().form(&[("logout_token", "x".repeat(20_000))]).send().await.unwrap();
    assert_eq!(large.status(), 413);
}
