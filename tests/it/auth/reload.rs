//! A reload reaches all that sessions derive from the configuration: sessions in force, refreshes,
//! logins and questions that are under way.

use appliance::auth::{Auth, Reply, SessionState};
use appliance::config::{AppName, Config, Oidc};
use http::StatusCode;
use serde_json::json;

use super::{Browser, Stack, cookies, key, over, redirect, short_lived, status};
use crate::issuer::Call;

impl Stack {
    /// Puts a changed configuration in force.
    fn reload(&mut self, change: impl FnOnce(&mut Config)) {
        change(&mut self.config);
        let auth = self.auth.successor(&self.config).unwrap();
        auth.take_over(&self.config);
        self.auth = auth;
    }

    fn reload_oidc(&mut self, change: impl FnOnce(&mut Oidc)) {
        self.reload(|config| change(config.oidc.as_mut().unwrap()));
    }

    fn write_keys(&self, keys: &[u8]) {
        let lines: Vec<_> = keys.iter().map(|byte| key(*byte)).collect();
        std::fs::write(self.dir.path().join("keys"), lines.join("\n")).unwrap();
    }

    fn describe_alice(&self) {
        self.issuer.order(|orders| {
            let alice = orders.people.get_mut("alice").unwrap().as_object_mut().unwrap();
            alice.insert("nick".into(), json!("ally"));
            alice.insert("mail".into(), json!("ally@corp.example"));
            alice.insert("teams".into(), json!(["blue"]));
            alice.insert("ranks".into(), json!(["captain"]));
        });
    }
}

type Change = fn(&mut Oidc);

/// Each claim path, and what the person then is.
const PATHS: [(Change, &str); 4] = [
    (|oidc| oidc.user_claim = "nick".into(), "ally"),
    (|oidc| oidc.email_claim = "mail".into(), "ally@corp.example"),
    (|oidc| oidc.groups_claim = "teams".into(), "blue"),
    (|oidc| oidc.roles_claim = "ranks".into(), "captain"),
];

fn tells(person: &appliance::auth::Person, what: &str) -> bool {
    let email = person.email.known().unwrap_or_default();
    let lists = person.groups.iter().chain(&person.roles);
    [person.user.as_str(), email].into_iter().chain(lists.map(String::as_str)).any(|it| it == what)
}

#[tokio::test]
async fn a_changed_claim_counts_at_once_for_sessions_and_their_tunnels() {
    for refresh_tokens in [true, false] {
        for (change, wanted) in PATHS {
            let mut stack = Stack::new().await;
            stack.describe_alice();
            stack.issuer.order(|orders| orders.refresh_tokens = refresh_tokens);
            let mut alice = stack.signed_in("alice").await;
            let session = stack.session(&mut alice).await.unwrap();
            let (_guard, mut tunnel) = session.tunnel();
            let before = session.person();
            // What has not changed is not derived again: no tunnel is judged for nothing.
            stack.reload_oidc(|oidc| oidc.scopes.push("phone".into()));
            assert!(session.has_person(&before) && !tunnel.has_changed().unwrap());
            assert!(!tells(&before, wanted));
            stack.reload_oidc(change);
            assert!(tells(&session.person(), wanted), "{wanted}");
            assert!(tunnel.has_changed().unwrap(), "{wanted}");
            let SessionState::Live(person) = tunnel.borrow_and_update().clone() else { panic!() };
            assert!(tells(&person, wanted), "{wanted}");
            assert_eq!(stack.issuer.count(Call::Refresh), 0, "the claims are known");
        }
    }
}

