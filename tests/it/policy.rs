//! Policies with several tables, and the reasons of a decision: on the page, in the access line and in
//! `/oauth2/userinfo`.

use http::Method;
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::harness::{Appliance, Browser, FETCH, eventually};

const DOCS: &str = include_str!("../../docs/identity.md");

/// The example of the documentation, with the upstream of the test.
fn example() -> String {
    let example = DOCS.split("```toml\n").find(|text| text.contains("[apps.reports]")).unwrap();
    example.split("```").next().unwrap().replace("127.0.0.1:3000", "127.0.0.1:{UP}")
}

/// A browser in which this person has signed in.
async fn signed_in(fixture: &Fixture, claims: Value) -> Browser {
    fixture.issuer.order(|orders| {
        let sub = format!("sub-{}", claims["preferred_username"].as_str().unwrap());
        let mut person = claims;
        person["sub"] = json!(sub);
        orders.people.insert("somebody".into(), person);
    });
    fixture.signed_in("somebody").await
}

async fn status(browser: &Browser, path: &str) -> u16 {
    browser.send(Method::GET, path, FETCH).await.unwrap().status.as_u16()
}

#[tokio::test]
async fn the_example_of_the_documentation_lets_in_who_meets_one_table() {
    let fixture = Fixture::beside("", &example()).await;
    let admin = json!({"roles": ["admin"]});
    for (name, more, wanted) in [
        ("a", json!({"groups": ["staff"], "email": "a@example.org"}), 200),
        ("b", json!({"groups": ["staff"], "email": "b@other.example"}), 403),
        ("c", json!({"groups": ["other"], "email": "c@example.org"}), 403),
        ("d", json!({"realm_access": admin.clone()}), 200),
        ("e", json!({"realm_access": admin, "groups": ["interns"]}), 403),
        ("f", json!({"groups": ["staff"], "email": "mallory@example.org"}), 403),
        ("g", json!({"groups": ["staff"], "email": "g@example.org", "email_verified": false}), 403),
    ] {
        let mut claims = more;
        claims["preferred_username"] = json!(name);
        let browser = signed_in(&fixture, claims.clone()).await;
        assert_eq!(status(&browser, "/reports/").await, wanted, "{claims}");
    }
}

const APPS: &str = r#"
[apps.either]
path = "/either"
upstream = "http://127.0.0.1:{UP}"
access = [{ groups = ["group2"] }, { roles = ["boss"] }]
[apps.shut]
path = "/shut"
upstream = "http://127.0.0.1:{UP}"
access = "public"
deny = [{ groups = ["nobody"] }, { emails = ["bob@other.example"] }]
[apps.secret]
path = "/secret"
upstream = "http://127.0.0.1:{UP}"
access = { groups = ["group2"] }
hidden = true
[apps.unrouted]
command = ["sleep", "1000"]
[log]
format = "json"
"#;

/// The access line of a path.
async fn line(appliance: &Appliance, path: &str) -> Value {
    eventually(&format!("the access line of {path}"), async || {
        let log = appliance.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.into_iter().find(|line| line["msg"] == "request" && line["path"] == path)
    })
    .await
}

#[tokio::test]
async fn a_refusal_has_a_reason_on_the_page_and_in_the_access_line() {
    let fixture = Fixture::beside("", APPS).await;
    let mut bob = fixture.signed_in("bob").await;
    for (path, reason, sentence) in [
        ("/two/", "group_missing", "two needs the group group2."),
        ("/either/", "none_matched", "either needs the group group2, or the role boss."),
        ("/shut/", "denied", "shut needs an account that is not excluded."),
        ("/_appliance/apps", "not_an_operator", "this page needs the rights of an operator."),
    ] {
        let page = bob.go(path).await;
        assert_eq!(page.status, 403, "{path}");
        for part in [sentence, &format!("Reason {reason}<")] {
            assert!(page.body.contains(part), "{path}: {part}: {}", page.body);
        }
        let data = format!("{path}?data");
        let script = bob.fetch(&data, &[("accept", "application/json")]).await;
        assert_eq!(script.status, 403, "{path}");
        let text = script.json().as_str().unwrap().to_owned();
        assert!(text.contains(sentence) && text.ends_with(&format!("Reason: {reason}.")), "{text}");
        let line = line(&fixture.appliance, path).await;
        assert_eq!((&line["decision"], &line["reason_code"]), (&json!("deny"), &json!(reason)));
        assert!(sentence.contains(line["reason"].as_str().unwrap()), "{line}");
    }
    bob.go("/app/fine").await;
    let fine = line(&fixture.appliance, "/app/fine").await;
    assert_eq!((&fine["decision"], &fine["reason_code"]), (&json!("allow"), &Value::Null));
    fixture.browser().fetch("/app/nobody", &[]).await;
    let nobody = line(&fixture.appliance, "/app/nobody").await;
    assert_eq!(nobody["reason_code"], "not_signed_in");
    bob.fetch("/app/a;b", &[]).await;
    assert_eq!(line(&fixture.appliance, "/app/a;b").await["reason_code"], "path_refused");
}

