//! Logins through the built appliance: the whole flow, and who has access to which app.

use reqwest::Method;

use crate::fixture::Fixture;
use crate::harness::NAVIGATION;
use crate::issuer::Call;

#[tokio::test]
async fn a_deep_link_survives_the_login_byte_for_byte() {
    let fixture = Fixture::new().await;
    let deep = "/app/p%20q/deeper?next=https://x//y&z=%2Fq&empty=&n=%C3%BC";
    let answer = fixture.browser().go(deep).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json()["target"], deep);
    assert_eq!(fixture.issuer.count(Call::Code), 1, "one code, redeemed once");
}

#[tokio::test]
async fn an_app_with_its_own_host_has_its_own_login() {
    let fixture = Fixture::new().await;
    let own = format!("http://hosted.test:{}", fixture.appliance.port);
    let mut browser = fixture.signed_in("alice").await;
    let answer = browser.go(&format!("{own}/x?y=z")).await;
    assert_eq!((answer.status.as_u16(), &*answer.url), (200, &*format!("{own}/x?y=z")));
    assert_eq!(answer.json()["target"], "/x?y=z");
    assert_eq!(fixture.issuer.count(Call::Code), 2);
    let out = browser.open(&format!("{own}/oauth2/sign_out?rd={own}/x")).await;
    let back: String = form_urlencoded::byte_serialize(format!("{own}/x").as_bytes()).collect();
    assert!(out.location().contains(&back), "{out:?}");
    assert!(browser.open(&format!("{own}/x")).await.location().starts_with("/oauth2/start"));
}

#[tokio::test]
async fn logins_of_two_tabs_at_once_both_succeed() {
    let fixture = Fixture::new().await;
    let mut browser = fixture.browser();
    let one = browser.open("/oauth2/start?rd=/app/one").await;
    let two = browser.open("/oauth2/start?rd=/app/two").await;
    for (start, target) in [(two, "/app/two"), (one, "/app/one")] {
        let callback = fixture.issuer.approve(start.location());
        assert_eq!(browser.go(&callback).await.json()["target"], target);
    }
}

#[tokio::test]
async fn a_person_without_the_group_gets_a_page_that_names_group_and_person() {
    let fixture = Fixture::new().await;
    let mut bob = fixture.signed_in("bob").await;
    let page = bob.go("/two/").await;
    assert_eq!(page.status, 403);
    for part in ["<h1>You don&#39;t have access to two</h1>", "group2", "signed in as bob"] {
        assert!(page.body.contains(part), "{part}: {}", page.body);
    }
    let script = bob.fetch("/two/data", &[]).await;
    assert_eq!(script.status, 403);
    assert!(script.json().is_string(), "{}", script.body);
    assert_eq!(bob.go("/app/").await.status, 200, "the session continues");
    assert!(fixture.upstream.seen().iter().all(|seen| !seen.target.starts_with("/two")));
}

#[tokio::test]
async fn only_navigations_without_a_session_are_redirected() {
    let fixture = Fixture::new().await;
    let mut browser = fixture.browser();
    assert_eq!(browser.open("/app/x?y=z").await.location(), "/oauth2/start?rd=%2Fapp%2Fx%3Fy%3Dz");
    for (method, headers) in
        [(Method::GET, crate::harness::FETCH), (Method::POST, NAVIGATION), (Method::GET, &[][..])]
    {
        let answer = browser.send(method.clone(), "/app/", headers).await.unwrap();
        assert_eq!(answer.status, 401, "{method} {headers:?}");
        let text = answer.json();
        assert_eq!(text, "Your session has ended. Reload this page to sign in again.");
        assert!(answer.headers.contains_key("x-request-id"));
    }
    assert!(fixture.upstream.seen().is_empty());
}

#[tokio::test]
async fn forged_identity_headers_reach_no_app() {
    let fixture = Fixture::new().await;
    let forged: Vec<(&str, &str)> = [
        "X-Forwarded-User",
        "x_forwarded_user",
        "X.Forwarded.Email",
        "X-Forwarded_Groups",
        "X-Auth-Request-User",
        "Remote-User",
        "X-Forwarded-Access-Token",
    ]
    .map(|name| (name, "mallory"))
    .to_vec();
    let mut alice = fixture.signed_in("alice").await;
    for (browser, path) in [(&mut alice, "/app/"), (&mut fixture.browser(), "/open/")] {
        let answer = browser.fetch(path, &forged).await;
        assert_eq!(answer.status, 200);
        assert!(!answer.body.contains("mallory"), "{}", answer.body);
    }
    let seen = fixture.upstream.seen();
    let to_app: Vec<_> = seen.iter().filter(|seen| seen.target == "/app/").collect();
    assert_eq!(to_app.last().unwrap().all("x-forwarded-user"), ["alice"]);
    assert!(to_app.iter().all(|seen| !seen.all("cookie").concat().contains("appliance")));
}

#[tokio::test]
async fn after_a_sign_out_the_old_cookie_is_not_valid_also_after_a_restart() {
    let mut fixture = Fixture::new().await;
    let mut alice = fixture.signed_in("alice").await;
    let kept = alice.clone();
    let out = alice.open("/oauth2/sign_out?rd=/").await;
    assert!(out.location().contains("id_token_hint="), "{out:?}");
    for _ in 0..2 {
        let answer = kept.send(Method::GET, "/app/", crate::harness::FETCH).await.unwrap();
        assert_eq!(answer.status, 401, "the old cookie is valid again");
        assert_eq!(fixture.appliance.stop().await, 0);
        fixture.appliance.restart();
        fixture.appliance.wait_ready().await;
    }
}

