//! Sessions after a restart of the appliance.

use std::time::Duration;

use appliance::auth::Authentication;
use serde_json::json;

use super::{Stack, key, over, short_lived, soon, visitor};
use crate::issuer::{Call, Fault};

#[tokio::test]
async fn a_session_survives_a_restart_by_one_refresh() {
    let mut stack = Stack::new().await;
    stack.issuer.order(|orders| orders.rotate = true);
    let browser = stack.signed_in("alice").await;
    stack.restart().await;
    let requests = (0..20).map(|_| async { stack.who(&mut browser.clone()).await });
    for who in futures_util::future::join_all(requests).await {
        assert_eq!(who.as_deref(), Some("alice"));
    }
    assert_eq!((stack.issuer.count(Call::Refresh), stack.issuer.reused()), (1, 0));
    assert_eq!(stack.issuer.count(Call::Code), 1);
    // No browser has the new cookie: the ledger has the new refresh token.
    stack.restart().await;
    let mut old = browser.clone();
    assert_eq!(stack.who(&mut old).await.as_deref(), Some("alice"));
    assert_eq!(stack.issuer.reused(), 0);
    // Once the browser sends the new cookie, the ledger entry is not needed any more.
    assert!(stack.who(&mut old).await.is_some());
    let kept = stack.dir.path().join("state/sessions");
    // Six files always exist: `ended`, `ended-before`, `issuer`, `logout-tokens`, `names` and `used`.
    soon("the ledger entry is removed", async || std::fs::read_dir(&kept).unwrap().count() == 6)
        .await;
    stack.restart().await;
    assert!(stack.who(&mut old).await.is_some());
    assert_eq!(stack.issuer.reused(), 0);
}

#[tokio::test]
async fn a_new_refresh_token_is_stored_before_the_next_call() {
    let mut stack = short_lived().await;
    stack.issuer.order(|orders| (orders.rotate, orders.id_on_refresh) = (true, false));
    let browser = stack.signed_in("alice").await;
    over().await;
    // The restart interrupts the call of the userinfo endpoint.
    let hold = stack.issuer.hold(Call::Userinfo);
    let request = browser.headers();
    tokio::select! {
        _ = stack.auth.authenticate(visitor(&request)) => panic!("the call was not held"),
        () = hold.arrived.notified() => {}
    }
    stack.issuer.order(|orders| orders.id_on_refresh = true);
    stack.restart().await;
    assert_eq!(stack.who(&mut browser.clone()).await.as_deref(), Some("alice"));
    assert_eq!((stack.issuer.count(Call::Refresh), stack.issuer.reused()), (2, 0));
}

#[tokio::test]
async fn ended_sessions_stay_ended_over_a_restart() {
    let mut stack = Stack::new().await;
    let mut browser = stack.signed_in("alice").await;
    let revoked = stack.signed_in("bob").await;
    let old = browser.clone();
    stack.sign_out(&mut browser).await;
    stack.restart().await;
    stack.issuer.revoke("bob");
    assert_eq!(stack.who(&mut old.clone()).await, None);
    assert_eq!(stack.issuer.count(Call::Refresh), 0);
    for _ in 0..3 {
        assert_eq!(stack.who(&mut revoked.clone()).await, None);
    }
    assert_eq!(stack.issuer.count(Call::Refresh), 1);
}

#[tokio::test]
async fn the_idle_limit_includes_the_time_of_a_restart() {
    let mut stack =
        Stack::with(|config| config.session.idle = Some(Duration::from_millis(1500))).await;
    let browser = stack.signed_in("alice").await;
    stack.auth.close().await;
    stack.restart().await;
    assert!(stack.who(&mut browser.clone()).await.is_some());
    tokio::time::sleep(Duration::from_millis(400)).await;
    // Without an orderly stop only the times that were stored before are known.
    stack.restart().await;
    assert!(stack.who(&mut browser.clone()).await.is_some());
    stack.auth.close().await;
    stack.restart().await;
    tokio::time::sleep(Duration::from_millis(1600)).await;
    let refreshed = stack.issuer.count(Call::Refresh);
    assert_eq!(stack.who(&mut browser.clone()).await, None);
    assert_eq!(stack.issuer.count(Call::Refresh), refreshed, "no call to the issuer");
}

#[tokio::test]
async fn an_outage_of_the_issuer_does_not_remove_the_cookie_of_a_stored_session() {
    let mut stack = Stack::new().await;
    let mut browser = stack.signed_in("alice").await;
    stack.restart().await;
    stack.issuer.fault(Call::Refresh, Fault::Status(502), 1);
    let found = stack.auth.authenticate(visitor(&browser.headers())).await;
    assert!(matches!(found, Authentication::Unavailable));
    stack.right().await;
    assert!(stack.who(&mut browser).await.is_some());
}

