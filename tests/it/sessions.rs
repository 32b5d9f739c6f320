//! Sessions as people and operators see and end them, through the built appliance.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::fixture::Fixture;
use crate::harness::{Browser, FETCH, NAVIGATION, eventually};
use crate::issuer::Call;
use crate::websocket::{closed, echoes, open_at};

const OWN: &str = "/_appliance/session";
const ALL: &str = "/_appliance/sessions";
const OPERATORS: &str = "operators = { groups = [\"group2\"] }";

async fn status(browser: &Browser) -> u16 {
    browser.send(Method::GET, "/app/", FETCH).await.unwrap().status.as_u16()
}

async fn list(browser: &mut Browser, path: &str) -> Vec<Value> {
    let answer = browser.fetch(path, &[("accept", "application/json")]).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()["sessions"].as_array().unwrap().clone()
}

fn id(row: &Value) -> &str {
    row["id"].as_str().unwrap()
}

fn other(rows: &[Value]) -> &str {
    id(rows.iter().find(|row| row["current"] == false).unwrap())
}

#[tokio::test]
async fn a_person_sees_and_ends_the_own_sessions_only() {
    let fixture = Fixture::new().await;
    let (mut here, there) = (fixture.signed_in("alice").await, fixture.signed_in("alice").await);
    let mut bob = fixture.signed_in("bob").await;
    let rows = list(&mut here, OWN).await;
    assert_eq!(rows.len(), 2);
    assert!(rows.iter().all(|row| row["user"] == "alice" && row["client_ip"] == "127.0.0.1"));
    assert_eq!(rows.iter().filter(|row| row["current"] == true).count(), 1);
    for name in ["since", "last_used"] {
        assert!(rows[0][name].as_str().unwrap().ends_with('Z'), "{}", rows[0]);
    }
    let page = here.open(OWN).await;
    assert!(page.body.contains("Where you are signed in") && page.body.contains("this session"));
    let cookie = here.cookie_line();
    let secret = cookie.split_once('=').unwrap().1;
    assert!(
        !page.body.contains(secret) && !rows.iter().any(|row| row.to_string().contains(secret))
    );

    let of_bob = list(&mut bob, OWN).await;
    assert_eq!(of_bob.len(), 1);
    let foreign = fixture.press(&here, &format!("{OWN}/{}/end", id(&of_bob[0]))).await;
    assert_eq!(foreign.status, 404);
    let ended = fixture.press(&here, &format!("{OWN}/{}/end", other(&rows))).await;
    assert_eq!((ended.status.as_u16(), ended.location()), (303, OWN));
    assert_eq!((status(&there).await, status(&here).await, status(&bob).await), (401, 200, 200));
    // Otherwise the issuer would sign the other browser in again without a question.
    eventually("the revocation", async || (fixture.issuer.count(Call::Revoke) == 1).then_some(()))
        .await;
    assert_eq!(fixture.press(&here, &format!("{OWN}/{}/end", other(&rows))).await.status, 404);
}

#[tokio::test]
async fn all_other_sessions_end_also_those_that_only_a_cookie_knows() {
    let mut fixture = Fixture::new().await;
    let (here, old) = (fixture.signed_in("alice").await, fixture.signed_in("alice").await);
    // The end reaches what began in an earlier second.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    fixture.appliance.stop().await;
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    let new = fixture.signed_in("alice").await;
    let ended = fixture.press(&here, &format!("{OWN}/others/end")).await;
    assert_eq!(ended.status, 303);
    assert_eq!((status(&here).await, status(&old).await, status(&new).await), (200, 401, 401));
    fixture.appliance.stop().await;
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    assert_eq!((status(&here).await, status(&old).await, status(&new).await), (200, 401, 401));
}

