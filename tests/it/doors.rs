//! Apps behind a removed prefix, and proxies in front of the appliance.

use reqwest::Method;

use crate::fixture::Fixture;
use crate::harness::{FETCH, NAVIGATION};

const STRIPPED: &str = r#"
[apps.sh]
path = "/sh"
upstream = "http://127.0.0.1:{UP}"
strip_prefix = true
[apps.bare]
path = "/bare"
upstream = "http://127.0.0.1:{UP}"
strip_prefix = true
trailing_slash = false
access = "public"
"#;

#[tokio::test]
async fn an_app_without_its_prefix_learns_the_prefix() {
    let fixture = Fixture::beside("", STRIPPED).await;
    let client = fixture.browser();
    let handshake = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let evil = ("x-forwarded-prefix", "/evil");
    let odd = ("x_forwarded_prefix", "/evil");
    for (path, lines, wanted) in [
        ("/bare/x", vec![], vec!["/bare"]),
        ("/bare", vec![evil], vec!["/bare"]),
        ("/bare/x", vec![odd], vec!["/bare"]),
        ("/bare/ws", handshake.to_vec(), vec!["/bare"]),
        ("/open/x", vec![evil], vec![]),
    ] {
        client.send(Method::GET, path, &lines).await.unwrap();
        let seen = fixture.upstream.seen().pop().unwrap();
        assert_eq!(seen.all("x-forwarded-prefix"), wanted, "{path} {lines:?}");
        assert!(seen.all("x_forwarded_prefix").is_empty(), "{path} {lines:?}");
    }
}

#[tokio::test]
async fn the_path_of_a_stripped_app_gets_its_slash() {
    let fixture = Fixture::beside("", STRIPPED).await;
    let stranger = fixture.browser();
    let answer = stranger.send(Method::GET, "/sh?x=1", FETCH).await.unwrap();
    assert_eq!(answer.status, 401, "{answer:?}");
    let mut alice = fixture.browser();
    fixture.issuer.order(|orders| orders.user = "alice".into());
    let answer = alice.go("/sh?x=1").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(fixture.upstream.seen().last().unwrap().target, "/?x=1");
    assert!(answer.url.ends_with("/sh/?x=1"), "{answer:?}");
    for (method, path, status) in [
        (Method::HEAD, "/sh", 308),
        (Method::GET, "/sh?x=%2F", 308),
        (Method::POST, "/sh", 200),
        (Method::GET, "/sh/", 200),
        (Method::GET, "/bare", 200),
        (Method::GET, "/app", 200),
    ] {
        let answer = alice.send(method.clone(), path, NAVIGATION).await.unwrap();
        assert_eq!(answer.status, status, "{method} {path} {answer:?}");
    }
}

#[tokio::test]
async fn the_page_for_a_wrong_address_names_what_came_and_what_to_do() {
    let fixture = Fixture::new().await;
    let client = fixture.browser();
    for host in ["backend:8080", "10.1.2.3", "[::1]:9000", "apps.example"] {
        let lines = [NAVIGATION, &[("host", host)]].concat();
        let answer = client.send(Method::GET, "/app/x", &lines).await.unwrap();
        assert_eq!(answer.status, 421, "{host}");
        for word in [host, "http://localhost:", "PUBLIC_URL", "proxy_set_header Host"] {
            assert!(answer.body.contains(word), "{word} in {}", answer.body);
        }
        let style = client.send(Method::GET, "/_appliance/style.css", &lines).await.unwrap();
        assert_eq!(style.status, 200, "{host}");
        let portal = client.send(Method::GET, "/_appliance/", &lines).await.unwrap();
        assert_eq!(portal.status, 421, "{host}");
    }
}
