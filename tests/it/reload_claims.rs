//! A reload that changes claims and rules together: no request is judged by the new claims and the old
//! rules, or the other way round.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use reqwest::Method;
use serde_json::json;

use crate::fixture::Fixture;
use crate::harness::FETCH;
use crate::reload::{edit, reload};

const SHUT: &str = r#"
[apps.shut]
path = "/shut"
upstream = "http://127.0.0.1:{UP}"
access = { groups = ["blue"] } # the team
"#;

#[tokio::test(flavor = "multi_thread")]
async fn claims_and_rules_change_in_one_step_for_each_request() {
    let fixture = Fixture::with_oidc("groups_claim = \"groups\"", SHUT, |issuer| {
        issuer.order(|orders| {
            let alice = orders.people.get_mut("alice").unwrap().as_object_mut().unwrap();
            alice.insert("teams".into(), json!(["blue"]));
        });
    })
    .await;
    let alice = fixture.signed_in("alice").await;
    let (over, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
    let clients = (0..4).map(|_| {
        let (alice, over, asked) = (alice.clone(), over.clone(), asked.clone());
        tokio::spawn(async move {
            while !over.load(Ordering::Relaxed) {
                let answer = alice.send(Method::GET, "/shut/", FETCH).await.unwrap();
                // In the group `staff`, of the team `blue`: each configuration wants the other one.
                assert_eq!(answer.status, 403, "{answer:?}");
                asked.fetch_add(1, Ordering::Relaxed);
            }
        })
    });
    let clients: Vec<_> = clients.collect();
    let before = [("= \"groups\"", "= \"teams\""), ("[\"blue\"] } #", "[\"staff\"] } #")];
    let after = before.map(|(one, other)| (other, one));
    for round in 0..30 {
        edit(&fixture.appliance, if round % 2 == 0 { &before } else { &after });
        reload(&fixture.appliance);
    }
    over.store(true, Ordering::Relaxed);
    for client in clients {
        client.await.unwrap();
    }
    assert!(asked.load(Ordering::Relaxed) > 30);
}
