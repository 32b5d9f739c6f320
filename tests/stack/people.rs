//! What people do at the front door, and what they see there.

use fantoccini::Locator;

use crate::browser::Browser;

/// The page of the first seconds, which reloads itself until Keycloak asks for the name.
pub(crate) async fn waits_on_the_starting_page(browser: &Browser) {
    if !browser.has("#username").await {
        browser.photograph("starting").await;
    }
    browser.find("#username").await;
}

/// At Keycloak's page; every password of the shipped realm is the user's name.
pub(crate) async fn signs_in(browser: &Browser, user: &str) {
    browser.find("#username").await;
    browser.photograph("sign-in").await;
    browser.find("#username").await.send_keys(user).await.unwrap();
    browser.find("#password").await.send_keys(user).await.unwrap();
    browser.find("#kc-login").await.click().await.unwrap();
    browser.reads(user).await;
}

pub(crate) async fn sees_the_portal(browser: &Browser, open: &[&str], closed: &[&str]) {
    for app in open {
        browser.find(&format!("a.tile[href='/{app}/'] .state.ready")).await;
    }
    for app in closed {
        assert!(!browser.has(&format!("a.tile[href='/{app}/']")).await, "a tile of {app}");
    }
    browser.photograph(&format!("portal-{}", open.len())).await;
}

/// Signed out of Keycloak too: the next page is its form again, not a silent login.
pub(crate) async fn signs_out_and_is_asked_again(browser: &Browser) {
    browser.goto("/").await;
    browser.find("form.who button").await.click().await.unwrap();
    browser.goto("/app1/").await;
    browser.find("#username").await;
    assert!(browser.path().await.starts_with("/auth/realms/appliance/"));
}

/// The page of 403 names what is missing and who is signed in, and offers another name.
pub(crate) async fn is_told_which_group_is_missing(browser: &Browser, group: &str, user: &str) {
    assert_eq!(browser.path().await, "/app2/");
    let main = browser.find("main").await.text().await.unwrap();
    assert!(main.contains(group) && main.contains(user), "{main}");
    let button = browser.find("main").await.find(Locator::Css("a.button")).await.unwrap();
    assert_eq!(button.attr("href").await.unwrap().as_deref(), Some("/oauth2/sign_out"));
    browser.photograph("denied").await;
}
