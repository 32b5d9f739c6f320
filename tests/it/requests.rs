//! Requests to the built appliance: spellings of paths, methods, pages of other hosts, and strangers.

use std::io::Write;

use reqwest::Method;

use crate::connections::{connect, send, status as status_of};
use crate::fixture::Fixture;
use crate::harness::{Browser, FETCH, NAVIGATION, eventually};

const RULED: &str = r#"
[apps.wiki]
path = "/wiki"
upstream = "http://127.0.0.1:{UP}"
rules = [
  { path = "/Special%3aX/**", access = { groups = ["group2"] } },
  { path = "/open/**", access = "public" },
  { path = "/get/**", methods = ["GET", "POST"], access = "signed-in" },
  { path = "/get/**", access = { groups = ["group2"] } },
]
[apps.nested]
path = "/wiki/Nested"
upstream = "http://127.0.0.1:{UP}"
access = { groups = ["group2"] }
"#;

const BROKEN: &str = r#"
[apps.merger-2027]
path = "/merger"
command = ["false"]
restart = "never"
rules = [{ path = "/open/*", access = "public" }]
"#;

async fn status(browser: &Browser, method: Method, path: &str, more: &[(&str, &str)]) -> u16 {
    let headers = [FETCH, more].concat();
    browser.send(method, path, &headers).await.unwrap().status.as_u16()
}

#[tokio::test]
async fn a_rule_holds_in_every_spelling_of_its_path() {
    let fixture = Fixture::beside("", RULED).await;
    let bob = fixture.signed_in("bob").await;
    let alice = fixture.signed_in("alice").await;
    for path in [
        "/wiki/Special:X/y",
        "/wiki/Special%3AX/y",
        "/wiki/special%3aX/y",
        "/%77iki/SPECIAL:X/y",
        "/wiki/Nested/y",
        "/wiki/nested/y",
        "/wiki/%6Eested/y",
    ] {
        assert_eq!(status(&bob, Method::GET, path, &[]).await, 403, "{path}");
        assert_eq!(status(&alice, Method::GET, path, &[]).await, 200, "{path}");
    }
    assert_eq!(fixture.upstream.seen().last().unwrap().target, "/wiki/%6Eested/y");
    let stranger = fixture.browser();
    for (path, wanted) in [
        ("/wiki/open/a%3Ab", 200),
        ("/wiki/Open/x", 401),
        ("/wiki/%6fpen/x", 401),
        ("/wiki/Special", 401),
    ] {
        assert_eq!(status(&stranger, Method::GET, path, &[]).await, wanted, "{path}");
    }
}

#[tokio::test]
async fn a_request_has_one_method() {
    let fixture = Fixture::beside("", RULED).await;
    let bob = fixture.signed_in("bob").await;
    for name in ["x-http-method-override", "x_http_method", "x.method-override"] {
        assert_eq!(status(&bob, Method::POST, "/wiki/get/x", &[(name, "DELETE")]).await, 200);
        assert!(fixture.upstream.seen().last().unwrap().all(name).is_empty(), "{name}");
    }
    assert_eq!(status(&bob, Method::DELETE, "/wiki/get/x", &[]).await, 403);
}

/// Frameworks read such a header without being asked.
#[tokio::test]
async fn headers_of_other_gateways_do_not_reach_an_app() {
    let fixture = Fixture::new().await;
    let bob = fixture.signed_in("bob").await;
    let ask = async |name: &str| {
        assert_eq!(status(&bob, Method::GET, "/app/x", &[(name, "alice")]).await, 200);
        fixture.upstream.seen().last().unwrap().all(name).contains(&"alice")
    };
    for name in [
        "x-streamlit-user",
        "plotly-user-data",
        "sm_user",
        "iv-groups",
        "oidc_claim_sub",
        "x-auth-username",
        "kubeflow-userid",
        "x-client-cert",
    ] {
        assert!(!ask(name).await, "{name}");
    }
    for name in ["x-user-agent", "x-auth-token", "x-client-version", "mcp-session-id"] {
        assert!(ask(name).await, "{name}");
    }
}