#[tokio::test]
async fn userinfo_has_the_reasons_of_the_apps_that_are_not_hidden() {
    let fixture = Fixture::beside("", APPS).await;
    let reasons = async |name: &str| {
        let mut browser = fixture.signed_in(name).await;
        browser.fetch("/oauth2/userinfo", &[]).await.json()["reasons"].clone()
    };
    let bob = json!({
        "app": "signed_in", "two": "group_missing", "open": "public", "signed": "public",
        "plain": "signed_in", "hosted": "signed_in", "either": "none_matched", "shut": "denied",
    });
    assert_eq!(reasons("bob").await, bob);
    let alice = reasons("alice").await;
    assert_eq!((&alice["two"], &alice["shut"]), (&json!("matched"), &json!("public")));
    assert_eq!((&alice["either"], &alice["secret"]), (&json!("matched"), &Value::Null));
    let nobody = fixture.browser().fetch("/oauth2/userinfo", &[]).await;
    assert_eq!(nobody.status, 401);
    assert!(nobody.json().is_string(), "{}", nobody.body);
}

/// `COPY` and `MOVE` of `WebDAV` write to a second path, which needs the access to it.
#[tokio::test]
async fn a_second_path_needs_its_access_too() {
    let apps = "[apps.dav]\npath = \"/dav\"\nupstream = \"http://127.0.0.1:{UP}\"\n\
         rules = [{ path = \"/secret/**\", access = { groups = [\"group2\"] } }]\n\
         [apps.cut]\npath = \"/cut\"\nupstream = \"http://127.0.0.1:{UP}\"\nstrip_prefix = true\n\
         rules = [{ path = \"/secret/**\", access = { groups = [\"group2\"] } }]\n";
    let fixture = Fixture::beside("", apps).await;
    let (alice, bob) = (fixture.signed_in("alice").await, fixture.signed_in("bob").await);
    let copy = async |browser: &Browser, from: &str, to: &str| {
        let method = Method::from_bytes(b"COPY").unwrap();
        let to = to.replace("HERE", &fixture.appliance.url);
        let lines = [FETCH, &[("destination", to.as_str())]].concat();
        browser.send(method, from, &lines).await.unwrap().status.as_u16()
    };
    for (from, to, of_bob) in [
        ("/dav/a", "/dav/b", 200),
        ("/dav/a", "HERE/dav/b", 200),
        ("/dav/a", "/dav/secret/b", 403),
        ("/dav/a", "HERE/dav/secret/b", 403),
        ("/dav/a", "/dav/Secret/b", 403),
        ("/dav/a", "/dav/x/..%2fsecret/b", 400),
        ("/dav/a", "/app/b", 400),
        ("/dav/a", "http://other.test/dav/b", 400),
        ("/cut/a", "/cut/b", 200),
        ("/cut/a", "/b", 200),
        ("/cut/a", "/secret/b", 403),
        ("/cut/a", "HERE/cut/secret/b", 403),
    ] {
        let of_alice = if of_bob == 403 { 200 } else { of_bob };
        assert_eq!(copy(&bob, from, to).await, of_bob, "{from} {to}");
        assert_eq!(copy(&alice, from, to).await, of_alice, "{from} {to}");
    }
}

