//! Logins, from the first redirect to the session.

use std::collections::BTreeMap;
use std::time::Duration;

use appliance::auth::Authentication;
use appliance::config::SecretSource;
use http::{HeaderMap, StatusCode};
use serde_json::json;

use super::{Browser, Stack, key, query, redirect, status, visitor};
use crate::issuer::{Call, Fault};

#[tokio::test]
async fn a_login_returns_to_its_deep_link() {
    let stack = Stack::new().await;
    let mut browser = Browser::default();
    let deep = "/app/p%20q?next=https://x//y&n=%C3%BC";
    assert_eq!(stack.log_in(&mut browser, deep).await, deep);
    let session = stack.session(&mut browser).await.unwrap();
    let person = session.person();
    assert_eq!(person.user, "alice");
    assert_eq!(person.groups, ["staff", "group1", "group2"]);
    assert_eq!(person.headers.groups.as_ref().unwrap(), "staff,group1,group2");
    assert!(session.access_token().is_some());
    assert_eq!(stack.issuer.count(Call::Code), 1);
    assert_eq!(browser.0.len(), 1, "the attempt's cookie is gone");
    assert!(browser.cookie().unwrap().len() < 2048);
}

#[tokio::test]
async fn claims_written_as_text_are_accepted() {
    let stack = Stack::new().await;
    stack.issuer.order(|orders| {
        orders.id_claims = json!({"email_verified": "true", "updated_at": "2026-11-24T10:00:00Z"});
    });
    assert!(stack.signed_in("alice").await.cookie().is_some());
}

#[tokio::test]
async fn the_authorization_request_is_complete() {
    let stack = Stack::new().await;
    let (to, _) = redirect(stack.auth.start("rd=/", &HeaderMap::new()));
    let url = url::Url::parse(&to).unwrap();
    let query: BTreeMap<_, _> = url.query_pairs().into_owned().collect();
    assert_eq!(query["redirect_uri"], "http://localhost:8080/oauth2/callback");
    assert_eq!(query["response_type"], "code");
    assert_eq!(query["scope"], "openid profile email");
    assert_eq!(query["code_challenge_method"], "S256");
    assert_eq!(query["client_id"], "appliance");
    assert_eq!(query["ui_locales"], "de");
    assert!(query["nonce"].len() >= 22 && query["state"].len() >= 22);
}

#[tokio::test]
async fn logins_in_two_tabs_both_succeed() {
    let stack = Stack::new().await;
    let mut browser = Browser::default();
    let one = stack.begin(&mut browser, "/one");
    let two = stack.begin(&mut browser, "/two");
    assert_eq!(redirect(stack.finish(&mut browser, &two).await).0, "/two");
    assert_eq!(redirect(stack.finish(&mut browser, &one).await).0, "/one");
    assert!(stack.who(&mut browser).await.is_some());
}

#[tokio::test]
async fn a_callback_belongs_to_its_browser_and_is_redeemed_once() {
    let stack = Stack::new().await;
    let (mut mine, mut other) = (Browser::default(), Browser::default());
    let callback = stack.begin(&mut mine, "/app");
    stack.begin(&mut other, "/");
    let (to, _) = redirect(stack.finish(&mut other, &callback).await);
    assert_eq!(to, "/oauth2/start?rd=%2Fapp&again=1");
    assert_eq!(stack.issuer.count(Call::Code), 0);
    let before = mine.clone();
    assert_eq!(redirect(stack.finish(&mut mine, &callback).await).0, "/app");
    // Back button, with and without the attempt's cookie.
    assert_eq!(redirect(stack.finish(&mut mine, &callback).await).0, "/app");
    let mut again = before.clone();
    again.0.extend(mine.0.clone());
    assert_eq!(redirect(stack.finish(&mut again, &callback).await).0, "/app");
    // With only the attempt's cookie a new login begins.
    let (to, _) = redirect(stack.finish(&mut before.clone(), &callback).await);
    assert_eq!(to, "/oauth2/start?rd=%2Fapp");
    assert_eq!(stack.issuer.count(Call::Code), 1);
    assert!(stack.who(&mut mine).await.is_some());
}

