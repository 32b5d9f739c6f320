//! Refreshes of sessions at the issuer, and the limits of a session.

use std::time::Duration;

use appliance::auth::{IssuerState, SessionState};
use serde_json::{Map, Value, json};

use super::{Stack, over, short, short_lived, soon, visitor};
use crate::issuer::{Call, Fault};

#[tokio::test]
async fn parallel_requests_on_an_expired_token_make_one_refresh() {
    let stack = short_lived().await;
    stack.issuer.order(|orders| orders.rotate = true);
    let browser = stack.signed_in("alice").await;
    stack.issuer.order(|orders| orders.ttl = Duration::from_mins(5));
    over().await;
    let requests = (0..20).map(|_| async {
        let mut browser = browser.clone();
        (stack.who(&mut browser).await, browser)
    });
    for (who, mut browser) in futures_util::future::join_all(requests).await {
        assert_eq!(who.as_deref(), Some("alice"));
        assert_eq!(stack.who(&mut browser).await.as_deref(), Some("alice"));
    }
    // The old cookie is still valid; the response carries the new one.
    let mut late = browser.clone();
    assert!(stack.who(&mut late).await.is_some());
    assert_ne!(late.cookie(), browser.cookie());
    assert_eq!((stack.issuer.count(Call::Refresh), stack.issuer.reused()), (1, 0));
}

#[tokio::test]
async fn a_refresh_is_completed_although_the_browser_disconnects() {
    let stack = short_lived().await;
    stack.issuer.order(|orders| orders.rotate = true);
    let mut browser = stack.signed_in("alice").await;
    stack.issuer.order(|orders| orders.ttl = Duration::from_mins(5));
    over().await;
    let hold = stack.issuer.hold(Call::Refresh);
    let request = browser.headers();
    tokio::select! {
        _ = stack.auth.authenticate(visitor(&request)) => panic!("the call was not held"),
        () = hold.arrived.notified() => {}
    }
    stack.issuer.release(Call::Refresh);
    for _ in 0..2 {
        assert_eq!(stack.who(&mut browser).await.as_deref(), Some("alice"));
    }
    assert_eq!((stack.issuer.count(Call::Refresh), stack.issuer.reused()), (1, 0));
}

#[tokio::test]
async fn a_revoked_session_ends_and_an_outage_ends_no_session() {
    let mut stack = short_lived().await;
    let mut browser = stack.signed_in("alice").await;
    let old = browser.clone();
    over().await;
    stack.issuer.stop().await;
    assert!(stack.who(&mut browser).await.is_some());
    stack.state(|state| matches!(state, IssuerState::Down(_))).await;
    assert!(stack.who(&mut browser).await.is_some());
    stack.issuer.start().await;
    stack.right().await;
    stack.issuer.fault(Call::Refresh, Fault::Status(503), 1);
    assert!(stack.who(&mut browser).await.is_some());
    stack.issuer.revoke("alice");
    soon("the session ends", async || stack.who(&mut browser.clone()).await.is_none()).await;
    let asked = stack.issuer.count(Call::Refresh);
    assert_eq!(stack.who(&mut old.clone()).await, None);
    assert_eq!(stack.issuer.count(Call::Refresh), asked, "refreshes for an ended session");
}

#[tokio::test]
async fn a_refresh_updates_groups_and_never_changes_the_person() {
    let stack = short_lived().await;
    let mut browser = stack.signed_in("bob").await;
    let session = stack.session(&mut browser).await.unwrap();
    let (_guard, mut changes) = session.tunnel();
    stack.issuer.order(|orders| {
        orders.people.get_mut("bob").unwrap()["groups"] = json!(["group2"]);
    });
    // An open tunnel is enough for a refresh.
    changes.changed().await.unwrap();
    let state = changes.borrow_and_update().clone();
    assert!(matches!(state, SessionState::Live(person) if person.groups == ["group2"]));
    stack.issuer.order(|orders| {
        orders.id_claims = json!({"sub": "sub-alice", "preferred_username": "alice"});
    });
    changes.changed().await.unwrap();
    assert!(matches!(*changes.borrow(), SessionState::Ended));
    assert_eq!(stack.who(&mut browser).await, None);
}