/// Object stores copy from a second path, which needs the access to it.
#[tokio::test]
async fn the_source_of_a_copy_needs_its_access_too() {
    let apps = "[apps.store]\npath = \"/store\"\nupstream = \"http://127.0.0.1:{UP}\"\n\
         rules = [{ path = \"/secret/**\", access = { groups = [\"group2\"] } }]\n\
         [apps.keep]\npath = \"/keep\"\nupstream = \"http://127.0.0.1:{UP}\"\n\
         rules = [{ path = \"/hold/**\", methods = [\"DELETE\"], access = { groups = [\"group2\"] } }]\n\
         [apps.cut]\npath = \"/cut\"\nupstream = \"http://127.0.0.1:{UP}\"\nstrip_prefix = true\n\
         rules = [{ path = \"/secret/**\", access = { groups = [\"group2\"] } }]\n\
         [apps.outer]\npath = \"/outer\"\nupstream = \"http://127.0.0.1:{UP}\"\nstrip_prefix = true\n\
         [apps.inner]\npath = \"/outer/inner\"\nupstream = \"http://127.0.0.1:{UP}\"\n\
         access = { groups = [\"group2\"] }\n\
         [apps.alone]\npath = \"/alone\"\nupstream = \"http://127.0.0.1:{UP}\"\nstrip_prefix = true\n";
    let fixture = Fixture::beside("", apps).await;
    let (alice, bob) = (fixture.signed_in("alice").await, fixture.signed_in("bob").await);
    let put = async |browser: &Browser, to: &str, name: &str, from: &str| {
        let lines = [FETCH, &[(name, from)]].concat();
        browser.send(Method::PUT, to, &lines).await.unwrap().status.as_u16()
    };
    let s3 = "x-amz-copy-source";
    for (to, name, from, of_bob) in [
        ("/store/a", s3, "/store/b", 200),
        ("/store/a", s3, "/store/secret/b", 403),
        ("/store/a", s3, "store/secret/b?versionId=1", 403),
        ("/store/a", s3, "store%2Fsecret%2fb", 403),
        ("/store/a", s3, "/store/%73ecret/b", 403),
        ("/store/a", s3, "https://any.test/store/Secret/b", 403),
        ("/store/a", s3, "/bucket/store/secret/b", 403),
        ("/store/a", "x_amz_copy_source", "/store/secret/b", 403),
        ("/store/a", "x-ms-copy-source", "http://any.test/store/secret/b", 403),
        ("/store/a", "x-nos-move-source", "/store/secret/b", 403),
        ("/store/a", "upload-concat", "final;/store/a /store/secret/b", 403),
        ("/store/a", "upload-concat", "final;/store/a /store/b", 200),
        ("/store/a", "upload-metadata", "/store/secret/b", 200),
        ("/store/a", "x-amz-copy-source-range", "/store/secret/b", 200),
        ("/store/a", s3, "/two/b", 403),
        ("/store/a", s3, "/store/x/../secret/b", 400),
        ("/store/a", s3, "arn:aws:s3:eu:1:accesspoint/x/object/secret/b", 400),
        ("/store/a", s3, "", 400),
        ("/cut/v1/account/box/a", "x-copy-from", "secret/b", 403),
        ("/cut/secrets/a", "x-copy-from", "/open/b", 200),
        ("/cut/a", s3, "/two/b", 200),
        ("/keep/a", "x-ms-copy-source", "/keep/hold/b", 200),
        ("/keep/a", "x-ms-rename-source", "/keep/hold/b", 403),
        // Without rules, apps below and beside narrow the access.
        ("/app/a", s3, "/store/secret/b", 403),
        ("/app/a", s3, "/app/b", 200),
        ("/app/a", s3, "arn:aws:s3", 400),
        ("/outer/a", s3, "/outer/inner/b", 403),
        ("/outer/a", s3, "/inner/b", 403),
        ("/outer/a", s3, "/bucket/Inner/b", 403),
        ("/outer/a", "destination", "/outer/inner/b", 403),
        ("/outer/a", "destination", "/outer/b", 200),
        ("/outer/a", s3, "/outer/b", 200),
        ("/outer/a", s3, "arn:aws:s3", 400),
        // With neither, nothing is looked for.
        ("/alone/a", s3, "/store/secret/b", 200),
        ("/alone/a", s3, "arn:aws:s3", 200),
    ] {
        let of_alice = if of_bob == 403 { 200 } else { of_bob };
        assert_eq!(put(&bob, to, name, from).await, of_bob, "{to} {name} {from}");
        assert_eq!(put(&alice, to, name, from).await, of_alice, "{to} {name} {from}");
    }
}
