//! Secrets are never shown.

use std::sync::Arc;

use serde_json::json;

use super::{Browser, over, short_lived};
use crate::issuer::{Call, Fault};

/// A log in memory.
#[derive(Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn no_secret_is_ever_in_the_log() {
    let log = Lines::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    // Global: with a subscriber of this thread only, a log call that another test makes first would
    // stay disabled.
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let mut stack = short_lived().await;
    let mut cookies = Vec::new();
    let mut alice = stack.signed_in("alice").await;
    let mut bob = stack.signed_in("bob").await;
    for wrong in [json!({"nonce": "bad"}), json!({"aud": "bad"}), json!({"sub": null})] {
        stack.issuer.order(|orders| orders.id_claims = wrong);
        let callback = stack.begin(&mut Browser::default(), "/");
        stack.finish(&mut Browser::default(), &callback).await;
        let mut browser = Browser::default();
        let callback = stack.begin(&mut browser, "/");
        cookies.extend(browser.0.values().cloned());
        stack.finish(&mut browser, &callback).await;
    }
    stack.issuer.order(|orders| orders.id_claims = json!({}));
    for fault in [Fault::Error("invalid_grant"), Fault::Body("[]"), Fault::Status(500)] {
        stack.issuer.fault(Call::Code, fault, 1);
        let mut browser = Browser::default();
        let callback = stack.begin(&mut browser, "/");
        stack.finish(&mut browser, &callback).await;
        stack.right().await;
    }
    over().await;
    assert!(stack.who(&mut alice).await.is_some());
    stack.restart().await;
    assert!(stack.who(&mut alice).await.is_some());
    stack.issuer.revoke("bob");
    cookies.extend(alice.0.values().chain(bob.0.values()).cloned());
    assert!(stack.who(&mut bob).await.is_none());
    let shown = format!("{:?}", stack.auth.sign_out("", &alice.headers()).await);
    let log = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    for line in ["signed in", "sign-in failed", "session refreshed", "signed out"] {
        assert!(log.contains(line), "{line} is not in the log");
    }
    let texts = format!("{log}\n{shown}\n{:?}", stack.auth);
    let mut secrets = stack.issuer.secrets();
    secrets.extend(cookies);
    secrets.insert("the client's secret".into());
    assert!(secrets.len() > 30);
    let leaked: Vec<_> = secrets.iter().filter(|secret| texts.contains(*secret)).collect();
    assert!(leaked.is_empty(), "{leaked:?}");
}
