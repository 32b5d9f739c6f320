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
    signs_in_with(browser, user, user).await;
    browser.reads(user).await;
}

pub(crate) async fn signs_in_with(browser: &Browser, user: &str, password: &str) {
    browser.find("#username").await.send_keys(user).await.unwrap();
    gives_the_password(browser, password).await;
}

pub(crate) async fn gives_the_password(browser: &Browser, password: &str) {
    browser.find("#password").await.send_keys(password).await.unwrap();
    browser.find("#kc-login").await.click().await.unwrap();
}

/// Keycloak compares the age of the login in whole seconds: within the second of the last login it
/// shows the page that is protected by the password (`next`) without asking.
async fn confirms_the_password(browser: &Browser, password: &str, next: &str) {
    browser.find(&format!("#password, {next}")).await;
    if browser.has("#password").await {
        gives_the_password(browser, password).await;
    }
    browser.find(next).await;
}

/// By the link of the portal. Keycloak asks for the present password first, however fresh the login.
pub(crate) async fn changes_the_password(browser: &Browser, old: &str, new: &str) {
    browser.goto("/").await;
    browser.find("a[href*='action=password']").await.click().await.unwrap();
    confirms_the_password(browser, old, "#password-new").await;
    browser.find("#password-new").await.send_keys(new).await.unwrap();
    browser.photograph("password").await;
    browser.find("#password-confirm").await.send_keys(new).await.unwrap();
    browser.find("#kc-passwd-update-form [type=submit]").await.click().await.unwrap();
    browser.find("a[href*='action=password']").await;
    assert_eq!(browser.path().await, "/_appliance/");
}

/// The page with the code for the app on the phone, which is left again.
pub(crate) async fn looks_at_the_second_factor(browser: &Browser, password: &str) {
    browser.goto("/").await;
    browser.find("a[href*='action=totp']").await.click().await.unwrap();
    confirms_the_password(browser, password, "#kc-totp-secret-qr-code").await;
    browser.find("[name=cancel-aia]").await.click().await.unwrap();
    browser.find("a[href*='action=totp']").await;
    assert_eq!(browser.path().await, "/_appliance/");
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

/// Signs out. Keycloak's session has ended, too: the back button and the next page show the login form,
/// neither a page of an app nor a silent login.
pub(crate) async fn signs_out_and_is_asked_again(browser: &Browser) {
    browser.goto("/app1/").await;
    browser.reads("Hello, ").await;
    browser.goto("/").await;
    signs_out(browser).await;
    for _ in ["the portal", "the app"] {
        browser.back().await;
        browser.find("#username").await;
        assert!(!browser.text().await.contains("Hello, "));
    }
    browser.goto("/app1/").await;
    browser.find("#username").await;
    assert!(browser.path().await.contains("/realms/appliance/"));
}

/// By the button of the portal, which leads to the login form.
pub(crate) async fn signs_out(browser: &Browser) {
    browser.find("form.who button").await.click().await.unwrap();
    browser.find("#username").await;
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

/// Keycloak's own error page leads back to the portal, as do its pages after a verification mail.
pub(crate) async fn finds_the_way_back_from_keycloak(browser: &Browser, issuer: &str) {
    let endpoint = "realms/appliance/protocol/openid-connect/auth";
    let elsewhere = "response_type=code&redirect_uri=https%3A%2F%2Felsewhere.example%2F";
    browser.visit(&format!("{issuer}/{endpoint}?client_id=appliance&{elsewhere}")).await;
    browser.find("#backToApplication").await.click().await.unwrap();
    browser.find("a.tile").await;
}

/// The account console, a script that Keycloak serves.
pub(crate) async fn opens_the_account_console(browser: &Browser, issuer: &str, email: &str) {
    browser.visit(&format!("{issuer}/realms/appliance/account/")).await;
    let field = browser.find("input#email").await;
    assert_eq!(field.prop("value").await.unwrap().as_deref(), Some(email));
    browser.photograph("account").await;
}

/// With the password that the state folder keeps.
pub(crate) async fn opens_the_admin_console(browser: &Browser, issuer: &str, password: &str) {
    browser.visit(&format!("{issuer}/admin/")).await;
    signs_in_with(browser, "admin", password).await;
    browser.find("[data-testid=currentRealm], #realm-select, nav").await;
    browser.reads("Manage realms").await;
}