#[tokio::test]
async fn a_refresh_that_began_before_the_reload_brings_no_old_reading_back() {
    for (id_on_refresh, paths) in [(true, &PATHS[..]), (false, &PATHS[2..3])] {
        for (change, wanted) in paths.iter().copied() {
            let mut stack = short_lived().await;
            stack.describe_alice();
            stack.issuer.order(|orders| orders.id_on_refresh = id_on_refresh);
            let mut alice = stack.signed_in("alice").await;
            over().await;
            let hold = stack.issuer.hold(Call::Refresh);
            let (auth, mut early) = (stack.auth.clone(), alice.clone());
            let waiting = async {
                let headers = early.headers();
                drop(auth.authenticate(super::visitor(&headers)).await);
            };
            let reload = async {
                hold.arrived.notified().await;
                stack.reload_oidc(change);
                stack.issuer.release(Call::Refresh);
            };
            tokio::join!(waiting, reload);
            let session = stack.session(&mut alice).await.unwrap();
            assert!(tells(&session.person(), wanted), "{wanted}");
            assert!(stack.who(&mut early).await.is_some(), "the session goes on");
        }
    }
}

/// A refresh that brings the same claims leaves the person as it is: assertions and tunnels go on.
#[tokio::test]
async fn a_refresh_with_the_same_claims_changes_no_person() {
    let mut stack = short_lived().await;
    let mut alice = stack.signed_in("alice").await;
    stack.reload_oidc(|oidc| oidc.groups_claim = "teams".into());
    let person = stack.session(&mut alice).await.unwrap().person();
    over().await;
    let session = stack.session(&mut alice).await.unwrap();
    assert!(stack.issuer.count(Call::Refresh) >= 1 && session.has_person(&person));
}

/// Only the userinfo endpoint tells the claim, and nobody has asked it so far.
#[tokio::test]
async fn a_claim_that_the_session_does_not_know_is_asked_for_before_the_next_request() {
    let mut stack = Stack::new().await;
    stack.describe_alice();
    stack.issuer.order(|orders| {
        orders.id_claims = json!({"teams": null});
        orders.access_claims = json!({"teams": null});
    });
    let mut alice = stack.signed_in("alice").await;
    stack.reload_oidc(|oidc| oidc.groups_claim = "teams".into());
    let session = stack.session(&mut alice).await.unwrap();
    assert_eq!(session.person().groups, ["blue"]);
    assert!(stack.session(&mut alice).await.is_some());
    assert_eq!(stack.issuer.count(Call::Refresh), 1, "once");
}

/// A login of `user` whose code is exchanged while `change` is put in force.
async fn during(
    stack: &mut Stack,
    user: &str,
    change: impl FnOnce(&mut Stack),
) -> (Browser, Reply) {
    stack.issuer.order(|orders| user.clone_into(&mut orders.user));
    let mut browser = Browser::default();
    let callback = stack.begin(&mut browser, "/app");
    let hold = stack.issuer.hold(Call::Code);
    let (auth, headers) = (stack.auth.clone(), browser.headers());
    let query = callback.split_once('?').unwrap().1.to_owned();
    let exchange = async { auth.callback(&query, super::visitor(&headers), true).await };
    let reload = async {
        hold.arrived.notified().await;
        change(stack);
        stack.issuer.release(Call::Code);
    };
    let (reply, ()) = tokio::join!(exchange, reload);
    browser.take(cookies(&reply));
    (browser, reply)
}

#[tokio::test]
async fn a_login_that_began_before_the_reload_obeys_the_new_configuration() {
    let mut stack = Stack::new().await;
    stack.describe_alice();
    let nick = |stack: &mut Stack| stack.reload_oidc(|oidc| oidc.user_claim = "nick".into());
    let (mut alice, _) = during(&mut stack, "alice", nick).await;
    assert_eq!(stack.who(&mut alice).await.as_deref(), Some("ally"));
    stack.reload_oidc(|oidc| oidc.user_claim = "preferred_username".into());
    let strict = |stack: &mut Stack| stack.reload_oidc(|oidc| oidc.require_verified_email = true);
    let (mut carol, reply) = during(&mut stack, "carol", strict).await;
    assert_eq!(status(&reply), StatusCode::FORBIDDEN);
    assert_eq!(stack.who(&mut carol).await, None);
    // A key that is removed seals nothing any more: the cookie opens also after a restart.
    let rekey = |stack: &mut Stack| {
        stack.write_keys(&[2]);
        stack.reload(|_| {});
    };
    let (mut bob, reply) = during(&mut stack, "bob", rekey).await;
    assert_eq!(redirect(reply).0, "/app");
    assert_eq!(stack.who(&mut bob).await.as_deref(), Some("bob"));
    stack.restart().await;
    assert_eq!(stack.who(&mut bob).await.as_deref(), Some("bob"));
}

