//! The programs of apps get the current access token of a session, with the handle that came with its
//! WebSocket or event stream.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use futures_util::future::join_all;
use futures_util::{SinkExt as _, StreamExt as _};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::fixture::{Fixture, outlive};
use crate::harness::{Answer, Browser, FETCH, eventually};
use crate::issuer::{Call, Fault};
use crate::reload::{edit, reload};
use crate::replicas::app;
use crate::websocket::open_at;

const HANDLE: &str = "x-appliance-token-handle";
const IDENTITY: &str = "identity = { user = \"X-User\", access_token = \"X-Token\" }\n";
const EVENTS: (&str, &str) = ("accept", "text/event-stream");

/// `/one` and `/other` have programs that ask for access tokens.
async fn fixture() -> Fixture {
    fixture_of(&[("one", IDENTITY), ("other", IDENTITY)]).await
}

async fn fixture_of(apps: &[(&str, &str)]) -> Fixture {
    let tables: String = apps.iter().map(|(name, lines)| app(name, lines)).collect();
    let fixture = Fixture::beside("", &tables).await;
    for (name, _) in apps {
        fixture.appliance.wait_for_state(name, "ready").await;
    }
    fixture
}

async fn get(browser: &Browser, path: &str, more: &[(&str, &str)]) -> String {
    let headers = [FETCH, more].concat();
    let answer = browser.send(Method::GET, path, &headers).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// `APPLIANCE_TOKEN_URL` of the program.
async fn url(browser: &Browser, app: &str) -> String {
    get(browser, &format!("/{app}/url"), &[]).await
}

/// A header of a request as the program receives it.
async fn told(browser: &Browser, app: &str, name: &str, more: &[(&str, &str)]) -> Option<String> {
    let headers = get(browser, &format!("/{app}/headers"), more).await;
    let mut lines = headers.lines().filter_map(|line| line.split_once(": "));
    let found = lines.find(|(one, _)| one.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.to_owned())
}

async fn handle(browser: &Browser, app: &str) -> String {
    told(browser, app, HANDLE, &[EVENTS]).await.unwrap()
}

async fn send(method: Method, url: &str, headers: &[(&str, &str)]) -> Answer {
    let at = url.match_indices('/').nth(2).unwrap().0;
    Browser::new(&url[..at]).send(method, &url[at..], headers).await.unwrap()
}

async fn ask(url: &str, handle: &str) -> Answer {
    send(Method::GET, url, &[("authorization", &format!("Bearer {handle}"))]).await
}

async fn token(url: &str, handle: &str) -> String {
    let answer = ask(url, handle).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["access_token"].as_str().unwrap().to_owned()
}

fn subject(token: &str) -> Value {
    let payload = BASE64.decode(token.split('.').nth(1).unwrap()).unwrap();
    serde_json::from_slice::<Value>(&payload).unwrap()["sub"].clone()
}

#[tokio::test]
async fn the_program_behind_a_websocket_gets_the_token_of_its_session() {
    let fixture = fixture().await;
    let alice = fixture.signed_in("alice").await;
    let mut socket = open_at(&fixture, &alice, "/one/ws", None).await.unwrap();
    socket.send(Message::text("handle")).await.unwrap();
    let handle = socket.next().await.unwrap().unwrap().to_text().unwrap().to_owned();
    let url = url(&alice, "one").await;
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/token/one"), "{url}");
    let answer = ask(&url, &handle).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.headers["cache-control"], "no-store");
    assert_eq!(answer.headers["content-type"], "application/json");
    let token = told(&alice, "one", "x-token", &[]).await.unwrap();
    assert_eq!(answer.json()["access_token"], json!(token));
    assert!((1..=300).contains(&answer.json()["expires_in"].as_u64().unwrap()), "{answer:?}");

    // Only what lasts has a handle, and only where the program asks for tokens.
    assert_eq!(told(&alice, "one", HANDLE, &[EVENTS]).await, Some(handle.clone()));
    assert_eq!(told(&alice, "one", HANDLE, &[]).await, None);
    drop(open_at(&fixture, &alice, "/app/ws", None).await.unwrap());
    assert!(fixture.upstream.seen().iter().all(|seen| seen.all(HANDLE).is_empty()));
    let log = fixture.appliance.log();
    assert!(!log.contains(&handle) && !log.contains(&token), "{log}");
}