#[tokio::test]
async fn a_refresh_without_an_id_token_keeps_the_person() {
    let stack = short_lived().await;
    stack.issuer.order(|orders| orders.id_on_refresh = false);
    let mut browser = stack.signed_in("alice").await;
    over().await;
    let session = stack.session(&mut browser).await.unwrap();
    assert_eq!(session.person().groups, ["staff", "group1", "group2"]);
    assert!(stack.issuer.count(Call::Refresh) >= 1);
}

#[tokio::test]
async fn a_sign_out_during_a_refresh_wins() {
    let stack = short_lived().await;
    let mut browser = stack.signed_in("alice").await;
    let old = browser.clone();
    over().await;
    let hold = stack.issuer.hold(Call::Refresh);
    let (mut late, ()) = tokio::join!(
        async {
            let mut late = old.clone();
            assert_eq!(stack.who(&mut late).await, None);
            late
        },
        async {
            hold.arrived.notified().await;
            stack.sign_out(&mut browser).await;
            stack.issuer.release(Call::Refresh);
        }
    );
    assert_eq!(stack.who(&mut late).await, None);
    assert_eq!(stack.who(&mut old.clone()).await, None);
}

#[tokio::test]
async fn a_hanging_refresh_delays_no_other_session_and_times_out() {
    let stack = short_lived().await;
    let slow = stack.signed_in("alice").await;
    over().await;
    stack.issuer.order(|orders| orders.ttl = Duration::from_mins(5));
    let mut other = stack.signed_in("bob").await;
    stack.issuer.fault(Call::Refresh, Fault::Hang, 1);
    let mut waiting = slow.clone();
    let (who, ()) = tokio::join!(stack.who(&mut waiting), async {
        soon("the refresh has begun", async || stack.issuer.count(Call::Refresh) == 1).await;
        assert_eq!(stack.who(&mut other).await.as_deref(), Some("bob"));
    });
    assert_eq!(who.as_deref(), Some("alice"), "the session is kept");
    // Further requests do not wait for the refresh.
    let quick = stack.who(&mut waiting);
    assert!(tokio::time::timeout(Duration::from_millis(500), quick).await.is_ok());
}

/// The person may have lost the session since the failure.
#[tokio::test]
async fn after_a_failed_refresh_no_request_on_an_expired_token_overtakes_the_next_one() {
    let stack = short_lived().await;
    let mut browser = stack.signed_in("alice").await;
    over().await;
    stack.issuer.fault(Call::Refresh, Fault::Status(503), 1);
    assert!(stack.who(&mut browser).await.is_some(), "the issuer gave no verdict");
    stack.issuer.revoke("alice");
    stack.right().await;
    let hold = stack.issuer.hold(Call::Refresh);
    soon("the next refresh", async || {
        let mut early = browser.clone();
        let asked = tokio::time::timeout(Duration::from_millis(50), stack.who(&mut early));
        asked.await.is_err()
    })
    .await;
    let requests = (0..20).map(|_| async { stack.who(&mut browser.clone()).await });
    let (served, ()) = tokio::join!(futures_util::future::join_all(requests), async {
        hold.arrived.notified().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        stack.issuer.release(Call::Refresh);
    });
    assert_eq!(served, vec![None; 20]);
    assert_eq!(stack.issuer.count(Call::Refresh), 2);
}

#[tokio::test]
async fn after_a_failed_refresh_the_next_one_delays_requests_two_seconds_at_most() {
    let stack = short_lived().await;
    let mut browser = stack.signed_in("alice").await;
    over().await;
    stack.issuer.fault(Call::Refresh, Fault::Status(503), 1);
    assert!(stack.who(&mut browser).await.is_some(), "the issuer gave no verdict");
    stack.right().await;
    stack.issuer.fault(Call::Refresh, Fault::Hang, 1);
    soon("the next refresh", async || {
        let asked = std::time::Instant::now();
        assert_eq!(stack.who(&mut browser.clone()).await.as_deref(), Some("alice"));
        let took = asked.elapsed();
        assert!(took < Duration::from_secs(3), "{took:?}");
        took >= Duration::from_millis(1900)
    })
    .await;
}

