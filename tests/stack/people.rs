//! The steps of people on the pages of the appliance and of Keycloak.

use fantoccini::Locator;

use crate::browser::Browser;

/// Waits on the starting page, which refreshes itself until Keycloak shows its login form.
pub(crate) async fn waits_on_the_starting_page(browser: &Browser) {
    if !browser.has("#username").await {
        browser.photograph("starting").await;
    }
    browser.find("#username").await;
}

/// Signs in at Keycloak's form. In the shipped realm every password is the user's name.
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

/// Signs out. Keycloak's session has ended, too: the next page is the login form, not a silent login.
pub(crate) async fn signs_out_and_is_asked_again(browser: &Browser) {
    browser.goto("/").await;
    browser.find("form.who button").await.click().await.unwrap();
    browser.goto("/app1/").await;
    browser.find("#username").await;
    assert!(browser.path().await.starts_with("/auth/realms/appliance/"));
}

/// The 403 page names the missing group and the signed-in person, and offers a login with another
/// account.
pub(crate) async fn is_told_which_group_is_missing(browser: &Browser, group: &str, user: &str) {
    assert_eq!(browser.path().await, "/app2/");
    let main = browser.find("main").await.text().await.unwrap();
    assert!(main.contains(group) && main.contains(user), "{main}");
    let button = browser.find("main").await.find(Locator::Css("a.button")).await.unwrap();
    assert_eq!(button.attr("href").await.unwrap().as_deref(), Some("/oauth2/sign_out"));
    browser.photograph("denied").await;
}
