//! Attacks on the built appliance. Each of them succeeded against an earlier version.

use reqwest::Method;

use crate::fixture::Fixture;
use crate::harness::{Browser, FETCH};
use crate::issuer::Call;

/// The session cookie of a browser, as the `Cookie` header has it.
fn session(browser: &Browser) -> String {
    let line = browser.cookie_line();
    line.split("; ")
        .find(|pair| pair.starts_with("appliance-") && !pair.contains("-login-"))
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn copies_of_a_planted_session_do_not_replace_the_victims_session() {
    let fixture = Fixture::new().await;
    let victim = session(&fixture.signed_in("alice").await);
    let planted = session(&fixture.signed_in("bob").await);
    for copies in [1, 4, 20] {
        // More specific paths come first in a browser's `Cookie`.
        let mut cookies = vec![planted.as_str(); copies];
        cookies.push(&victim);
        let line = cookies.join("; ");
        let headers = [FETCH, &[("cookie", line.as_str())]].concat();
        let answer = fixture.browser().send(Method::GET, "/app/", &headers).await.unwrap();
        assert_eq!(answer.status, 401, "{copies} copies: {}", answer.body);
    }
}

#[tokio::test]
async fn a_login_beside_a_planted_session_asks_and_succeeds() {
    let fixture = Fixture::new().await;
    let planted = session(&fixture.signed_in("bob").await);
    let mut victim = fixture.signed_in("alice").await;
    let start = victim.open("/oauth2/start?rd=/app/").await;
    let callback = fixture.issuer.approve(start.location());
    let line = format!("{planted}; {}", victim.cookie_line());
    let path = callback.strip_prefix(&fixture.appliance.url).unwrap();
    let headers = [("cookie", line.as_str()), ("sec-fetch-mode", "navigate")];
    let answer = fixture.browser().send(Method::GET, path, &headers).await.unwrap();
    // Two people are signed in, and only one of them was when this login began.
    assert!(answer.body.contains("Continue as alice"), "{}", answer.body);
    let form = answer.body.split("\"/oauth2/callback?confirm=").nth(1).unwrap();
    let form = format!("/oauth2/callback?confirm={}", form.split('"').next().unwrap());
    let origin = ("origin", fixture.appliance.url.as_str());
    let headers = [&headers[..], &[origin, ("sec-fetch-site", "same-origin")]].concat();
    let answer = fixture.browser().send(Method::POST, &form, &headers).await.unwrap();
    let own = answer.headers["set-cookie"].to_str().unwrap().split(';').next().unwrap();
    let line = format!("{planted}; {own}");
    let headers = [FETCH, &[("cookie", line.as_str())]].concat();
    let answer = fixture.browser().send(Method::GET, "/app/", &headers).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.body.contains("alice"), "{}", answer.body);
}

#[tokio::test]
async fn a_repeated_callback_after_a_restart_does_not_redeem_the_code_again() {
    let mut fixture = Fixture::new().await;
    let mut browser = fixture.browser();
    let start = browser.open("/oauth2/start?rd=/app/x").await;
    let callback = fixture.issuer.approve(start.location());
    // The clone never gets the response, so it keeps the cookie of the attempt.
    let mut again = browser.clone();
    assert_eq!(browser.open(&callback).await.location(), "/app/x");
    assert_eq!(fixture.appliance.stop().await, 0);
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    assert_eq!(again.open(&callback).await.location(), "/oauth2/start?rd=%2Fapp%2Fx");
    assert_eq!(fixture.issuer.count(Call::Code), 1);
    assert_eq!(again.go("/app/x").await.status, 200, "the issuer's session is still valid");
}

#[tokio::test]
async fn no_spelling_of_an_identity_header_or_of_framing_reaches_an_app() {
    let fixture = Fixture::new().await;
    let names = ["x~forwarded~user", "x+forwarded+groups", "x!auth!request!email", "remote|user"];
    let mut headers = FETCH.to_vec();
    headers.extend(names.map(|name| (name, "mallory")));
    headers.extend([("content_length", "mallory"), ("transfer_encoding", "mallory")]);
    let answer = fixture.browser().send(Method::GET, "/open/x", &headers).await.unwrap();
    assert_eq!(answer.status, 200);
    assert!(!answer.body.contains("mallory"), "{}", answer.body);
}

#[tokio::test]
async fn a_login_never_leads_to_a_sign_out() {
    let fixture = Fixture::new().await;
    for rd in ["/x/../oauth2/sign_out", "/x/%2e%2e/oauth2/sign_out", "/./oauth2/start?rd=/"] {
        let mut browser = fixture.browser();
        let rd: String = form_urlencoded::byte_serialize(rd.as_bytes()).collect();
        let start = browser.open(&format!("/oauth2/start?rd={rd}")).await;
        let callback = fixture.issuer.approve(start.location());
        assert_eq!(browser.open(&callback).await.location(), "/");
    }
}
