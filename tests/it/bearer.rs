//! Programs with an access token.

use std::time::{Duration, Instant, SystemTime};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::fixture::Fixture;
use crate::harness::{Answer, Browser, FETCH, NAVIGATION, PATIENCE};
use crate::issuer::{Call, Fault};
use crate::logout::log_out;
use crate::reload::{edit, reload};
use crate::websocket::{Socket, closed, echoes};

const APPS: &str = r#"
[apps.api]
path = "/api"
upstream = "http://127.0.0.1:{UP}"
bearer = true
[apps.members]
path = "/members"
upstream = "http://127.0.0.1:{UP}"
bearer = true
access = { groups = ["group2"] }
identity = { user = "X-User", access_token = "X-Token", assertion = "X-Assertion" }
rules = [{ path = "/open/**", access = "public" }]
[apps.hosted-api]
host = "api.test"
upstream = "http://127.0.0.1:{UP}"
bearer = true
"#;

async fn fixture() -> Fixture {
    Fixture::beside("", APPS).await
}

async fn ask(fixture: &Fixture, path: &str, authorization: &str) -> Answer {
    ask_as(&fixture.browser(), path, authorization).await
}

async fn ask_as(browser: &Browser, path: &str, authorization: &str) -> Answer {
    let headers = [FETCH, &[("authorization", authorization)]].concat();
    browser.send(Method::GET, path, &headers).await.unwrap()
}

async fn status(fixture: &Fixture, path: &str, token: &str) -> u16 {
    ask(fixture, path, &format!("Bearer {token}")).await.status.as_u16()
}

fn challenge(answer: &Answer) -> &str {
    answer.headers.get("www-authenticate").map_or("", |value| value.to_str().unwrap())
}

/// The access lines of a path.
fn access_lines(fixture: &Fixture, path: &str) -> Vec<String> {
    let (log, path) = (fixture.appliance.log(), format!(" path={path} "));
    let lines = log.lines().filter(|line| line.contains("| request ") && line.contains(&path));
    lines.map(str::to_owned).collect()
}