#[tokio::test]
async fn pages_of_other_hosts_do_not_act_on_an_app_with_a_host() {
    let fixture = Fixture::new().await;
    let own = format!("http://hosted.test:{}", fixture.appliance.port);
    let mut alice = Browser::new(&own);
    fixture.issuer.order(|orders| orders.user = "alice".into());
    assert_eq!(alice.go("/x").await.status, 200);
    let public = fixture.appliance.url.as_str();
    for (lines, wanted) in [
        (&[][..], 200),
        (&[("origin", own.as_str()), ("sec-fetch-site", "same-origin")], 200),
        (&[("origin", public)], 403),
        (&[("origin", public), ("sec-fetch-site", "same-site")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("origin", "null")], 403),
    ] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            assert_eq!(status(&alice, method, "/x", lines).await, wanted, "{lines:?}");
        }
        assert_eq!(status(&alice, Method::GET, "/x", lines).await, 200, "{lines:?}");
    }
    // Without a session there is nothing that a page could abuse.
    let stranger = Browser::new(&own);
    let foreign = [("origin", "https://idp.example"), ("sec-fetch-site", "cross-site")];
    assert_eq!(status(&stranger, Method::POST, "/x", &foreign).await, 401);
}

#[tokio::test]
async fn strangers_learn_no_names_of_apps() {
    let fixture = Fixture::beside("operators = { groups = [\"group2\"] }", BROKEN).await;
    fixture.appliance.wait_for_state("merger-2027", "failed").await;
    let stranger = fixture.browser();
    for headers in [FETCH, NAVIGATION] {
        let answer = stranger.send(Method::GET, "/merger/x", headers).await.unwrap();
        let wanted = if headers == FETCH { 401 } else { 302 };
        assert_eq!(answer.status, wanted, "{answer:?}");
        assert!(!answer.body.contains("merger"), "{answer:?}");
    }
    let alice = fixture.signed_in("alice").await;
    let bob = fixture.signed_in("bob").await;
    for (who, path) in [(&alice, "/merger/x"), (&stranger, "/merger/open/x")] {
        let answer = who.send(Method::GET, path, NAVIGATION).await.unwrap();
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.body.contains("merger-2027"), "{answer:?}");
    }
    let forwarded = [("x-forwarded-for", "203.0.113.9")];
    for (who, headers, told) in [
        (&stranger, &[][..], true),
        (&stranger, &forwarded, false),
        (&bob, &forwarded, false),
        (&alice, &forwarded, true),
    ] {
        let answer = who.send(Method::GET, "/_appliance/ready", headers).await.unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body.contains("merger-2027"), told, "{answer:?}");
    }
}

const RAW: &str = r#"
[apps.raw]
path = "/raw"
upstream = "http://127.0.0.1:{UP}"
raw_path = true
[apps.inner]
path = "/raw/inner"
upstream = "http://127.0.0.1:{UP}"
access = { groups = ["group2"] }
[apps.cut]
path = "/cut"
upstream = "http://127.0.0.1:{UP}"
access = "public"
strip_prefix = true
raw_path = true
"#;

