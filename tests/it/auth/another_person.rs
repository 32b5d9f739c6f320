//! A login as another person than the one who is signed in.

use appliance::auth::Reply;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use super::{Browser, Stack, cookies, redirect, visitor};
use crate::issuer::Call;

impl Stack {
    fn is(&self, user: &str) {
        self.issuer.order(|orders| user.clone_into(&mut orders.user));
    }

    async fn confirm(&self, browser: &mut Browser, path: &str) -> Reply {
        let query = path.strip_prefix("/oauth2/callback?").unwrap();
        let reply = self.auth.confirm(query, &browser.headers()).await;
        browser.take(cookies(&reply));
        reply
    }

    /// A login that the person begins by typing its address.
    fn begin_typed(&self, browser: &mut Browser) -> String {
        let (to, cookies) = redirect(self.auth.start("rd=/app", &typed(browser.headers())));
        browser.take(&cookies);
        self.issuer.approve(&to)
    }
}

/// The headers of an address that the person types.
fn typed(mut headers: HeaderMap) -> HeaderMap {
    for (name, value) in
        [("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]
    {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    headers
}

#[tokio::test]
async fn a_planted_attempt_asks_before_anybody_is_replaced() {
    let stack = Stack::new().await;
    let mut alice = stack.signed_in("alice").await;
    let before = alice.clone();
    stack.is("bob");
    let mut attacker = Browser::default();
    let callback = stack.begin(&mut attacker, "/app");
    alice.0.extend(attacker.0.clone());
    let Reply::Page { status, title, message, action, link, cookies, .. } =
        stack.finish(&mut alice, &callback).await
    else {
        panic!("no page")
    };
    let action = action.unwrap();
    let (title, message) = (title.to_string(), message.to_string());
    assert_eq!((status, title.as_str()), (StatusCode::OK, "Continue as bob?"));
    assert!(message.contains("alice") && message.contains("bob"), "{message}");
    assert!(action.post && action.text.to_string().contains("bob"));
    assert_eq!(link.unwrap().1, "/app");
    assert!(!cookies.iter().any(|line| line.to_str().unwrap().starts_with("appliance=")));
    assert_eq!(stack.who(&mut alice).await.as_deref(), Some("alice"));
    // A reload exchanges nothing and stays with alice.
    alice.0.extend(attacker.0.clone());
    assert_eq!(redirect(stack.finish(&mut alice, &callback).await).0, "/app");
    assert_eq!(stack.issuer.count(Call::Code), 2);
    // Nobody else can answer.
    for mut other in [Browser::default(), attacker.clone(), stack.signed_in("carol").await] {
        let (to, _) = redirect(stack.confirm(&mut other, &action.path).await);
        assert_eq!(to, "/oauth2/start?rd=%2F");
    }
    assert_eq!(stack.who(&mut alice).await.as_deref(), Some("alice"));
    assert_eq!(redirect(stack.confirm(&mut alice, &action.path).await).0, "/app");
    assert_eq!(stack.who(&mut alice).await.as_deref(), Some("bob"));
    assert_eq!(stack.who(&mut before.clone()).await, None, "replaced");
    let (to, _) = redirect(stack.confirm(&mut alice, &action.path).await);
    assert_eq!(to, "/oauth2/start?rd=%2F", "once");
}

#[tokio::test]
async fn a_second_tab_asks_too_and_the_same_person_is_not_asked() {
    let stack = Stack::new().await;
    let mut browser = Browser::default();
    stack.is("alice");
    let (one, again) = (stack.begin(&mut browser, "/one"), stack.begin(&mut browser, "/again"));
    stack.is("bob");
    let two = stack.begin(&mut browser, "/two");
    assert_eq!(redirect(stack.finish(&mut browser, &one).await).0, "/one");
    assert_eq!(redirect(stack.finish(&mut browser, &again).await).0, "/again");
    stack.asked(&mut browser, &two).await;
    assert_eq!(stack.who(&mut browser).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_session_that_sleeps_since_a_restart_asks_too() {
    let mut stack = Stack::new().await;
    let mut alice = stack.signed_in("alice").await;
    stack.restart().await;
    stack.is("bob");
    let callback = stack.begin(&mut alice, "/app");
    // The issuer knows who is who: the restored session is alice's.
    stack.is("alice");
    let path = stack.asked(&mut alice, &callback).await;
    assert_eq!(stack.who(&mut alice).await.as_deref(), Some("alice"));
    assert_eq!(redirect(stack.confirm(&mut alice, &path).await).0, "/app");
    assert_eq!(stack.who(&mut alice).await.as_deref(), Some("bob"));
}

#[tokio::test]
async fn a_session_that_is_over_is_nobody_to_ask_about() {
    let mut stack = Stack::new().await;
    let mut alice = stack.signed_in("alice").await;
    stack.restart().await;
    stack.issuer.revoke("alice");
    stack.is("bob");
    assert_eq!(stack.log_in(&mut alice, "/app").await, "/app");
    assert_eq!(stack.who(&mut alice).await.as_deref(), Some("bob"));
}

#[tokio::test]
async fn a_login_that_the_person_types_replaces_what_the_browser_has() {
    // Also a session that is asleep since a restart.
    for restart in [false, true] {
        let mut stack = Stack::new().await;
        let attacker = stack.signed_in("bob").await;
        if restart {
            stack.restart().await;
        }
        let mut victim = attacker.clone();
        stack.is("alice");
        let callback = stack.begin_typed(&mut victim);
        assert_eq!(redirect(stack.finish(&mut victim, &callback).await).0, "/app");
        assert_ne!(victim.cookie(), attacker.cookie());
        assert_eq!(stack.who(&mut victim).await.as_deref(), Some("alice"));
        assert_eq!(stack.who(&mut attacker.clone()).await, None, "it was replaced");
    }
    // What came into the browser after the address was typed is asked about.
    let stack = Stack::new().await;
    let mut browser = Browser::default();
    stack.is("bob");
    let callback = stack.begin_typed(&mut browser);
    browser.0.extend(stack.signed_in("alice").await.0);
    stack.asked(&mut browser, &callback).await;
}

/// Two sessions in one request are nobody's. The login that follows settles it without a question,
/// if it began in this browser.
#[tokio::test]
async fn a_planted_session_beside_ones_own_hides_no_planted_attempt() {
    let stack = Stack::new().await;
    let planted = stack.signed_in("bob").await.cookie().unwrap().clone();
    let mut alice = stack.signed_in("alice").await;
    let beside = |browser: &Browser| {
        let line =
            format!("appliance={planted}; {}", browser.headers()["cookie"].to_str().unwrap());
        let mut headers = browser.headers();
        headers.insert("cookie", line.try_into().unwrap());
        headers
    };
    let finish = async |browser: &Browser, callback: &str| {
        let query = callback.split_once('?').unwrap().1;
        stack.auth.callback(query, visitor(&beside(browser)), true).await
    };
    // Planted: the attempt of another browser, for another person.
    stack.is("bob");
    let mut attacker = Browser::default();
    let callback = stack.begin(&mut attacker, "/app");
    let mut victim = alice.clone();
    victim.0.extend(attacker.0);
    let reply = finish(&victim, &callback).await;
    assert!(matches!(reply, Reply::Page { status: StatusCode::OK, .. }), "{reply:?}");
    // Planted: the attempt and the session that it names. The planted session shows only here.
    stack.is("bob");
    let mut attacker = Browser::default();
    attacker.0.insert("appliance".into(), planted.clone());
    let callback = stack.begin_typed(&mut attacker);
    let mut victim = alice.clone();
    attacker.0.remove("appliance");
    victim.0.extend(attacker.0);
    let reply = finish(&victim, &callback).await;
    let Reply::Page { status: StatusCode::OK, message, .. } = reply else { panic!("{reply:?}") };
    assert!(message.to_string().contains("signed in as alice"), "{message}");
    assert_eq!(stack.who(&mut alice.clone()).await.as_deref(), Some("alice"));
    // Her own login: a planted session that showed when it began is nobody.
    stack.is("alice");
    let (to, cookies) = redirect(stack.auth.start("rd=/app", &typed(beside(&alice))));
    alice.take(&cookies);
    let callback = stack.issuer.approve(&to);
    assert_eq!(redirect(finish(&alice, &callback).await).0, "/app");
}

/// An attempt names at most eight sessions. The person is asked about the others.
#[tokio::test]
async fn more_sessions_than_an_attempt_names_are_asked_about() {
    for (count, asks) in [(7, false), (8, true)] {
        let stack = Stack::new().await;
        let mut planted = Vec::new();
        for _ in 0..count {
            planted.push(stack.signed_in("bob").await.cookie().unwrap().clone());
        }
        let alice = stack.signed_in("alice").await;
        let own = alice.cookie().unwrap();
        let of = |login: &str| {
            let planted = planted.iter().chain([own]);
            let pairs: Vec<_> = planted.map(|value| format!("appliance={value}")).collect();
            let mut headers = alice.headers();
            let line = format!("{}; {login}", pairs.join("; "));
            headers.insert("cookie", line.try_into().unwrap());
            headers
        };
        stack.is("bob");
        let (to, cookies) = redirect(stack.auth.start("rd=/app", &typed(of(""))));
        let login = cookies[0].to_str().unwrap().split(';').next().unwrap().to_owned();
        let callback = stack.issuer.approve(&to);
        let query = callback.split_once('?').unwrap().1;
        let reply = stack.auth.callback(query, visitor(&of(&login)), true).await;
        assert_eq!(matches!(reply, Reply::Page { .. }), asks, "{count} {reply:?}");
        let own = stack.who(&mut alice.clone()).await;
        assert_eq!(own.is_some(), asks, "{count}");
    }
}

#[tokio::test]
async fn an_answer_without_a_question_begins_a_login() {
    let stack = Stack::new().await;
    for query in ["", "confirm=", "confirm=x", "confirm=x&confirm=x"] {
        let (to, _) = redirect(stack.auth.confirm(query, &HeaderMap::new()).await);
        assert_eq!(to, "/oauth2/start?rd=%2F", "{query}");
    }
}

#[tokio::test]
async fn a_replaced_session_is_revoked_at_the_issuer() {
    // By a login that the person types, by a confirmed one, and by one after a restart.
    for way in ["typed", "confirmed", "restarted"] {
        let mut stack = Stack::new().await;
        let mut browser = stack.signed_in("alice").await;
        if way == "restarted" {
            stack.restart().await;
        }
        stack.is("bob");
        if way == "confirmed" {
            let callback = stack.begin(&mut browser, "/app");
            let path = stack.asked(&mut browser, &callback).await;
            assert_eq!(stack.issuer.count(Call::Revoke), 0, "alice may stay");
            redirect(stack.confirm(&mut browser, &path).await);
        } else {
            let callback = stack.begin_typed(&mut browser);
            redirect(stack.finish(&mut browser, &callback).await);
        }
        assert_eq!(stack.who(&mut browser).await.as_deref(), Some("bob"), "{way}");
        stack.auth.close().await;
        assert_eq!(stack.issuer.count(Call::Revoke), 1, "{way}");
    }
}

#[tokio::test]
async fn a_login_in_the_same_session_of_the_issuer_revokes_nothing() {
    let stack = Stack::new().await;
    stack.is("alice");
    stack.issuer.order(|orders| {
        orders.people.get_mut("alice").unwrap()["sid"] = serde_json::json!("one-session");
    });
    let mut browser = Browser::default();
    for _ in 0..2 {
        let callback = stack.begin_typed(&mut browser);
        redirect(stack.finish(&mut browser, &callback).await);
    }
    assert_eq!(stack.who(&mut browser).await.as_deref(), Some("alice"));
    stack.auth.close().await;
    assert_eq!(stack.issuer.count(Call::Revoke), 0);
}