#[tokio::test]
async fn an_order_is_a_post_of_an_own_page() {
    let fixture = Fixture::beside(OPERATORS, "").await;
    let mut alice = fixture.signed_in("alice").await;
    let victim = fixture.signed_in("bob").await;
    let rows = list(&mut alice, ALL).await;
    let bob = id(rows.iter().find(|row| row["user"] == "bob").unwrap());
    let url = fixture.appliance.url.as_str();
    for path in [format!("{ALL}/{bob}/end"), format!("{OWN}/others/end")] {
        for headers in [
            &[][..],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
            &[("origin", "null")],
            &[("origin", url), ("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "none")],
        ] {
            let answer = alice.send(Method::POST, &path, headers).await.unwrap();
            assert_eq!(answer.status, 403, "{path} {headers:?}");
        }
        for method in [Method::GET, Method::HEAD, Method::DELETE] {
            assert_eq!(alice.send(method, &path, NAVIGATION).await.unwrap().status, 405);
        }
        let stranger = fixture.browser();
        let answer = stranger.send(Method::POST, &path, &[("origin", url)]).await.unwrap();
        assert_eq!(answer.status, 401);
    }
    assert_eq!((status(&victim).await, status(&alice).await), (200, 200));
}

#[tokio::test]
async fn operators_see_all_sessions_and_end_one_for_good() {
    let mut fixture = Fixture::beside(OPERATORS, "").await;
    let mut alice = fixture.signed_in("alice").await;
    let mut bob = fixture.signed_in("bob").await;
    assert_eq!(bob.open(ALL).await.status, 403);
    let mut socket = open_at(&fixture, &bob, "/app/ws", None).await.unwrap();
    echoes(&mut socket).await;
    let rows = list(&mut alice, ALL).await;
    let users: Vec<_> = rows.iter().map(|row| row["user"].as_str().unwrap()).collect();
    assert_eq!(users.len(), 2, "{rows:?}");
    let row = rows.iter().find(|row| row["user"] == "bob").unwrap();
    assert_eq!((&row["sockets"], &row["current"]), (&Value::from(1), &Value::from(false)));
    assert!(alice.open(ALL).await.body.contains("<td>bob</td>"));

    let path = format!("{ALL}/{}/end", id(row));
    assert_eq!(fixture.press(&bob, &path).await.status, 403);
    let script = [("origin", fixture.appliance.url.as_str()), ("accept", "application/json")];
    let answer = alice.send(Method::POST, &path, &script).await.unwrap();
    assert_eq!((answer.status.as_u16(), answer.json()["ended"].as_u64()), (202, Some(1)));
    let (code, took) = closed(&mut socket).await;
    assert_eq!(code, Some(CloseCode::Policy));
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert_eq!((status(&bob).await, status(&alice).await), (401, 200));
    fixture.appliance.logs("an operator has ended sessions").await;
    fixture.appliance.stop().await;
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    assert_eq!((status(&bob).await, status(&alice).await), (401, 200));
}

#[tokio::test]
async fn nobody_is_an_operator_without_the_setting() {
    let fixture = Fixture::new().await;
    let mut alice = fixture.signed_in("alice").await;
    assert_eq!(alice.open(ALL).await.status, 403);
    assert_eq!(
        fixture.browser().open(ALL).await.location(),
        "/oauth2/start?rd=%2F_appliance%2Fsessions"
    );
    let mut browser = fixture.browser();
    assert_eq!(browser.fetch(OWN, &[]).await.status, 401);
    assert_eq!(alice.open(&format!("{OWN}/x/y")).await.status, 404);
}

#[tokio::test]
async fn the_command_line_lists_and_ends_sessions() {
    let mut fixture = Fixture::new().await;
    let (alice, bob) = (fixture.signed_in("alice").await, fixture.signed_in("bob").await);
    let cli = |fixture: &Fixture, arguments: &[&str]| {
        let output = fixture.appliance.cli(arguments);
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), text + &String::from_utf8_lossy(&output.stderr))
    };
    let (code, text) = cli(&fixture, &["sessions", "--json"]);
    assert_eq!(code, Some(0), "{text}");
    let rows: Value = serde_json::from_str(&text).unwrap();
    let rows = rows["sessions"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    let (code, text) = cli(&fixture, &["sessions"]);
    assert!(code == Some(0) && text.starts_with("ID ") && text.contains("alice"), "{text}");
    let of_bob = id(rows.iter().find(|row| row["user"] == "bob").unwrap());
    let (code, text) = cli(&fixture, &["sessions", "end", of_bob]);
    assert_eq!((code, text.as_str()), (Some(0), "1 session ended\n"));
    assert_eq!((status(&bob).await, status(&alice).await), (401, 200));
    for unknown in [of_bob, "0123", "x"] {
        let (code, text) = cli(&fixture, &["sessions", "end", unknown]);
        assert!(code == Some(1) && text.contains("no session with this id"), "{text}");
    }
    assert_eq!(cli(&fixture, &["sessions", "end"]).0, Some(2));

    // After a restart only the cookie knows the session.
    tokio::time::sleep(Duration::from_millis(1100)).await;
    fixture.appliance.stop().await;
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    assert_eq!(cli(&fixture, &["sessions", "end", "--user", "alice"]).0, Some(0));
    assert_eq!(status(&alice).await, 401);
    let again = fixture.signed_in("alice").await;
    assert_eq!(status(&again).await, 200);
}

#[tokio::test]
async fn the_own_host_of_an_app_shows_and_ends_no_sessions() {
    let fixture = Fixture::beside(OPERATORS, "").await;
    let alice = fixture.signed_in("alice").await;
    let host = format!("hosted.test:{}", fixture.appliance.port);
    let origin = format!("http://{host}");
    let headers = [("host", host.as_str()), ("origin", &origin), ("accept", "application/json")];
    for path in [OWN, ALL] {
        let answer = alice.send(Method::GET, path, &headers).await.unwrap();
        assert_eq!(answer.status, 302, "{path}: {answer:?}");
        assert!(answer.location().starts_with(&fixture.appliance.url), "{answer:?}");
        let all = format!("{path}/others/end");
        let answer = alice.send(Method::POST, &all, &headers).await.unwrap();
        assert_eq!(answer.status, 404, "{all}: {answer:?}");
    }
    assert_eq!(status(&alice).await, 200);
}