#[tokio::test]
async fn a_failed_userinfo_call_after_a_refresh_does_not_end_the_session() {
    let mut stack = Stack::new().await;
    stack.issuer.order(|orders| {
        orders.rotate = true;
        orders.id_on_refresh = false;
    });
    let mut browser = stack.signed_in("alice").await;
    stack.restart().await;
    stack.issuer.fault(Call::Userinfo, Fault::Status(503), 1);
    let found = stack.auth.authenticate(visitor(&browser.headers())).await;
    assert!(matches!(found, Authentication::Unavailable));
    stack.right().await;
    assert_eq!(stack.who(&mut browser).await.as_deref(), Some("alice"));
    assert_eq!(stack.issuer.reused(), 0, "the newest refresh token was used");
}

#[tokio::test]
async fn a_sign_out_before_the_session_is_restored_revokes_it() {
    let mut stack = Stack::new().await;
    let mut browser = stack.signed_in("alice").await;
    let old = browser.clone();
    stack.restart().await;
    stack.sign_out(&mut browser).await;
    assert_eq!(stack.issuer.count(Call::Revoke), 1);
    assert_eq!(stack.who(&mut old.clone()).await, None);
    assert_eq!(stack.issuer.count(Call::Refresh), 0);
}

#[tokio::test]
async fn without_refresh_tokens_the_cookie_carries_the_person() {
    let mut stack = Stack::new().await;
    stack.issuer.order(|orders| orders.refresh_tokens = false);
    let mut browser = stack.signed_in("alice").await;
    stack.restart().await;
    let session = stack.session(&mut browser).await.unwrap();
    assert_eq!(session.person().groups, ["staff", "group1", "group2"]);
    let old = browser.clone();
    stack.sign_out(&mut browser).await;
    stack.restart().await;
    assert_eq!(stack.who(&mut old.clone()).await, None);
}

#[tokio::test]
async fn a_person_too_large_for_a_cookie_is_stored_in_the_ledger() {
    let mut stack = Stack::new().await;
    stack.issuer.order(|orders| {
        orders.refresh_tokens = false;
        let groups: Vec<_> = (0..400).map(|n| format!("/department/group-{n:04}")).collect();
        orders.people.get_mut("alice").unwrap()["groups"] = json!(groups);
    });
    let mut browser = stack.signed_in("alice").await;
    assert!(browser.cookie().unwrap().len() < 300);
    for _ in 0..2 {
        stack.restart().await;
        assert_eq!(stack.session(&mut browser).await.unwrap().person().groups.len(), 400);
    }
}

#[tokio::test]
async fn sealing_keys_can_be_rotated() {
    let mut stack = Stack::new().await;
    let keys = stack.dir.path().join("keys");
    let mut browser = stack.signed_in("alice").await;
    let old = browser.clone();
    std::fs::write(&keys, format!("{}\n{}\n", key(2), key(1))).unwrap();
    stack.restart().await;
    assert!(stack.who(&mut browser).await.is_some());
    assert_ne!(browser.cookie(), old.cookie(), "the cookie is sealed with the new key");
    std::fs::write(&keys, format!("{}\n", key(2))).unwrap();
    stack.restart().await;
    assert!(stack.who(&mut browser).await.is_some());
    assert_eq!(stack.who(&mut old.clone()).await, None);
}

#[tokio::test]
async fn a_cookie_that_carries_the_person_is_worth_nothing_once_refresh_tokens_are_granted() {
    let mut stack = Stack::new().await;
    stack.issuer.order(|orders| orders.refresh_tokens = false);
    let alice = stack.signed_in("alice").await;
    stack.restart().await;
    assert!(stack.who(&mut alice.clone()).await.is_some());
    stack.issuer.order(|orders| orders.refresh_tokens = true);
    let bob = stack.signed_in("bob").await;
    assert!(stack.who(&mut alice.clone()).await.is_some(), "a session in force goes on");
    stack.restart().await;
    assert_eq!(stack.who(&mut alice.clone()).await, None);
    assert_eq!(stack.who(&mut bob.clone()).await.as_deref(), Some("bob"));
    // The issuer's file is gone as well: nothing is known, so nothing is accepted.
    stack.issuer.order(|orders| orders.refresh_tokens = false);
    std::fs::remove_file(stack.dir.path().join("state/sessions/issuer")).unwrap();
    stack.restart().await;
    assert_eq!(stack.who(&mut alice.clone()).await, None);
    let carol = stack.signed_in("carol").await;
    stack.restart().await;
    assert_eq!(stack.who(&mut carol.clone()).await.as_deref(), Some("carol"));
}