/// Alice's browser with an open question whether to continue as `user`: the path of its button.
async fn asked(stack: &Stack, user: &str) -> (Browser, String) {
    let mut browser = stack.signed_in("alice").await;
    stack.issuer.order(|orders| user.clone_into(&mut orders.user));
    let callback = stack.begin(&mut browser, "/app");
    let path = stack.asked(&mut browser, &callback).await;
    (browser, path)
}

async fn answer(auth: &Auth, browser: &mut Browser, path: &str) -> Reply {
    let query = path.split_once('?').unwrap().1;
    let reply = auth.confirm(query, &browser.headers()).await;
    browser.take(cookies(&reply));
    reply
}

#[tokio::test]
async fn the_answer_to_an_open_question_obeys_the_configuration_in_force() {
    let mut stack = Stack::new().await;
    let (mut browser, path) = asked(&stack, "carol").await;
    let former = stack.auth.clone();
    stack.reload_oidc(|oidc| oidc.require_verified_email = true);
    // Also a request that was under way during the reload.
    for auth in [former, stack.auth.clone()] {
        let reply = answer(&auth, &mut browser, &path).await;
        assert_ne!(status(&reply), StatusCode::OK);
        assert!(!cookies(&reply).iter().any(|it| it.to_str().unwrap().starts_with("appliance=")));
        assert_eq!(stack.who(&mut browser).await.as_deref(), Some("alice"), "nobody is replaced");
    }
    let (mut browser, path) = asked(&stack, "bob").await;
    stack.reload_oidc(|oidc| oidc.user_claim = "email".into());
    assert_eq!(redirect(answer(&stack.auth, &mut browser, &path).await).0, "/app");
    assert_eq!(stack.who(&mut browser).await.as_deref(), Some("bob@other.example"));
    stack.reload_oidc(|oidc| oidc.user_claim = "preferred_username".into());
    let (mut browser, path) = asked(&stack, "bob").await;
    stack.write_keys(&[2, 1]);
    stack.reload(|_| {});
    assert_eq!(redirect(answer(&stack.auth, &mut browser, &path).await).0, "/app");
    stack.write_keys(&[2]);
    stack.reload(|_| {});
    assert!(stack.who(&mut browser).await.is_some(), "sealed when it came into force");
}

#[tokio::test]
async fn a_replaced_assertion_key_signs_for_sessions_in_force() {
    let mut stack = Stack::new().await;
    let mut alice = stack.signed_in("alice").await;
    let session = stack.session(&mut alice).await.unwrap();
    let app = AppName::new("app").unwrap();
    let first = session.assertion(&app).unwrap();
    stack.reload(|config| config.session.recheck = std::time::Duration::from_secs(30));
    assert_eq!(session.assertion(&app).unwrap(), first, "the key is the same");
    let file = stack.config.server.state_dir.join("assertion-key");
    std::fs::remove_file(&file).unwrap_or_else(|_| panic!("{file:?}"));
    stack.reload(|_| {});
    let second = session.assertion(&app).unwrap();
    let kid = |value: &http::HeaderValue| {
        use base64::Engine as _;
        let head = value.to_str().unwrap().split('.').next().unwrap().to_owned();
        let head = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(head).unwrap();
        let head: serde_json::Value = serde_json::from_slice(&head).unwrap();
        head["kid"].as_str().unwrap().to_owned()
    };
    let keys = stack.auth.assertion_keys();
    assert!(keys.contains(&kid(&second)) && !keys.contains(&kid(&first)));
}
