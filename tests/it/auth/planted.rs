//! Sessions that somebody else has planted in a browser.

use appliance::auth::{Auth, Authentication, Visitor};
use http::header::{COOKIE, HOST};
use http::{HeaderMap, HeaderValue};

use super::{Browser, Stack, redirect};

/// A request with these session cookies.
fn request(values: &[&str]) -> HeaderMap {
    let pairs: Vec<_> = values.iter().map(|value| format!("appliance={value}")).collect();
    let mut headers = HeaderMap::new();
    headers.insert(COOKIE, pairs.join("; ").try_into().unwrap());
    headers.insert(HOST, HeaderValue::from_static("localhost:8080"));
    headers
}

async fn who(stack: &Stack, path: &str, values: &[&str]) -> Result<String, Option<String>> {
    let headers = request(values);
    let visitor = Visitor { method: &http::Method::GET, headers: &headers, path, client: None };
    match stack.auth.authenticate(visitor).await {
        Authentication::SignedIn { session, .. } => Ok(session.person().user.clone()),
        Authentication::Anonymous { dispute, .. } => Err(dispute),
        Authentication::Unavailable => panic!("unavailable"),
    }
}

#[tokio::test]
async fn two_sessions_in_one_request_are_nobody() {
    let stack = Stack::new().await;
    let (alice, bob) = (stack.signed_in("alice").await, stack.signed_in("bob").await);
    let (a, b) = (alice.cookie().unwrap().as_str(), bob.cookie().unwrap().as_str());
    for (values, user, disputed) in [
        (vec![a, "twice"], Some("alice"), false),
        (vec!["rubbish", a], Some("alice"), false),
        (vec![a, a], Some("alice"), false),
        (vec!["rubbish"], None, false),
        (vec![a, b], None, true),
        (vec![b, a, b, "rubbish"], None, true),
    ] {
        let found = who(&stack, "/", &values).await;
        assert_eq!(found.as_deref().ok(), user);
        assert_eq!(found.is_err_and(|dispute| dispute.is_some()), disputed);
    }
}

/// Browsers send the cookie with the longer path first, and not at all outside of that path.
#[tokio::test]
async fn a_planted_session_does_not_shut_its_victim_out() {
    for restart in [false, true] {
        for other in ["alice", "bob"] {
            let mut stack = Stack::new().await;
            let planted = stack.signed_in(other).await;
            let planted = planted.cookie().unwrap().as_str();
            let mut victim = stack.signed_in("alice").await;
            let own = victim.cookie().unwrap().clone();
            if restart {
                stack.restart().await;
            }
            let dispute = who(&stack, "/two/x", &[planted, &own]).await.unwrap_err().unwrap();
            let start = Auth::login_path("/two/x", Some(&dispute));
            let query = start.split_once('?').unwrap().1;
            let (to, cookies) = redirect(stack.auth.start(query, &victim.headers()));
            victim.take(&cookies);
            let callback = stack.issuer.approve(&to);
            assert_eq!(redirect(stack.finish(&mut victim, &callback).await).0, "/two/x");
            // The browser still has the planted cookie, but its session is over.
            let new = victim.cookie().unwrap().as_str();
            assert_eq!(who(&stack, "/two/x", &[planted, new]).await.as_deref(), Ok("alice"));
            assert_eq!(who(&stack, "/", &[planted]).await, Err(None), "{restart} {other}");
            stack.restart().await;
            assert_eq!(who(&stack, "/", &[planted]).await, Err(None), "after a restart");
        }
    }
}

#[tokio::test]
async fn the_answer_removes_planted_cookies_and_leaves_the_session_of_the_login() {
    let stack = Stack::new().await;
    let (alice, bob) = (stack.signed_in("alice").await, stack.signed_in("bob").await);
    let headers = request(&[bob.cookie().unwrap(), alice.cookie().unwrap()]);
    let visitor =
        Visitor { method: &http::Method::GET, headers: &headers, path: "/two/x", client: None };
    let Authentication::Anonymous { clear, .. } = stack.auth.authenticate(visitor).await else {
        panic!("somebody")
    };
    let clear: Vec<_> = clear.iter().map(|line| line.to_str().unwrap()).collect();
    assert!(clear.iter().any(|line| line.starts_with("appliance=; Path=/two;")), "{clear:?}");
    assert!(clear.iter().all(|line| !line.contains("Path=/;")), "{clear:?}");
    // Nothing has ended yet: whoever plants a cookie cannot sign the victim out.
    let mut browser = Browser::default();
    browser.0.insert("appliance".into(), alice.cookie().unwrap().clone());
    assert_eq!(stack.who(&mut browser).await.as_deref(), Some("alice"));
}

#[tokio::test]
async fn a_list_of_sessions_that_was_not_sealed_here_ends_nothing() {
    let stack = Stack::new().await;
    let mut bob = stack.signed_in("bob").await;
    stack.issuer.order(|orders| orders.user = "alice".into());
    let mut alice = Browser::default();
    let (to, cookies) = redirect(stack.auth.start("rd=/&over=AQAAAAAA&over=x", &alice.headers()));
    alice.take(&cookies);
    let callback = stack.issuer.approve(&to);
    stack.finish(&mut alice, &callback).await;
    assert_eq!(stack.who(&mut alice).await.as_deref(), Some("alice"));
    assert_eq!(stack.who(&mut bob).await.as_deref(), Some("bob"));
}