#[tokio::test]
async fn a_refresh_delays_no_request_while_the_access_token_is_valid() {
    let stack = Stack::with(short).await;
    stack.issuer.order(|orders| orders.ttl = Duration::from_secs(4));
    let mut browser = stack.signed_in("alice").await;
    // The refresh is due one second before the end of the token.
    tokio::time::sleep(Duration::from_millis(3100)).await;
    let hold = stack.issuer.hold(Call::Refresh);
    for _ in 0..3 {
        let quick = tokio::time::timeout(Duration::from_millis(500), stack.who(&mut browser));
        assert_eq!(quick.await.expect("no wait").as_deref(), Some("alice"));
    }
    hold.arrived.notified().await;
    assert_eq!(stack.issuer.count(Call::Refresh), 1);
    // Once the token has expired, requests wait for the issuer's verdict.
    over().await;
    let mut late = browser.clone();
    let waiting = tokio::time::timeout(Duration::from_millis(300), stack.who(&mut late)).await;
    assert!(waiting.is_err());
    stack.issuer.release(Call::Refresh);
    assert_eq!(stack.who(&mut browser).await.as_deref(), Some("alice"));
    assert_eq!(stack.issuer.count(Call::Refresh), 1);
}

#[tokio::test]
async fn an_idle_session_ends_and_closes_its_tunnels() {
    let stack = Stack::with(|config| config.session.idle = Some(Duration::from_secs(1))).await;
    let mut browser = stack.signed_in("alice").await;
    for _ in 0..6 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(stack.who(&mut browser).await.is_some(), "a request extends the session");
    }
    let session = stack.session(&mut browser).await.unwrap();
    let (_guard, mut changes) = session.tunnel();
    tokio::time::timeout(Duration::from_secs(2), changes.changed()).await.unwrap().unwrap();
    assert!(matches!(*changes.borrow(), SessionState::Ended));
    assert_eq!(stack.who(&mut browser).await, None);
}

#[tokio::test]
async fn a_session_ends_after_its_lifetime() {
    let stack = Stack::with(|config| config.session.lifetime = Duration::from_secs(2)).await;
    let mut browser = stack.signed_in("alice").await;
    tokio::time::sleep(Duration::from_millis(2100)).await;
    assert_eq!(stack.who(&mut browser).await, None);
}

#[tokio::test]
async fn a_refresh_refuses_whom_a_login_refuses_if_verification_is_required() {
    type Change = fn(&mut Map<String, Value>);
    let changes: [(Change, bool); 5] = [
        (|alice| drop(alice.insert("email_verified".into(), json!(false))), true),
        (|alice| drop(alice.remove("email_verified")), true),
        (|alice| drop(alice.remove("email")), true),
        (|alice| drop(alice.insert("email".into(), json!(""))), true),
        (|alice| drop(alice.insert("email".into(), json!("chief@example.com"))), false),
    ];
    for (number, (change, refused)) in changes.into_iter().enumerate() {
        for strict in [true, false] {
            let mut stack = Stack::with(|config| {
                short(config);
                config.oidc.as_mut().unwrap().require_verified_email = strict;
            })
            .await;
            stack.issuer.order(|orders| orders.ttl = Duration::from_secs(1));
            let awake = stack.signed_in("alice").await;
            let asleep = stack.signed_in("alice").await;
            stack.issuer.order(|orders| {
                change(orders.people.get_mut("alice").unwrap().as_object_mut().unwrap());
            });
            over().await;
            let ends = strict && refused;
            assert_eq!(stack.who(&mut awake.clone()).await.is_none(), ends, "{number}");
            stack.restart().await;
            assert_eq!(stack.who(&mut asleep.clone()).await.is_none(), ends, "{number}");
        }
    }
}

#[tokio::test]
async fn expires_in_zero_counts_as_unknown() {
    let stack = short_lived().await;
    stack.issuer.order(|orders| orders.ttl = Duration::ZERO);
    let mut browser = stack.signed_in("alice").await;
    for _ in 0..3 {
        assert!(stack.who(&mut browser).await.is_some());
    }
    assert_eq!(stack.issuer.count(Call::Refresh), 0);
}

#[tokio::test]
async fn a_refresh_error_that_needs_a_login_ends_the_session() {
    for error in ["access_denied", "interaction_required", "login_required"] {
        let stack = short_lived().await;
        let mut browser = stack.signed_in("alice").await;
        stack.issuer.fault(Call::Refresh, Fault::Error(error), 1);
        over().await;
        assert_eq!(stack.who(&mut browser).await, None, "{error}");
    }
}