#[tokio::test]
async fn a_second_callback_waits_for_the_first() {
    let stack = Stack::new().await;
    let mut browser = Browser::default();
    let callback = stack.begin(&mut browser, "/app");
    let hold = stack.issuer.hold(Call::Code);
    let (mut one, mut two) = (browser.clone(), browser);
    let (first, second) = tokio::join!(stack.finish(&mut one, &callback), async {
        hold.arrived.notified().await;
        let second = stack.finish(&mut two, &callback);
        tokio::pin!(second);
        let early = tokio::time::timeout(Duration::from_millis(50), &mut second).await;
        assert!(early.is_err());
        stack.issuer.release(Call::Code);
        second.await
    });
    assert_eq!((redirect(first).0, redirect(second).0), ("/app".into(), "/app".into()));
    assert_eq!(one.cookie(), two.cookie());
    assert_eq!(stack.issuer.count(Call::Code), 1);
}

#[tokio::test]
async fn invalid_callbacks_redeem_no_code() {
    type Edit = fn(String) -> String;
    let stack = Stack::new().await;
    let edits: [(&str, Edit); 8] = [
        ("no state", |url| url.replace("state=", "stat=")),
        ("wrong state", |url| url.replace("state=", "state=x")),
        ("two states", |url| url + "&state=x"),
        ("two codes", |url| url + "&code=x"),
        ("no code", |url| url.replace("code=", "cod=")),
        ("empty code", |url| url.replace("code=", "code=&x=")),
        ("no iss", |url| url.replace("iss=", "is=")),
        ("foreign iss", |url| url.replace("iss=http", "iss=https")),
    ];
    for (what, edit) in edits {
        let mut browser = Browser::default();
        let callback = edit(stack.begin(&mut browser, "/"));
        let reply = stack.finish(&mut browser, &callback).await;
        // Without its state nobody knows which attempt it is: a new one begins.
        let want = if matches!(what, "no state" | "wrong state") { 302 } else { 400 };
        assert_eq!(status(&reply), want, "{what}");
        assert!(browser.cookie().is_none());
    }
    assert_eq!(stack.issuer.count(Call::Code), 0);
}

#[tokio::test]
async fn invalid_id_tokens_are_refused() {
    let stack = Stack::new().await;
    let later = 4_000_000_000_u64;
    for claims in [
        json!({"iss": "https://evil.example"}),
        json!({"iss": format!("{}/", stack.issuer.url)}),
        json!({"iss": null}),
        json!({"aud": "other"}),
        json!({"aud": ["appliance", "other"], "azp": null}),
        json!({"aud": ["appliance", "other"], "azp": "other"}),
        json!({"azp": "other"}),
        json!({"nonce": "other"}),
        json!({"nonce": null}),
        json!({"exp": 1}),
        json!({"exp": -1}),
        json!({"exp": "soon"}),
        json!({"exp": 1e300}),
        json!({"exp": null}),
        json!({"iat": null}),
        json!({"iat": later}),
        json!({"nbf": later}),
        json!({"sub": null}),
        json!({"sub": ""}),
    ] {
        stack.issuer.order(|orders| orders.id_claims = claims.clone());
        let mut browser = Browser::default();
        let callback = stack.begin(&mut browser, "/");
        let reply = stack.finish(&mut browser, &callback).await;
        assert_eq!(status(&reply), StatusCode::BAD_REQUEST, "{claims}");
        assert!(browser.cookie().is_none(), "{claims}");
    }
    stack.issuer.order(|orders| {
        orders.id_claims = json!({"aud": ["appliance", "other"]});
    });
    stack.signed_in("alice").await;
    stack.issuer.order(|orders| orders.forge = true);
    let mut browser = Browser::default();
    let callback = stack.begin(&mut browser, "/");
    let reply = stack.finish(&mut browser, &callback).await;
    assert_eq!(status(&reply), StatusCode::BAD_REQUEST);
}