#[tokio::test]
async fn an_app_with_raw_path_gets_the_path_as_it_came() {
    let fixture = Fixture::beside("", RAW).await;
    let bob = fixture.signed_in("bob").await;
    for (path, seen) in [
        ("/raw/a%3Bb.csv?x=%2F;y", "/raw/a%3Bb.csv?x=%2F;y"),
        ("/raw/a;b.csv", "/raw/a;b.csv"),
        ("/raw/c%2Fd%2fe.txt", "/raw/c%2Fd%2fe.txt"),
        ("/raw//x//", "/raw//x//"),
        ("/raw/%252F", "/raw/%252F"),
        ("/cut//x;y", "//x;y"),
        ("/cut/p%2Fq?z", "/p%2Fq?z"),
    ] {
        assert_eq!(status(&bob, Method::GET, path, &[]).await, 200, "{path}");
        assert_eq!(fixture.upstream.seen().last().unwrap().target, seen);
    }
    for path in [
        "/raw//inner/x",
        "/raw/%2Finner",
        "/raw/Inner;x/y",
        "/raw/..%2Fapp/x",
        "/raw/..;/app",
        "/raw/%5Cx",
        "/raw/a;%00",
        "/raw/%2",
        "/raw;x/y",
        "/app/a;b",
    ] {
        assert_eq!(status(&bob, Method::GET, path, &[]).await, 400, "{path}");
    }
    assert_eq!(status(&bob, Method::GET, "/raw/inner/x", &[]).await, 403);
    let stranger = fixture.browser();
    assert_eq!(status(&stranger, Method::GET, "/raw/a;b", &[]).await, 401);
    fixture.issuer.order(|orders| orders.user = "bob".into());
    let answer = fixture.browser().go("/raw/deep%2Flink;v=1?q").await;
    assert!(answer.url.ends_with("/raw/deep%2Flink;v=1?q") && answer.status == 200, "{answer:?}");
}

#[tokio::test]
async fn a_refused_path_is_named_with_its_reason() {
    let fixture = Fixture::new().await;
    let browser = fixture.browser();
    for (path, part, reason) in [
        ("/app/a;b", "`;`", "cut the segment off"),
        ("/app/a%3bb", "`%3B`", "semicolon"),
        ("/app/a%2Fb", "`%2F`", "as a slash"),
        ("/app/a//b", "`//`", "one slash"),
        ("/app/a%5cb", "`%5C`", "backslash"),
        ("/app/a%0db", "`%0D`", "control character"),
        ("/app/a%zzb", "`%`", "hexadecimal"),
    ] {
        for lines in [NAVIGATION, FETCH] {
            let answer = browser.send(Method::GET, path, lines).await.unwrap();
            assert_eq!(answer.status, 400, "{path}");
            assert!(answer.body.contains(part) && answer.body.contains(reason), "{answer:?}");
        }
        let line = eventually("the access line", async || {
            let log = fixture.appliance.log();
            log.lines().find(|line| line.contains(&format!("path={path} "))).map(str::to_owned)
        })
        .await;
        assert!(line.contains(part) && line.contains(reason), "{line}");
    }
}

/// An app that keeps a connection takes a body that it has not read for the next request on it.
#[tokio::test]
async fn a_body_that_an_app_leaves_unread_is_no_request() {
    let fixture = Fixture::new().await;
    let (upstream, appliance) = (&fixture.upstream, &fixture.appliance);
    let forged = "DELETE /open/forged HTTP/1.1\r\nHost: x\r\nX-Forwarded-User: alice\r\n\r\n";
    let length = forged.len();
    for body in [
        format!("Content-Length: {length}\r\n\r\n{forged}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{forged}\r\n0\r\n\r\n"),
    ] {
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            let client = connect(appliance);
            for path in ["/open/before", "/open/again"] {
                send(&client, appliance, path, "");
                assert_eq!(status_of(&client).0, 200);
            }
            let before = upstream.seen();
            let [.., first, second] = before.as_slice() else { panic!("{before:?}") };
            assert_eq!(first.connection, second.connection, "{method}");
            let host = format!("localhost:{}", appliance.port);
            let message = format!("{method} /open/unread HTTP/1.1\r\nHost: {host}\r\n{body}");
            (&client).write_all(message.as_bytes()).unwrap();
            assert_eq!(status_of(&client).0, 200, "{method}");
            let next = connect(appliance);
            send(&next, appliance, "/open/next", "");
            let (status, text) = status_of(&next);
            assert!(status == 200 && text.contains("/open/next"), "{text}");
            let seen = &upstream.seen()[before.len()..];
            let targets: Vec<_> = seen.iter().map(|one| one.target.as_str()).collect();
            assert_eq!(targets, ["/open/unread", "/open/next"], "{method} {body}");
            assert!(seen[0].connection != seen[1].connection, "{method}");
            assert_eq!(seen[0].all("connection"), ["close"], "{method}");
        }
    }
}