#[tokio::test]
async fn a_client_cannot_send_a_handle() {
    let fixture = fixture().await;
    let alice = fixture.signed_in("alice").await;
    let own = handle(&alice, "one").await;
    for name in [HANDLE, "x_appliance_token_handle", "X-Appliance.Token_Handle"] {
        let forged = (name, "forged");
        for more in [&[forged][..], &[forged, EVENTS]] {
            let headers = get(&alice, "/one/headers", more).await;
            assert!(!headers.contains("forged"), "{name}: {headers}");
            assert_eq!(headers.contains(&own), more.len() == 2, "{name}: {headers}");
            get(&alice, "/app/", more).await;
        }
    }
    for seen in fixture.upstream.seen() {
        assert!(seen.headers.iter().all(|(_, value)| value != "forged"), "{seen:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_about_to_end_is_refreshed_once() {
    let fixture = fixture().await;
    let ttl = Duration::from_secs(6);
    fixture.issuer.order(|orders| (orders.ttl, orders.rotate) = (ttl, true));
    let alice = fixture.signed_in("alice").await;
    fixture.issuer.order(|orders| orders.ttl = Duration::from_mins(5));
    let (url, handle) = (url(&alice, "one").await, handle(&alice, "one").await);
    let first = told(&alice, "one", "x-token", &[]).await.unwrap();
    // The refresh is due in the second half of the life of the token.
    outlive(ttl / 2).await;
    let tokens = join_all((0..8).map(|_| token(&url, &handle))).await;
    assert!(tokens.iter().all(|one| *one == tokens[0] && *one != first), "{first} {tokens:?}");
    assert_eq!((fixture.issuer.count(Call::Refresh), fixture.issuer.reused()), (1, 0));
    // The browser has still the cookie from before.
    assert_eq!(told(&alice, "one", "x-token", &[]).await, Some(tokens[0].clone()));
    assert_eq!(fixture.issuer.count(Call::Refresh), 1);
}

#[tokio::test]
async fn a_handle_counts_for_its_app_and_its_session_alone() {
    let fixture = fixture().await;
    let mut alice = fixture.signed_in("alice").await;
    let bob = fixture.signed_in("bob").await;
    let (one, other) = (url(&alice, "one").await, url(&alice, "other").await);
    let (hers, his) = (handle(&alice, "one").await, handle(&bob, "one").await);
    let token_of_alice = token(&one, &hers).await;
    assert_eq!(subject(&token_of_alice), "sub-alice");
    assert_eq!(subject(&token(&one, &his).await), "sub-bob");
    assert_eq!(subject(&token(&other, &handle(&alice, "other").await).await), "sub-alice");
    let [id, tag] = [&his, &hers].map(|handle| BASE64.decode(handle).unwrap());
    let mixed = BASE64.encode([&id[..16], &tag[16..]].concat());
    for (what, url, handle) in [
        ("another app", &other, &hers),
        ("the id of another session", &one, &mixed),
        ("an id alone", &one, &BASE64.encode(&id[..16])),
        ("no handle", &one, &"x".to_owned()),
        ("a token", &one, &token_of_alice),
    ] {
        let answer = ask(url, handle).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        assert!(answer.json().is_string(), "{what}: {answer:?}");
        assert_eq!(answer.headers["www-authenticate"], "Bearer error=\"invalid_token\"", "{what}");
    }
    alice.open("/oauth2/sign_out").await;
    assert_eq!(ask(&one, &hers).await.status, 401, "after the sign-out");
    assert_eq!(ask(&one, &his).await.status, 200);
}

#[tokio::test]
async fn only_programs_on_this_machine_ask_and_only_by_get() {
    let fixture = fixture().await;
    let alice = fixture.signed_in("alice").await;
    let (url, handle) = (url(&alice, "one").await, handle(&alice, "one").await);
    let (good, base) = (format!("Bearer {handle}"), url.strip_suffix("/token/one").unwrap());
    let good = ("authorization", good.as_str());
    let localhost = format!("localhost:{}", base.rsplit(':').next().unwrap());
    for (method, path, headers, wanted) in [
        (Method::GET, "/token/one", &[good, ("host", &localhost)][..], 200),
        (Method::GET, "/token/one?x=y", &[good], 200),
        (Method::HEAD, "/token/one", &[good], 405),
        (Method::POST, "/token/one", &[good], 405),
        (Method::OPTIONS, "/token/one", &[good], 405),
        (Method::GET, "/token/one", &[], 401),
        (Method::GET, "/token/one", &[("authorization", "Basic YTpi")], 401),
        // A page of another site whose name leads to this machine, and a proxy in front.
        (Method::GET, "/token/one", &[good, ("host", "evil.example")], 421),
        (Method::GET, "/token/one", &[good, ("x-forwarded-for", "192.0.2.1")], 421),
        (Method::GET, "/token/one", &[good, ("host", "user@localhost")], 400),
        (Method::GET, "/token/one/", &[good], 404),
        (Method::GET, "/token/", &[good], 404),
        (Method::GET, "/token/app", &[good], 404),
        (Method::GET, "/", &[good], 404),
    ] {
        let answer = send(method.clone(), &format!("{base}{path}"), headers).await;
        assert_eq!(answer.status, wanted, "{method} {path} {headers:?}: {answer:?}");
        assert_eq!(answer.headers["cache-control"], "no-store", "{method} {path}");
    }
}

#[tokio::test]
async fn a_reload_changes_who_gets_tokens_and_not_where() {
    let fixture = fixture().await;
    let alice = fixture.signed_in("alice").await;
    let (url_before, handle) = (url(&alice, "one").await, handle(&alice, "one").await);
    let pid = fixture.appliance.app("one").unwrap()["pid"].clone();
    let narrow = "[apps.one]\naccess = { groups = [\"nobody\"] }\n";
    edit(&fixture.appliance, &[("[apps.one]\n", narrow)]);
    assert_eq!(
        reload(&fixture.appliance).iter().filter(|step| step.contains("restart")).count(),
        0
    );
    assert_eq!(ask(&url_before, &handle).await.status, 403);
    // A part of the app admits the person again.
    let part = format!("{narrow}rules = [{{ path = \"/part/**\", access = \"signed-in\" }}]\n");
    edit(&fixture.appliance, &[(narrow, &part)]);
    reload(&fixture.appliance);
    assert_eq!(ask(&url_before, &handle).await.status, 200);
    edit(&fixture.appliance, &[(&part, "[apps.one]\n")]);
    reload(&fixture.appliance);
    assert_eq!(subject(&token(&url_before, &handle).await), "sub-alice");
    assert_eq!(url(&alice, "one").await, url_before);
    assert_eq!(fixture.appliance.app("one").unwrap()["pid"], pid);
}

#[tokio::test]
async fn an_app_begins_to_ask_for_tokens_by_a_reload() {
    let fixture = fixture_of(&[("late", "")]).await;
    let alice = fixture.signed_in("alice").await;
    assert_eq!(url(&alice, "late").await, "");
    assert_eq!(told(&alice, "late", HANDLE, &[EVENTS]).await, None);
    edit(&fixture.appliance, &[("[apps.late]\n", &format!("[apps.late]\n{IDENTITY}"))]);
    let steps = reload(&fixture.appliance);
    let restart = "restart late: env.APPLIANCE_TOKEN_URL";
    assert!(steps.iter().any(|step| step == restart), "{steps:?}");
    let bound = eventually("the new process", async || {
        let answer = alice.send(Method::GET, "/late/url", FETCH).await.unwrap();
        Some(answer.body).filter(|url| answer.status == 200 && !url.is_empty())
    })
    .await;
    assert_eq!(subject(&token(&bound, &handle(&alice, "late").await).await), "sub-alice");
    edit(&fixture.appliance, &[("[apps.late]\n", "[apps.late]\ntitle = \"Late\"\n")]);
    assert!(reload(&fixture.appliance).iter().all(|step| !step.contains("restart")));
    assert_eq!(url(&alice, "late").await, bound);
    assert_eq!(ask(&bound, &handle(&alice, "late").await).await.status, 200);
}

#[tokio::test]
async fn an_expired_token_is_not_given() {
    let fixture = fixture().await;
    let ttl = Duration::from_secs(2);
    fixture.issuer.order(|orders| orders.ttl = ttl);
    let alice = fixture.signed_in("alice").await;
    fixture.issuer.order(|orders| orders.refresh_tokens = false);
    let bob = fixture.signed_in("bob").await;
    let url = url(&alice, "one").await;
    let (hers, his) = (handle(&alice, "one").await, handle(&bob, "one").await);
    fixture.issuer.fault(Call::Refresh, Fault::Status(503), usize::MAX);
    outlive(ttl).await;
    let answer = ask(&url, &hers).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.headers["retry-after"].to_str().unwrap().parse::<u64>().unwrap() >= 1);
    assert!(answer.json().is_string(), "{answer:?}");
    let answer = ask(&url, &his).await;
    assert_eq!(answer.status, 401, "there is no refresh token: {answer:?}");
    fixture.issuer.heal();
    let found = eventually("the issuer to be asked again", async || {
        Some(ask(&url, &hers).await).filter(|answer| answer.status == 200)
    });
    assert_eq!(subject(found.await.json()["access_token"].as_str().unwrap()), "sub-alice");
    fixture.issuer.revoke("alice");
    outlive(ttl).await;
    assert_eq!(ask(&url, &hers).await.status, 401, "the issuer has ended the session");
}

#[tokio::test]
async fn a_program_that_brings_a_token_gets_no_handle() {
    let fixture = fixture_of(&[("one", &format!("{IDENTITY}bearer = true\n"))]).await;
    let robot = format!("Bearer {}", fixture.issuer.mint("bob", &json!({})));
    let headers = [("authorization", robot.as_str()), EVENTS];
    let browser = fixture.browser();
    assert!(told(&browser, "one", "x-token", &headers).await.is_some());
    assert_eq!(told(&browser, "one", HANDLE, &headers).await, None);
    let alice = fixture.signed_in("alice").await;
    assert!(!handle(&alice, "one").await.is_empty());
}