#[tokio::test]
async fn a_declined_login_gets_403_and_an_expired_one_begins_again_once() {
    let stack = Stack::new().await;
    let declined = |callback: &str, error: &[(&str, &str)]| {
        let state = callback.split("state=").nth(1).unwrap().split('&').next().unwrap();
        format!("x?state={state}&{}", query(error))
    };
    let mut browser = Browser::default();
    let callback = stack.begin(&mut browser, "/app");
    let url = declined(&callback, &[("error", "access_denied")]);
    assert_eq!(status(&stack.finish(&mut browser, &url).await), StatusCode::FORBIDDEN);
    let ran_out =
        [("error", "temporarily_unavailable"), ("error_description", "authentication_expired")];
    let callback = stack.begin(&mut browser, "/app");
    let (to, _) = redirect(stack.finish(&mut browser, &declined(&callback, &ran_out)).await);
    assert!(to.starts_with(&stack.issuer.url));
    let callback = stack.issuer.approve(&to);
    let mut other = browser.clone();
    let reply = stack.finish(&mut other, &declined(&callback, &ran_out)).await;
    assert_eq!(status(&reply), StatusCode::BAD_REQUEST, "no loop");
    assert_eq!(redirect(stack.finish(&mut browser, &callback).await).0, "/app");
    assert_eq!(stack.issuer.count(Call::Code), 1);
}

#[tokio::test]
async fn a_failing_token_endpoint_signs_nobody_in() {
    let stack = Stack::new().await;
    for (fault, want) in [
        (Fault::Error("invalid_grant"), 400),
        (Fault::Error("invalid_client"), 400),
        (Fault::Status(500), 503),
        (Fault::Body("<html>"), 400),
        (Fault::Body("[]"), 400),
    ] {
        stack.issuer.fault(Call::Code, fault.clone(), 1);
        let mut browser = Browser::default();
        let callback = stack.begin(&mut browser, "/app");
        let reply = stack.finish(&mut browser, &callback).await;
        assert_eq!(status(&reply), want, "{fault:?}");
        assert!(browser.cookie().is_none());
        stack.right().await;
        if want == 503 {
            let (to, _) = redirect(stack.finish(&mut browser, &callback).await);
            assert_eq!(to, "/oauth2/start?rd=%2Fapp", "the refreshed page begins a new login");
        }
    }
    stack.signed_in("alice").await;
}