#[tokio::test]
async fn a_good_token_opens_the_app_and_is_not_passed_on() {
    let fixture = fixture().await;
    let token = fixture.issuer.mint("bob", &json!({}));
    for scheme in ["Bearer", "bearer", "BEARER"] {
        let answer = ask(&fixture, "/api/x", &format!("{scheme} {token}")).await;
        assert_eq!(answer.status, 200, "{answer:?}\n{}", fixture.appliance.log());
        assert!(!answer.headers.contains_key("set-cookie"), "{answer:?}");
        let seen = fixture.upstream.seen().pop().unwrap();
        assert_eq!(seen.all("x-forwarded-user"), ["bob"]);
        assert_eq!(seen.all("x-forwarded-groups"), ["staff,group1"]);
        assert!(seen.all("authorization").is_empty(), "{seen:?}");
    }
    let answer = ask(&fixture, "/members/x", &bearer(&fixture, "alice")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let seen = fixture.upstream.seen().pop().unwrap();
    assert_eq!(seen.all("x-user"), ["alice"]);
    assert_eq!(seen.all("x-token").len() + seen.all("x-assertion").len(), 2, "{seen:?}");
    let line = access_lines(&fixture, "/api/x").pop().unwrap();
    assert!(line.contains(" user=bob ") && line.contains(" azp=robot "), "{line}");
    assert!(!fixture.appliance.log().contains(&token), "the log shows the token");
}

fn bearer(fixture: &Fixture, user: &str) -> String {
    format!("Bearer {}", fixture.issuer.mint(user, &json!({})))
}

#[tokio::test]
async fn only_access_tokens_of_the_issuer_for_these_apps_let_in() {
    let fixture = fixture().await;
    let mint = |more: Value| fixture.issuer.mint("alice", &more);
    let good = mint(json!({}));
    assert_eq!(status(&fixture, "/api/x", &good).await, 200);
    let (head, rest) = good.split_once('.').unwrap();
    let (claims, signature) = rest.split_once('.').unwrap();
    let other = mint(json!({"sub": "sub-bob"}));
    let swapped = format!("{head}.{}.{signature}", other.split('.').nth(1).unwrap());
    let before = fixture.upstream.seen().len();
    for (what, token) in [
        ("an ID token", mint(json!({"typ": "ID"}))),
        ("a refresh token", mint(json!({"typ": "Refresh"}))),
        ("an offline token", mint(json!({"typ": "Offline"}))),
        ("a logout token", mint(json!({"typ": "Logout", "events": {}}))),
        ("no kind", mint(json!({"typ": null}))),
        ("another audience", mint(json!({"aud": ["account", "other"]}))),
        ("no audience", mint(json!({"aud": null}))),
        ("another issuer", mint(json!({"iss": "https://evil.example"}))),
        ("expired", mint(json!({"exp": 1_000_000}))),
        ("not yet", mint(json!({"nbf": 4_000_000_000_u64}))),
        ("bound to a key", mint(json!({"cnf": {"jkt": "x"}}))),
        ("no subject", mint(json!({"sub": null}))),
        ("other claims", swapped),
        ("no signature", format!("{head}.{claims}.")),
        ("no token", "abc".to_owned()),
        ("nothing", String::new()),
    ] {
        let answer = ask(&fixture, "/api/x", &format!("Bearer {token}")).await;
        assert_eq!(answer.status, 401, "{what}: {answer:?}");
        assert!(challenge(&answer).contains("error=\"invalid_token\""), "{what}: {answer:?}");
    }
    // Also beside a good cookie.
    let alice = fixture.signed_in("alice").await;
    let answer = ask_as(&alice, "/api/x", "Bearer abc").await;
    assert_eq!(answer.status, 401, "{answer:?}");
    assert_eq!(fixture.upstream.seen().len(), before + 1, "the app got a request");
    assert_eq!(alice.send(Method::GET, "/api/x", FETCH).await.unwrap().status, 200);
}

#[tokio::test]
async fn other_apps_take_no_token_and_keep_the_header() {
    let fixture = fixture().await;
    let token = bearer(&fixture, "alice");
    assert_eq!(ask(&fixture, "/app/x", &token).await.status, 401);
    let alice = fixture.signed_in("alice").await;
    for authorization in [token.as_str(), "Basic YTpi"] {
        assert_eq!(ask_as(&alice, "/app/x", authorization).await.status, 200);
        assert_eq!(fixture.upstream.seen().pop().unwrap().all("authorization"), [authorization]);
    }
    // Of an app with `bearer`, another scheme changes nothing for the session, and goes no further.
    assert_eq!(ask_as(&alice, "/api/x", "Basic YTpi").await.status, 200);
    assert!(fixture.upstream.seen().pop().unwrap().all("authorization").is_empty());
}

#[tokio::test]
async fn the_policy_holds_as_for_people() {
    let fixture = fixture().await;
    let answer = ask(&fixture, "/members/x", &bearer(&fixture, "bob")).await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(challenge(&answer).contains("error=\"insufficient_scope\""), "{answer:?}");
    assert_eq!(ask(&fixture, "/members/open/x", &bearer(&fixture, "bob")).await.status, 200);
    assert_eq!(ask(&fixture, "/members/open/x", "Bearer abc").await.status, 401);
    // A program sends changes without an origin, and from any: no page can send its token.
    let (alice, browser) = (bearer(&fixture, "alice"), fixture.browser());
    let headers = [("authorization", alice.as_str()), ("origin", "https://elsewhere.example")];
    let answer = browser.send(Method::POST, "/members/x", &headers).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    // People sign in as ever.
    let page = fixture.browser().send(Method::GET, "/members/x", NAVIGATION).await.unwrap();
    assert!(page.location().starts_with("/oauth2/start"), "{page:?}");
}

#[tokio::test]
async fn a_program_learns_which_issuer_gives_tokens() {
    let fixture = fixture().await;
    let base = fixture.appliance.url.clone();
    let well_known = "/.well-known/oauth-protected-resource";
    let answer = fixture.browser().send(Method::GET, "/api/x", FETCH).await.unwrap();
    assert_eq!(answer.status, 401);
    let metadata = format!("Bearer resource_metadata=\"{base}{well_known}/api\"");
    assert_eq!(challenge(&answer), metadata);
    let browser = fixture.browser();
    let get = async |path: &str| browser.send(Method::GET, path, FETCH).await.unwrap();
    let document = get(&format!("{well_known}/api")).await;
    assert_eq!(document.json()["resource"], format!("{base}/api"));
    assert_eq!(document.json()["authorization_servers"], json!([fixture.issuer.url]));
    assert_eq!(document.headers["access-control-allow-origin"], "*");
    for path in ["/app", "/api/x", "/nowhere", ""] {
        let answer = get(&format!("{well_known}{path}")).await;
        assert_eq!(answer.status, 404, "{path}: {answer:?}");
    }
    let port = fixture.appliance.port;
    let host = format!("api.test:{port}");
    let headers = [("host", host.as_str())];
    let document = browser.send(Method::GET, well_known, &headers).await.unwrap();
    assert_eq!(document.json()["resource"], format!("http://{host}/"), "{document:?}");
}

#[tokio::test]
async fn the_issuer_is_asked_about_tokens_that_only_it_can_read() {
    let fixture = fixture().await;
    let about = |more: Value| {
        let mut answer = json!({"active": true, "sub": "sub-alice", "aud": "appliance",
            "exp": 4_000_000_000_u64, "client_id": "robot", "preferred_username": "alice"});
        answer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        answer
    };
    fixture.issuer.order(|orders| {
        orders.opaque.insert("opaque-good".into(), about(json!({})));
        orders.opaque.insert("opaque-refresh".into(), about(json!({"typ": "Refresh"})));
        orders.opaque.insert("opaque-other".into(), about(json!({"aud": "other"})));
    });
    for _ in 0..3 {
        assert_eq!(status(&fixture, "/api/x", "opaque-good").await, 200);
    }
    assert_eq!(fixture.issuer.count(Call::Introspect), 1, "the answer is kept");
    let line = access_lines(&fixture, "/api/x").pop().unwrap();
    assert!(line.contains(" azp=robot "), "{line}");
    for token in ["opaque-refresh", "opaque-other", "opaque-unknown"] {
        assert_eq!(status(&fixture, "/api/x", token).await, 401, "{token}");
    }
    fixture.issuer.fault(Call::Introspect, Fault::Status(500), 1);
    let answer = ask(&fixture, "/api/x", "Bearer opaque-new").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"));
}

async fn open(fixture: &Fixture, path: &str, token: &str) -> Socket {
    let url = format!("ws://127.0.0.1:{}{path}", fixture.appliance.port);
    let mut request = url.into_client_request().unwrap();
    let host = format!("localhost:{}", fixture.appliance.port);
    request.headers_mut().insert("host", host.parse().unwrap());
    request.headers_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    tokio_tungstenite::connect_async(request).await.unwrap().0
}

#[tokio::test]
async fn what_lasts_ends_with_the_token() {
    let fixture = Fixture::beside("", APPS).await;
    edit(&fixture.appliance, &[("[session]", "clock_skew = \"0s\"\n[session]")]);
    reload(&fixture.appliance);
    fixture.issuer.order(|orders| orders.ttl = Duration::from_secs(4));
    let token = fixture.issuer.mint("alice", &json!({}));
    let begun = Instant::now();
    let mut socket = open(&fixture, "/members/ws", &token).await;
    echoes(&mut socket).await;
    let (code, _) = closed(&mut socket).await;
    assert_eq!(code, Some(CloseCode::Policy));
    assert!(begun.elapsed() > Duration::from_secs(2), "{:?}", begun.elapsed());
    assert_eq!(status(&fixture, "/members/x", &token).await, 401);
}

#[tokio::test]
async fn tokens_end_with_the_sessions_of_their_person() {
    let fixture = fixture().await;
    let seconds = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let now = seconds();
    let mint = |user: &str, sid: &str, iat: u64| {
        fixture.issuer.mint(user, &json!({"sid": sid, "iat": iat}))
    };
    let (one, other) = (mint("alice", "one", now - 10), mint("alice", "other", now - 10));
    let mut ends = open(&fixture, "/api/ws", &one).await;
    let mut stays = open(&fixture, "/api/ws", &other).await;
    let logout = fixture.issuer.logout_token(&json!({"sid": "one"}));
    assert_eq!(log_out(&fixture, &logout).await.status(), 200);
    assert_eq!(closed(&mut ends).await.0, Some(CloseCode::Policy));
    echoes(&mut stays).await;
    assert_eq!(status(&fixture, "/api/x", &one).await, 401);
    assert_eq!(status(&fixture, "/api/x", &mint("alice", "one", now - 9)).await, 401);
    assert_eq!(status(&fixture, "/api/x", &other).await, 200);

    let ended = fixture.appliance.cli(&["sessions", "end", "--user", "alice"]);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(closed(&mut stays).await.0, Some(CloseCode::Policy));
    assert_eq!(status(&fixture, "/api/x", &other).await, 401);
    assert_eq!(status(&fixture, "/api/x", &mint("bob", "third", now - 10)).await, 200);
    // One that does not say when it was issued counts as issued now, and so does one of the future, also in the
    // second of the end.
    let late = json!({"active": true, "sub": "sub-alice", "aud": "appliance",
        "exp": 4_000_000_000_u64, "preferred_username": "alice"});
    fixture.issuer.order(|orders| drop(orders.opaque.insert("opaque-late".into(), late)));
    assert_eq!(status(&fixture, "/api/x", "opaque-late").await, 200);
    assert_eq!(status(&fixture, "/api/x", &mint("alice", "fifth", seconds() + 20)).await, 200);
    // The next end reaches both, and they stay out.
    let ended = fixture.appliance.cli(&["sessions", "end", "--user", "alice"]);
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(status(&fixture, "/api/x", "opaque-late").await, 401);
    // Tokens say the second of their issue only. In the second of the end, they may be from before it.
    let end = seconds();
    while seconds() == end {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(status(&fixture, "/api/x", &mint("alice", "fourth", seconds())).await, 200);
}

#[tokio::test]
async fn a_reload_judges_what_lasts_again() {
    let fixture = fixture().await;
    let token = fixture.issuer.mint("alice", &json!({}));
    let mut api = open(&fixture, "/api/ws", &token).await;
    let mut members = open(&fixture, "/members/ws", &token).await;
    edit(
        &fixture.appliance,
        &[("path = \"/api\"", "path = \"/api\"\norigins = [\"https://a.test\"]")],
    );
    reload(&fixture.appliance);
    echoes(&mut api).await;
    echoes(&mut members).await;
    edit(&fixture.appliance, &[("bearer = true\n[apps.members]", "[apps.members]")]);
    reload(&fixture.appliance);
    assert_eq!(closed(&mut api).await.0, Some(CloseCode::Policy));
    echoes(&mut members).await;
    edit(&fixture.appliance, &[("[session]", "audiences = [\"reports\"]\n[session]")]);
    reload(&fixture.appliance);
    assert_eq!(closed(&mut members).await.0, Some(CloseCode::Policy));
    assert_eq!(status(&fixture, "/members/x", &token).await, 401);
    let token = fixture.issuer.mint("alice", &json!({"aud": ["account", "reports"]}));
    assert_eq!(status(&fixture, "/members/x", &token).await, 200);
}

#[tokio::test]
async fn new_keys_of_the_issuer_are_fetched() {
    let fixture = fixture().await;
    fixture.issuer.rotate_keys("new");
    assert_eq!(status(&fixture, "/api/x", &fixture.issuer.mint("alice", &json!({}))).await, 200);
}

#[tokio::test]
async fn new_tokens_count_as_logins_and_known_ones_do_not() {
    let fixture = fixture().await;
    let token = fixture.issuer.mint("alice", &json!({}));
    assert_eq!(status(&fixture, "/api/x", &token).await, 200);
    let browser = fixture.browser();
    let end = Instant::now() + PATIENCE;
    for round in 0.. {
        let tokens: Vec<_> =
            (0..50).map(|number| format!("Bearer made-up-{round}-{number}")).collect();
        let asked = join_all(tokens.iter().map(|token| ask_as(&browser, "/api/x", token))).await;
        if asked.iter().any(|answer| answer.status == 429) {
            break;
        }
        assert!(Instant::now() < end, "the issuer would be asked without end");
    }
    assert_eq!(status(&fixture, "/api/x", &token).await, 200);
}
