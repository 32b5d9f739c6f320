//! People in many groups, and which groups reach apps.

use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::harness::Browser;
use crate::issuer::Issuer;
use crate::upstream::Seen;

const HEADER: &str = "x-forwarded-groups";

/// Puts alice into these groups, and into 2000 others.
fn many(issuer: &Issuer, more: &[&str]) {
    let mut groups: Vec<_> = (0..2000).map(|n| format!("/department/team-{n:05}")).collect();
    groups.extend(more.iter().map(|&group| group.to_owned()));
    groups.push("group2".into());
    set_groups(issuer, json!(groups));
}

fn set_groups(issuer: &Issuer, groups: Value) {
    issuer.order(|orders| orders.people.get_mut("alice").unwrap()["groups"] = groups);
}

/// The session cookie as the browser sends it: name and value.
fn cookie(browser: &Browser) -> String {
    let line = browser.cookie_line();
    let mut cookies = line.split("; ").filter(|cookie| !cookie.contains("-login-"));
    let cookie = cookies.next().unwrap().to_owned();
    assert_eq!(cookies.next(), None, "one cookie");
    cookie
}

/// The last request that the app has received.
fn last(fixture: &Fixture) -> Seen {
    fixture.upstream.seen().last().unwrap().clone()
}

#[tokio::test]
async fn a_person_in_two_thousand_groups_has_one_small_cookie_and_no_broken_request() {
    for refresh_tokens in [true, false] {
        let mut fixture = Fixture::with_oidc("", "", |issuer| {
            issuer.order(|orders| orders.refresh_tokens = refresh_tokens);
            many(issuer, &[]);
        })
        .await;
        let mut alice = fixture.signed_in("alice").await;
        assert!(cookie(&alice).len() < 2000, "{}", cookie(&alice).len());
        assert_eq!(last(&fixture).all(HEADER), [""; 0], "too long for a header");
        assert_eq!(alice.go("/two/").await.status, 200, "policies see all groups");
        assert_eq!(alice.fetch("/signed/", &[]).await.status, 200);
        let assertion = last(&fixture).all("x-identity-assertion")[0].len();
        assert!(assertion < 8000, "{assertion}");
        let log = fixture.appliance.log();
        assert!(log.contains("too many for a header") && log.contains("groups_only"), "{log}");
        assert!(log.contains("an assertion has no groups"), "{log}");
        let portal = alice.go("/_appliance/").await;
        assert!(portal.body.contains("and 1951 more"), "{}", portal.body);

        assert_eq!(fixture.appliance.stop().await, 0);
        fixture.appliance.restart();
        fixture.appliance.wait_ready().await;
        assert_eq!(alice.go("/two/").await.status, 200, "all groups after a restart");
        assert!(cookie(&alice).len() < 2000);
    }
}

#[tokio::test]
async fn only_the_wanted_groups_reach_apps_and_policies_see_all() {
    let lines = "groups_only = [\"app-*\", \"staff\"]";
    let apps = "[apps.shut]\npath = \"/shut\"\nupstream = \"http://127.0.0.1:{UP}\"\n\
                deny = { groups = [\"/department/team-01999\"] }\n";
    let prepare = |issuer: &Issuer| many(issuer, &["app-reports", "/app-ops", "staff", "other"]);
    let fixture = Fixture::with_oidc(lines, apps, prepare).await;
    let mut alice = fixture.signed_in("alice").await;
    assert_eq!(last(&fixture).all(HEADER), ["app-reports,/app-ops,staff"]);
    assert_eq!(alice.go("/two/").await.status, 200);
    assert_eq!(alice.go("/shut/").await.status, 403, "deny sees a group that apps do not learn");
    let told = json!(["app-reports", "/app-ops", "staff"]);
    assert_eq!(alice.fetch("/oauth2/userinfo", &[]).await.json()["groups"], told);
    assert_eq!(alice.fetch("/signed/", &[]).await.status, 200);
    let seen = last(&fixture);
    assert_eq!(claims(seen.all("x-identity-assertion")[0])["groups"], told);
    let auth = alice.fetch("/oauth2/auth?allowed_groups=group2", &[]).await;
    assert_eq!(auth.status, 202);
    assert_eq!(auth.headers["x-auth-request-groups"], "app-reports,/app-ops,staff");
    let log = fixture.appliance.log();
    assert!(!log.contains("groups_only"), "{log}");
}

/// The claims of a JWT, not verified.
fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let payload = token.split('.').nth(1).unwrap();
    let payload = base64::prelude::BASE64_URL_SAFE_NO_PAD.decode(payload).unwrap();
    serde_json::from_slice(&payload).unwrap()
}

#[tokio::test]
async fn a_prefix_chooses_the_groups_that_count() {
    let apps = "[apps.reports]\npath = \"/reports\"\nupstream = \"http://127.0.0.1:{UP}\"\n\
                access = { groups = [\"reports\"] }\n\
                [apps.staff]\npath = \"/staff\"\nupstream = \"http://127.0.0.1:{UP}\"\n\
                access = { groups = [\"staff\"] }\n\
                [apps.ops]\npath = \"/ops\"\nupstream = \"http://127.0.0.1:{UP}\"\n\
                deny = { groups = [\"ops\"] }\n";
    let prepare = |issuer: &Issuer| {
        set_groups(issuer, json!(["/apps/reports", "/apps/ops", "staff", "/apps/reports/eu"]));
    };
    let fixture = Fixture::with_oidc("groups_prefix = \"/apps/\"", apps, prepare).await;
    let mut alice = fixture.signed_in("alice").await;
    assert_eq!(last(&fixture).all(HEADER), ["reports,ops,reports/eu"]);
    assert_eq!(alice.go("/reports/").await.status, 200);
    assert_eq!(alice.go("/staff/").await.status, 403, "a group without the prefix admits nobody");
    assert_eq!(alice.go("/ops/").await.status, 403);
}

#[tokio::test]
async fn groups_may_be_objects_and_a_nested_group_is_a_group_of_its_own() {
    let apps = "[apps.a]\npath = \"/a\"\nupstream = \"http://127.0.0.1:{UP}\"\n\
                access = { groups = [\"/a\"] }\n\
                [apps.b]\npath = \"/b\"\nupstream = \"http://127.0.0.1:{UP}\"\n\
                access = { groups = [\"/a/b\"] }\n";
    let objects = json!([{"id": "1", "name": "a"}, {"id": "2", "name": "/a/b"}]);
    let names = "groups_claim = \"groups.name\"";
    for (oidc, groups, a, b) in [
        ("", json!(["/a/b"]), 403, 200),
        ("", json!(["/a"]), 200, 403),
        ("", objects.clone(), 403, 403),
        (names, objects, 200, 200),
        (names, json!([{"id": "a", "name": "x"}]), 403, 403),
    ] {
        let fixture =
            Fixture::with_oidc(oidc, apps, |issuer| set_groups(issuer, groups.clone())).await;
        let mut alice = fixture.signed_in("alice").await;
        assert_eq!(alice.go("/a/").await.status, a, "{groups}");
        assert_eq!(alice.go("/b/").await.status, b, "{groups}");
    }
}