#[tokio::test]
async fn an_unverified_address_is_refused_if_verification_is_required() {
    let stack = Stack::with(|config| {
        config.oidc.as_mut().unwrap().require_verified_email = true;
    })
    .await;
    stack.signed_in("alice").await;
    stack.issuer.order(|orders| orders.user = "carol".into());
    let mut browser = Browser::default();
    let callback = stack.begin(&mut browser, "/");
    let reply = stack.finish(&mut browser, &callback).await;
    assert_eq!(status(&reply), StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_callback_without_its_attempt_begins_one_new_login() {
    let stack = Stack::new().await;
    let drop_attempts = |browser: &mut Browser| {
        browser.0.retain(|name, _| !name.starts_with("appliance-login-"));
    };
    let follow = |browser: &mut Browser, start: &str| {
        let query = start.split_once('?').unwrap().1;
        let (to, cookies) = redirect(stack.auth.start(query, &browser.headers()));
        browser.take(&cookies);
        stack.issuer.approve(&to)
    };
    // The attempt's cookie is lost once: the person ends on the page.
    let mut browser = Browser::default();
    let deep = "/app/deep?x=1";
    let callback = stack.begin(&mut browser, deep);
    drop_attempts(&mut browser);
    let (start, _) = redirect(stack.finish(&mut browser, &callback).await);
    let callback = follow(&mut browser, &start);
    assert_eq!(redirect(stack.finish(&mut browser, &callback).await).0, deep);
    assert!(stack.who(&mut browser).await.is_some());
    assert_eq!(browser.0.len(), 1, "only the session is left: {:?}", browser.0.keys());
    // It is lost each time: the second time ends with a page.
    let mut browser = Browser::default();
    let callback = stack.begin(&mut browser, deep);
    drop_attempts(&mut browser);
    let (start, _) = redirect(stack.finish(&mut browser, &callback).await);
    drop_attempts(&mut browser);
    let callback = follow(&mut browser, &start);
    drop_attempts(&mut browser);
    let reply = stack.finish(&mut browser, &callback).await;
    assert_eq!(status(&reply), StatusCode::BAD_REQUEST);
    // The same callback twice: the second time ends with a page.
    let mut browser = Browser::default();
    let callback = stack.begin(&mut Browser::default(), deep);
    assert_eq!(status(&stack.finish(&mut browser, &callback).await), 302);
    assert_eq!(status(&stack.finish(&mut browser, &callback).await), 400);
    // A program is not sent anywhere.
    let query = callback.split_once('?').unwrap().1;
    let reply = stack.auth.callback(query, visitor(&HeaderMap::new()), false).await;
    assert_eq!(status(&reply), 400);
}

#[tokio::test]
async fn a_long_link_is_kept_through_the_login() {
    let stack = Stack::new().await;
    for length in [100, 600, 4000, 14_000] {
        let mut browser = Browser::default();
        let link = format!("/app?s={}", "a".repeat(length));
        let callback = stack.begin(&mut browser, &link);
        assert!(browser.0.values().all(|value| value.len() < 1000), "{length}");
        assert_eq!(redirect(stack.finish(&mut browser, &callback).await).0, link);
    }
}

#[tokio::test]
async fn ten_tabs_may_begin_and_each_one_ends_on_its_page() {
    let stack = Stack::new().await;
    let mut browser = Browser::default();
    let link = |tab: usize| format!("/app/t{tab}?s={}", "a".repeat(1500));
    let callbacks: Vec<_> = (0..10).map(|tab| stack.begin(&mut browser, &link(tab))).collect();
    // The oldest attempt has made room for others; its login begins again.
    let (start, _) = redirect(stack.finish(&mut browser, &callbacks[0]).await);
    let query = start.split_once('?').unwrap().1;
    let (to, cookies) = redirect(stack.auth.start(query, &browser.headers()));
    browser.take(&cookies);
    let callback = stack.issuer.approve(&to);
    assert_eq!(redirect(stack.finish(&mut browser, &callback).await).0, link(0));
    for (tab, callback) in callbacks.iter().enumerate().skip(1) {
        assert_eq!(redirect(stack.finish(&mut browser, callback).await).0, link(tab));
    }
    assert!(stack.who(&mut browser).await.is_some());
}

/// Keycloak asks for the change first and then completes an ordinary login.
#[tokio::test]
async fn a_person_changes_only_what_is_on_the_list() {
    let stack = Stack::new().await;
    let mut browser = stack.signed_in("bob").await;
    for (action, kc_action) in [
        ("password", "UPDATE_PASSWORD"),
        ("totp", "CONFIGURE_TOTP"),
        ("recovery-codes", "CONFIGURE_RECOVERY_AUTHN_CODES"),
        ("security-key", "webauthn-register"),
        ("passkey", "webauthn-register-passwordless"),
    ] {
        let query = query(&[("action", action), ("rd", "/_appliance/")]);
        let (to, cookies) = redirect(stack.auth.start(&query, &browser.headers()));
        assert_eq!(parameter(&to, "kc_action").as_deref(), Some(kc_action));
        browser.take(&cookies);
        let callback = stack.issuer.approve(&to) + "&kc_action_status=success";
        let (back, _) = redirect(stack.finish(&mut browser, &callback).await);
        assert_eq!(back, "/_appliance/");
        assert_eq!(stack.who(&mut browser).await.as_deref(), Some("bob"));
    }
    for query in ["action=delete_account", "action=UPDATE_PASSWORD", "action=password&action=totp"]
    {
        let refused = stack.auth.start(query, &browser.headers());
        assert_eq!(status(&refused), StatusCode::BAD_REQUEST, "{query}");
    }
    let (to, _) = redirect(stack.auth.start("rd=/", &browser.headers()));
    assert_eq!(parameter(&to, "kc_action"), None);

    let elsewhere = Stack::with(|config| {
        config.oidc.as_mut().unwrap().account_actions = false;
    });
    let elsewhere = elsewhere.await;
    let refused = elsewhere.auth.start("action=password", &HeaderMap::new());
    assert_eq!(status(&refused), StatusCode::NOT_FOUND);
}

fn parameter(url: &str, name: &str) -> Option<String> {
    let url = url::Url::parse(url).unwrap();
    url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned())
}

#[tokio::test]
async fn an_access_token_without_a_subject_counts_and_one_of_somebody_else_does_not() {
    for (subject, counts) in [
        (json!(null), true),
        (json!("sub-alice"), true),
        (json!("sub-bob"), false),
        (json!(7), false),
    ] {
        let stack = Stack::new().await;
        stack.issuer.order(|orders| {
            orders.people.get_mut("alice").unwrap()["realm_access"] = json!({"roles": ["viewer"]});
            orders.id_claims = json!({"realm_access": null});
            orders.access_claims = json!({"sub": subject});
        });
        let mut browser = stack.signed_in("alice").await;
        let session = stack.session(&mut browser).await.unwrap();
        assert_eq!(session.person().roles == ["viewer"], counts, "{subject}");
    }
}

/// Browsers share cookies between the ports of a host (RFC 6265 section 8.5).
#[tokio::test]
async fn a_cookie_that_does_not_open_is_left_alone() {
    let stack = Stack::new().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("keys"), key(2)).unwrap();
    let other = Stack::with(|config| {
        config.session.keys = SecretSource::File(folder.path().join("keys"));
    });
    let foreign = other.await.signed_in("bob").await;
    let headers = foreign.headers();
    let Authentication::Anonymous { clear, dispute } =
        stack.auth.authenticate(visitor(&headers)).await
    else {
        panic!("signed in")
    };
    assert!(clear.is_empty() && dispute.is_none(), "{clear:?}");
    // Beside a cookie that opens, it changes nothing.
    let alice = stack.signed_in("alice").await;
    let both = format!("appliance={}; {}", foreign.cookie().unwrap(), alice.cookie_line());
    let headers = [(http::header::COOKIE, both.try_into().unwrap())].into_iter().collect();
    let found = stack.auth.authenticate(visitor(&headers)).await;
    let Authentication::SignedIn { session, .. } = found else { panic!("{found:?}") };
    assert_eq!(session.person().user, "alice");
}

/// Scanners of mail programs open links before the person does, without the person's cookies.
#[tokio::test]
async fn a_scanner_uses_up_neither_a_login_link_nor_a_callback() {
    let stack = Stack::new().await;
    let mut person = Browser::default();
    let callback = stack.begin(&mut person, "/app");
    for _ in 0..2 {
        let mut scanner = Browser::default();
        stack.begin(&mut scanner, "/app");
        stack.finish(&mut Browser::default(), &callback).await;
    }
    assert_eq!(stack.issuer.count(Call::Code), 0);
    assert_eq!(redirect(stack.finish(&mut person, &callback).await).0, "/app");
    assert_eq!(stack.who(&mut person).await.as_deref(), Some("alice"));
    assert_eq!(stack.issuer.count(Call::Code), 1);
}
