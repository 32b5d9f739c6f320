//! Sign-out.

use std::collections::BTreeMap;
use std::time::Duration;

use appliance::auth::{IssuerState, SessionState};
use http::header::COOKIE;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::{Browser, Stack, cookies, open, redirect, status};
use crate::issuer::Call;

#[tokio::test]
async fn a_sign_out_ends_the_session_and_its_tunnels() {
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
    // The browser reaches the issuer before the revocation, which a stop does not lose.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert_eq!(stack.issuer.count(Call::Revoke), 0);
    stack.auth.close().await;
    assert_eq!(stack.issuer.count(Call::Revoke), 1);
}

#[tokio::test]
async fn a_long_hint_is_omitted_and_the_session_is_revoked_first() {
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

/// Keycloak warns about the revocation of a session that it has ended.
#[tokio::test]
async fn a_session_that_the_browser_has_ended_at_the_issuer_is_not_revoked() {
    let stack = Stack::new().await;
    let mut browser = stack.signed_in("alice").await;
    let reply = stack.auth.sign_out("rd=/app%3Fx=1", &browser.headers()).await;
    browser.take(cookies(&reply));
    let to = redirect(reply).0;
    // An issuer behind the appliance: the browser passes by on its way there.
    let there = to.split_once('?').unwrap().1;
    for path in ["/auth/logout", "/app"] {
        assert_eq!(stack.auth.return_from_sign_out(path, there), None, "{path}");
    }
    let browser = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .unwrap();
    let answer = browser.get(to).send().await.unwrap();
    assert_eq!(stack.issuer.sign_outs()[0]["client_id"], "appliance");
    let back = answer.headers()["location"].to_str().unwrap();
    let query = back.strip_prefix("http://localhost:8080/app?").unwrap();
    assert!(query.starts_with("x=1&state="), "{query}");
    let on = stack.auth.return_from_sign_out("/app", query);
    assert_eq!(on.as_deref(), Some("http://localhost:8080/app?x=1"));
    assert_eq!(stack.auth.return_from_sign_out("/app", query), None);
    stack.auth.close().await;
    assert_eq!(stack.issuer.count(Call::Revoke), 0);
}

#[tokio::test]
async fn a_stranger_cannot_prevent_the_revocation() {
    let stack = Stack::new().await;
    let mut alice = stack.signed_in("alice").await;
    let mut bob = stack.signed_in("bob").await;
    let to = url::Url::parse(&stack.sign_out(&mut alice).await).unwrap();
    let of_bob = url::Url::parse(&stack.sign_out(&mut bob).await).unwrap();
    let query: BTreeMap<_, _> = to.query_pairs().into_owned().collect();
    for guess in ["state=", "state=x", "state=appliance", &format!("state={}x", query["state"])] {
        assert_eq!(stack.auth.return_from_sign_out("/", guess), None, "{guess}");
    }
    let own: BTreeMap<_, _> = of_bob.query_pairs().into_owned().collect();
    assert!(stack.auth.return_from_sign_out("/", &format!("state={}", own["state"])).is_some());
    stack.auth.close().await;
    assert_eq!(stack.issuer.count(Call::Revoke), 1);
}

/// Its refresh token is good beyond the issuer's session.
#[tokio::test]
async fn a_session_with_offline_access_is_always_revoked() {
    let stack = Stack::with(|config| {
        config.oidc.as_mut().unwrap().scopes.push("offline_access".to_owned());
    })
    .await;
    let mut browser = stack.signed_in("alice").await;
    let to = stack.sign_out(&mut browser).await;
    assert!(to.contains("id_token_hint=") && !to.contains("state="), "{to}");
    stack.auth.close().await;
    assert_eq!(stack.issuer.count(Call::Revoke), 1);
}

#[tokio::test]
async fn a_sign_out_ends_every_session_of_the_request() {
    let stack = Stack::new().await;
    let (alice, bob) = (stack.signed_in("alice").await, stack.signed_in("bob").await);
    let line =
        format!("appliance={}; appliance={}", alice.cookie().unwrap(), bob.cookie().unwrap());
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, line.try_into().unwrap());
    stack.auth.sign_out("", &headers).await;
    assert_eq!(stack.who(&mut alice.clone()).await, None);
    assert_eq!(stack.who(&mut bob.clone()).await, None);
}

/// The hint of a planted session would leave the person's own session at the issuer in force.
#[tokio::test]
async fn sessions_of_several_people_give_no_hint_and_are_all_revoked_first() {
    for (other, restart, hint) in [
        ("bob", false, false),
        ("bob", true, false),
        ("alice", false, true),
        // No ID token is known of a session from before a restart.
        ("alice", true, false),
    ] {
        let mut stack = Stack::new().await;
        let (own, planted) = (stack.signed_in("alice").await, stack.signed_in(other).await);
        if restart {
            stack.restart().await;
        }
        for pair in [[&own, &planted], [&planted, &own]] {
            let line = pair.map(|one| format!("appliance={}", one.cookie().unwrap())).join("; ");
            let mut headers = HeaderMap::new();
            headers.insert(COOKIE, line.try_into().unwrap());
            let to = redirect(stack.auth.sign_out("", &headers).await).0;
            if pair[0].cookie() == own.cookie() {
                assert_eq!(to.contains("id_token_hint="), hint, "{other} {restart}");
                if !hint {
                    assert_eq!(stack.issuer.count(Call::Revoke), 2, "{other} {restart}");
                }
            }
        }
    }
}

/// A refresh may bring no ID token, and an issuer may grant no refresh tokens.
#[tokio::test]
async fn after_a_restart_a_sign_out_still_ends_all_of_the_issuers_session() {
    for (id_on_refresh, refresh_tokens) in [(false, true), (true, false)] {
        for restored in [true, false] {
            let mut stack = Stack::new().await;
            stack.issuer.order(|orders| {
                orders.id_on_refresh = id_on_refresh;
                orders.refresh_tokens = refresh_tokens;
                orders.id_claims = json!({"sid": "shared"});
            });
            let (mut one, mut two) = (Browser::default(), Browser::default());
            stack.log_in(&mut one, "/").await;
            stack.log_in(&mut two, "/").await;
            stack.issuer.order(|orders| orders.id_claims = json!({"sid": "another"}));
            let mut other = stack.signed_in("alice").await;
            stack.issuer.order(|orders| orders.id_claims = json!({}));
            stack.restart().await;
            assert!(stack.who(&mut two).await.is_some() && stack.who(&mut other).await.is_some());
            // The session that signs out is restored, or known only by its cookie.
            if restored {
                assert!(stack.who(&mut one).await.is_some());
            }
            stack.auth.sign_out("", &one.headers()).await;
            assert_eq!(stack.who(&mut two).await, None, "{id_on_refresh} {restored}");
            assert!(stack.who(&mut other).await.is_some(), "{id_on_refresh} {restored}");
        }
    }
}

#[tokio::test]
async fn without_an_end_session_endpoint_only_the_own_session_ends() {
    let stack = Stack::new().await;
    stack.issuer.order(|orders| orders.discovery = json!({"end_session_endpoint": null}));
    let (auth, _running) = open(&stack.config);
    let mut state = auth.issuer();
    state.wait_for(|state| *state == IssuerState::Right).await.unwrap();
    let browser = stack.signed_in("alice").await;
    let reply = auth.sign_out("", &browser.headers()).await;
    assert_eq!(status(&reply), StatusCode::OK);
}
