//! What strangers and one person can use up.

use std::net::IpAddr;

use appliance::auth::{Authentication, Reply, SessionState, Visitor};
use http::StatusCode;

use super::{Browser, Stack, redirect, soon, status};
use crate::issuer::{Call, Fault};

fn from(client: &str) -> IpAddr {
    client.parse().unwrap()
}

impl Stack {
    async fn finish_from(&self, browser: &Browser, callback: &str, client: &str) -> Reply {
        let (query, headers) = (callback.split_once('?').unwrap().1, browser.headers());
        let visitor = Visitor {
            method: &http::Method::GET,
            headers: &headers,
            path: "/",
            client: Some(from(client)),
        };
        self.auth.callback(query, visitor, true).await
    }
}

#[tokio::test]
async fn one_person_has_at_most_32_sessions_and_the_oldest_goes() {
    let stack = Stack::new().await;
    let mut bob = stack.signed_in("bob").await;
    let mut first = stack.signed_in("alice").await;
    let session = stack.session(&mut first).await.unwrap();
    let (_guard, mut changes) = session.tunnel();
    let mut others = Vec::new();
    for _ in 0..31 {
        others.push(stack.signed_in("alice").await);
    }
    assert!(stack.who(&mut first).await.is_some(), "32 are allowed");
    others.push(stack.signed_in("alice").await);
    changes.changed().await.unwrap();
    assert!(matches!(*changes.borrow(), SessionState::Ended), "its tunnels are closed");
    assert_eq!(stack.who(&mut first).await, None);
    for other in &mut others {
        assert_eq!(stack.who(other).await.as_deref(), Some("alice"));
    }
    assert_eq!(stack.who(&mut bob).await.as_deref(), Some("bob"));
}

#[tokio::test]
async fn callbacks_that_cost_the_issuer_something_are_limited() {
    let stack = Stack::new().await;
    stack.issuer.fault(Call::Code, Fault::Error("invalid_grant"), usize::MAX);
    let hold = stack.issuer.hold(Call::Code);
    let attempts: Vec<_> = (0..80)
        .map(|_| {
            let mut browser = Browser::default();
            let callback = stack.begin(&mut browser, "/app");
            (browser, callback)
        })
        .collect();
    // One client gets 16, all together get 64.
    let client = |n: usize| format!("10.0.0.{}", if n < 20 { 1 } else { 2 + n / 16 });
    let waiting = attempts.iter().enumerate().map(async |(n, (browser, callback))| {
        status(&stack.finish_from(browser, callback, &client(n)).await)
    });
    let all = futures_util::future::join_all(waiting);
    let (replies, ()) = tokio::join!(all, async {
        hold.arrived.notified().await;
        soon("all have arrived", async || stack.issuer.count(Call::Code) == 64).await;
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert_eq!(stack.issuer.count(Call::Code), 64);
        stack.issuer.release(Call::Code);
    });
    let busy = |replies: &[StatusCode]| replies.iter().filter(|status| **status == 503).count();
    assert_eq!((busy(&replies[..20]), busy(&replies)), (4, 16), "{replies:?}");
    stack.issuer.heal();
    // An attempt that had to wait is not used up.
    let at = replies.iter().position(|status| *status == 503).unwrap();
    let (mut browser, callback) = attempts[at].clone();
    assert_eq!(redirect(stack.finish(&mut browser, &callback).await).0, "/app");
}

#[tokio::test]
async fn a_client_that_leaves_keeps_no_exchange_alive() {
    let stack = Stack::new().await;
    let hold = stack.issuer.hold(Call::Code);
    for round in 1..=3 {
        let attempts: Vec<_> = (0..16)
            .map(|_| {
                let mut browser = Browser::default();
                let callback = stack.begin(&mut browser, "/app");
                (browser, callback)
            })
            .collect();
        let requests = attempts
            .iter()
            .map(|(browser, callback)| Box::pin(stack.finish_from(browser, callback, "10.0.0.1")));
        let all = futures_util::future::join_all(requests);
        let arrived =
            soon("all have arrived", async || stack.issuer.count(Call::Code) == round * 16);
        tokio::select! {
            replies = all => panic!("answered: {replies:?}"),
            () = arrived => {}
        }
        // Here they all leave; the next round finds room for as many.
        drop(attempts);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    drop(hold);
    stack.issuer.release(Call::Code);
    // Whoever comes back signs in by a new attempt.
    stack.signed_in("alice").await;
}

#[tokio::test]
async fn restores_wait_for_each_other_and_not_for_ever() {
    let mut stack = Stack::new().await;
    let mut browsers = Vec::new();
    for n in 0..18 {
        browsers.push(stack.signed_in(if n % 2 == 0 { "alice" } else { "bob" }).await);
    }
    stack.restart().await;
    let hold = stack.issuer.hold(Call::Refresh);
    let requests = browsers.iter().map(async |browser| {
        let headers = browser.headers();
        let visitor = Visitor {
            method: &http::Method::GET,
            headers: &headers,
            path: "/",
            client: Some(from("10.0.0.1")),
        };
        stack.auth.authenticate(visitor).await
    });
    let all = futures_util::future::join_all(requests);
    let (found, ()) = tokio::join!(all, async {
        hold.arrived.notified().await;
        soon("sixteen have arrived", async || stack.issuer.count(Call::Refresh) == 16).await;
        tokio::time::sleep(std::time::Duration::from_millis(2500)).await;
        assert_eq!(stack.issuer.count(Call::Refresh), 16);
        stack.issuer.release(Call::Refresh);
    });
    let unavailable = found.iter().filter(|one| matches!(one, Authentication::Unavailable)).count();
    assert_eq!(unavailable, 2, "two had waited long enough");
    // They keep their cookies and come back.
    for mut browser in browsers {
        assert!(stack.who(&mut browser).await.is_some());
    }
}