#[tokio::test]
async fn the_return_from_a_sign_out_leaves_no_mark_in_the_address() {
    let fixture = Fixture::new().await;
    let mut alice = fixture.signed_in("alice").await;
    let out = alice.open("/oauth2/sign_out?rd=/open/%3Fx=1").await;
    let back = alice.open(out.location()).await.location().to_owned();
    let wanted = format!("{}/open/?x=1", fixture.appliance.url);
    assert!(back.starts_with(&format!("{wanted}&state=")), "{back}");
    // A form with such a query goes to the app.
    let target = &back[fixture.appliance.url.len()..];
    let posted = alice.send(Method::POST, target, &[]).await.unwrap();
    assert_eq!(posted.json()["target"], target);
    let clean = alice.open(&back).await;
    assert_eq!((clean.status.as_u16(), clean.location()), (302, &*wanted));
    // The mark counts once. An app keeps its own `state`.
    for target in [&back, "/open/?state=x", "/open/?state="] {
        assert_eq!(alice.open(target).await.status, 200, "{target}");
    }
}

#[tokio::test]
async fn no_secret_is_in_the_log() {
    let mut fixture = Fixture::new().await;
    let mut alice = fixture.signed_in("alice").await;
    let cookie = alice.cookie_line();
    alice.open("/oauth2/sign_out?rd=/").await;
    assert_eq!(fixture.appliance.stop().await, 0);
    let log = fixture.appliance.log();
    assert!(log.contains("signed in") && log.contains("path=/oauth2/callback"), "{log}");
    let value = cookie.split_once('=').unwrap().1;
    for secret in [crate::fixture::SECRET, value, "callback?", "state=", "id_token_hint", "eyJ"] {
        assert!(!log.contains(secret), "{secret:?} is in the log:\n{log}");
    }
}

#[tokio::test]
async fn a_frame_of_another_site_offers_a_new_tab_in_place_of_the_login() {
    let fixture = Fixture::new().await;
    let client = fixture.browser();
    let frame = |dest: &'static str, site: &'static str| {
        [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", dest), ("sec-fetch-site", site)]
    };
    for path in ["/app/x?y=%2F&z=\"", "/_appliance/", "/oauth2/start?rd=%2Fapp%2F"] {
        let path = path.replace('"', "%22");
        let answer = client.send(Method::GET, &path, &frame("iframe", "cross-site")).await.unwrap();
        assert_eq!(answer.status, 401, "{path} {answer:?}");
        let link =
            format!("target=\"_blank\" rel=\"noopener\" href=\"{}\"", path.replace('&', "&amp;"));
        assert!(answer.body.contains(&link), "{link}: {}", answer.body);
        let policy = answer.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.contains("default-src 'none'") && !policy.contains("frame-ancestors"));
        assert_eq!(answer.headers.get("set-cookie"), None, "{path}");
    }
    for (dest, site) in
        [("iframe", "same-origin"), ("iframe", "same-site"), ("document", "cross-site")]
    {
        let answer = client.send(Method::GET, "/app/x", &frame(dest, site)).await.unwrap();
        assert_eq!(answer.status, 302, "{dest} {site}");
    }
    // Every other page of the appliance refuses frames, and public apps decide themselves.
    let answer =
        client.send(Method::GET, "/nowhere", &frame("iframe", "cross-site")).await.unwrap();
    assert!(
        answer.headers["content-security-policy"].to_str().unwrap().contains("frame-ancestors")
    );
}

#[tokio::test]
async fn pages_of_signed_in_people_are_not_kept_by_the_browser() {
    let fixture = Fixture::new().await;
    let mut alice = fixture.signed_in("alice").await;
    let caching = |answer: &crate::harness::Answer| {
        let value = answer.headers.get("cache-control");
        value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
    };
    assert!(caching(&alice.open("/app/page").await).contains("no-store"));
    let data = alice.fetch("/app/data", &[]).await;
    assert!(!caching(&data).contains("no-store"), "{data:?}");
}

/// The address of a login may hold a code and a state, and apps of the same origin are strangers.
#[tokio::test]
async fn no_page_tells_apps_its_address() {
    let fixture = Fixture::new().await;
    let browser = fixture.browser();
    let bob = fixture.signed_in("bob").await;
    for (browser, path, status) in [
        (&browser, "/oauth2/start?rd=/app/&over=x", 302),
        (&browser, "/oauth2/callback?code=c&state=s.x.again", 400),
        (&browser, "/oauth2/callback?code=c&code=d&state=s", 400),
        (&browser, "/oauth2/sign_in?rd=/app/", 200),
        (&bob, "/oauth2/callback?code=c&state=s", 302),
        (&bob, "/oauth2/unknown?code=c&state=s", 404),
        (&bob, "/two/?code=c&state=s", 403),
    ] {
        let answer = browser.send(Method::GET, path, NAVIGATION).await.unwrap();
        assert_eq!(
            (answer.status.as_u16(), &answer.headers["referrer-policy"]),
            (status, &http::HeaderValue::from_static("origin"))
        );
    }
    // What an app says is the app's.
    let answer = bob.send(Method::GET, "/app/", NAVIGATION).await.unwrap();
    assert!(!answer.headers.contains_key("referrer-policy"));
}
