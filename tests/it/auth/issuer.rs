//! An issuer that is invalid, down, or behind the proxy of the appliance.

use std::time::Duration;

use appliance::auth::IssuerState;
use appliance::config::PublicUrl;
use http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use super::{Browser, Stack, config, open, status};
use crate::issuer::{Call, Fault, Issuer};

#[tokio::test]
async fn login_waits_for_a_valid_discovery_document() {
    let issuer = Issuer::new().await;
    issuer.fault(Call::Discovery, Fault::Status(503), usize::MAX);
    let dir = tempfile::tempdir().unwrap();
    let config = config(&issuer.url, dir.path());
    let (auth, running) = open(&config);
    let stack = Stack { issuer, dir, config, auth, running };
    let waits_because = async |part: &str| {
        let waiting = |state: &IssuerState| matches!(state, IssuerState::Waiting(reason) if reason.contains(part));
        stack.state(waiting).await;
        let reply = stack.auth.start("rd=/", &HeaderMap::new());
        assert_eq!(status(&reply), StatusCode::SERVICE_UNAVAILABLE);
    };
    waits_because("answers 503").await;
    stack.issuer.fault(Call::Discovery, Fault::Body("<html>starting"), usize::MAX);
    waits_because("no JSON").await;
    stack.issuer.heal();
    let discovery = |edit: Value| stack.issuer.order(|orders| orders.discovery = edit);
    discovery(json!({"issuer": format!("{}/", stack.issuer.url)}));
    waits_because("says that the issuer is").await;
    discovery(json!({"token_endpoint": null}));
    waits_because("token_endpoint").await;
    stack.issuer.fault(Call::Jwks, Fault::Body(r#"{"keys": []}"#), usize::MAX);
    discovery(json!({}));
    waits_because("has no key").await;
    stack.issuer.heal();
    stack.right().await;
    stack.signed_in("alice").await;
}

#[tokio::test]
async fn logins_wait_during_an_outage_of_the_issuer() {
    let mut stack = Stack::new().await;
    let mut signed_in = stack.signed_in("alice").await;
    let mut browser = Browser::default();
    let callback = stack.begin(&mut browser, "/app");
    stack.issuer.stop().await;
    assert!(stack.who(&mut signed_in).await.is_some());
    let reply = stack.finish(&mut browser, &callback).await;
    assert_eq!(status(&reply), StatusCode::SERVICE_UNAVAILABLE);
    stack.state(|state| matches!(state, IssuerState::Down(_))).await;
    let reply = stack.auth.start("rd=/", &HeaderMap::new());
    assert_eq!(status(&reply), StatusCode::SERVICE_UNAVAILABLE);
    stack.issuer.start().await;
    stack.right().await;
    stack.signed_in("bob").await;
}

#[tokio::test]
async fn new_keys_are_fetched_at_most_once_in_30_seconds() {
    let stack = Stack::new().await;
    stack.issuer.rotate_keys("key-2");
    stack.signed_in("alice").await;
    let fetched = stack.issuer.count(Call::Jwks);
    stack.issuer.rotate_keys("key-3");
    for _ in 0..3 {
        let mut browser = Browser::default();
        let callback = stack.begin(&mut browser, "/");
        let reply = stack.finish(&mut browser, &callback).await;
        assert_eq!(status(&reply), StatusCode::BAD_REQUEST);
    }
    assert_eq!(stack.issuer.count(Call::Jwks), fetched, "fetches within 30 s");
}

#[tokio::test]
async fn a_failed_fetch_of_new_keys_is_repeated_soon() {
    let stack = Stack::new().await;
    stack.issuer.rotate_keys("key-2");
    stack.issuer.fault(Call::Jwks, Fault::Status(503), 1);
    let mut browser = Browser::default();
    let callback = stack.begin(&mut browser, "/");
    let reply = stack.finish(&mut browser, &callback).await;
    assert_eq!(status(&reply), StatusCode::BAD_REQUEST);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    stack.signed_in("alice").await;
}

#[tokio::test]
async fn a_new_key_with_an_old_key_id_is_fetched() {
    let stack = Stack::new().await;
    stack.signed_in("alice").await;
    stack.issuer.rotate_keys("key-1");
    stack.signed_in("bob").await;
}

#[tokio::test]
async fn calls_of_a_served_issuer_go_over_loopback() {
    let issuer = Issuer::new().await;
    let dir = tempfile::tempdir().unwrap();
    let public = "https://apps.example/realms/main";
    let mut config = config(public, dir.path());
    let address = issuer.url.strip_prefix("http://127.0.0.1:").unwrap();
    let port = address.split('/').next().unwrap().parse().unwrap();
    config.oidc.as_mut().unwrap().dial =
        Some(appliance::config::Dial::Tcp("127.0.0.1".into(), port));
    config.server.public_url = PublicUrl { secure: true, host: "apps.example".into(), port: 443 };
    let at = |path: &str| format!("{public}/{path}");
    issuer.order(|orders| {
        orders.discovery = json!({
            "issuer": public, "authorization_endpoint": at("authorize"),
            "token_endpoint": at("token"), "jwks_uri": at("jwks"),
            "revocation_endpoint": at("revoke"), "userinfo_endpoint": at("userinfo"),
            "introspection_endpoint": at("introspect"),
            "end_session_endpoint": at("logout"),
        });
        orders.id_claims = json!({"iss": public});
        orders.iss = false;
    });
    let (auth, running) = open(&config);
    let stack = Stack { issuer, dir, config, auth, running };
    stack.right().await;
    let mut browser = Browser::default();
    stack.log_in(&mut browser, "/").await;
    let name = browser.0.keys().next().unwrap();
    assert_eq!(name, "__Host-appliance");
    assert_eq!(stack.issuer.hosts(), ["apps.example".to_owned()].into());
    assert_eq!(stack.who(&mut browser).await.as_deref(), Some("alice"));
}
