//! The first start under a name that other machines reach: the link of the log, the account, the portal,
//! and the console of Keycloak, where the administrator adds people.

use std::time::Duration;

use crate::appliance::{Appliance, ROOT, folder, free_port};
use crate::browser::{Browser, Driver};
use crate::people;

const PRINTED: &str = "create the first administrator within 30 minutes: ";
const PASSWORD: &str = "the password of ada";
const BOBS: &str = "bobs first password";

/// The shipped Keycloak and one app, under a name of the network. No setup of Streamlit is needed.
fn config(port: u16, [scheme, tls]: [&str; 2], [keycloak, place]: [&str; 2]) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"{scheme}://apps.test:{port}\"\n{tls}\n\
         [oidc]\nserved_by = \"keycloak\"\nclient_id = \"appliance\"\nclient_secret = {{ generate = \"oidc-client\" }}\n\
         [apps.keycloak]\nkeycloak = {{ home = \"${{KEYCLOAK_HOME}}\", realm = \"{ROOT}/apps/keycloak/realm.json\"{keycloak} }}\npath = \"/auth\"\n{place}\n\
         [apps.site]\nstatic = \"{ROOT}/docs/screenshots\"\npath = \"/site\"\naccess = {{ groups = [\"administrators\"] }}\n"
    )
}

async fn fill_in(browser: &Browser, password: &str) {
    for (field, text) in [
        ("username", "ada"),
        ("first_name", "Ada"),
        ("last_name", "Lovelace"),
        ("email", "ada@example.org"),
        ("password", password),
        ("again", password),
    ] {
        let field = browser.find(&format!("input[name={field}]")).await;
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }
}

/// The link that the log has.
async fn printed(appliance: &Appliance) -> String {
    for _ in 0..2400 {
        if let Some((_, rest)) = appliance.log().split_once(PRINTED) {
            return rest.split(' ').next().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no link in the log");
}

/// Creates the administrator by the link of the log, and signs in.
async fn begins(ada: &Browser, appliance: &Appliance) {
    people::waits_on_the_starting_page(ada).await;
    ada.visit(&printed(appliance).await).await;
    fill_in(ada, PASSWORD).await;
    ada.find("form.fields button").await.click().await.unwrap();
    ada.find("#username").await;
    people::gives_the_password(ada, PASSWORD).await;
    ada.find("a.tile[href='/site/']").await;
}

#[tokio::test]
async fn the_first_administrator_begins_by_a_link() {
    let driver = Driver::start(free_port()).await;
    let port = free_port();
    let mut appliance =
        Appliance::start_in(folder(), port, &config(port, ["http", ""], ["", ""]), "keycloak")
            .await;
    let url = format!("http://apps.test:{port}");
    let ada = driver.open(&url).await;
    people::waits_on_the_starting_page(&ada).await;
    let link = printed(&appliance).await;
    assert!(link.starts_with(&format!("{url}/_appliance/first-administrator?token=")), "{link}");

    // Nobody knows a password that is in the realm file.
    people::signs_in_with(&ada, "test", "test").await;
    ada.reads("Invalid username or password").await;

    ada.visit(&link).await;
    fill_in(&ada, PASSWORD).await;
    ada.photograph("first-administrator").await;
    ada.find("form.fields button").await.click().await.unwrap();
    // The form of Keycloak has the name already.
    let name = ada.find("#username").await;
    assert_eq!(name.prop("value").await.unwrap().as_deref(), Some("ada"));
    people::gives_the_password(&ada, PASSWORD).await;
    ada.find("a.tile[href='/site/']").await;
    assert_eq!(ada.path().await, "/_appliance/");
    ada.reads("Your groups: administrators").await;

    ada.visit(&link).await;
    ada.reads("This link is not valid").await;
    ada.photograph("used-link").await;
    ada.close().await;

    // The next start prints none.
    assert_eq!(appliance.stop(Duration::from_secs(15)), Some(0), "the exit code of a stop");
    assert_eq!(appliance.log().matches(PRINTED).count(), 1);
    let token = link.split_once("token=").unwrap().1;
    assert_eq!(appliance.log().matches(token).count(), 1);
    assert!(!appliance.log().contains(PASSWORD));
    appliance.log_holds_no_secret();
}

/// Types into a field of the console.
async fn types(browser: &Browser, field: &str, text: &str) {
    browser.find(&format!("[data-testid={field}]")).await.send_keys(text).await.unwrap();
}

async fn presses(browser: &Browser, button: &str) {
    browser.find(&format!("[data-testid={button}]")).await.click().await.unwrap();
}

/// Adds `bob` to the realm, with a password and a group.
async fn adds_bob(ada: &Browser, console: &str) {
    ada.visit(&format!("{console}#/appliance/users/add-user")).await;
    ada.find("[data-testid=username]").await;
    types(ada, "username", "bob").await;
    types(ada, "email", "bob@example.org").await;
    types(ada, "firstName", "Bob").await;
    types(ada, "lastName", "Builder").await;
    ada.photograph("console-add-user").await;
    presses(ada, "user-creation-save").await;
    presses(ada, "credentials").await;
    presses(ada, "no-credentials-empty-action").await;
    types(ada, "passwordField", BOBS).await;
    types(ada, "passwordConfirmationField", BOBS).await;
    // Bob chooses his own one at the first login.
    ada.photograph("console-password").await;
    presses(ada, "confirm").await;
    ada.reads("Are you sure").await;
    presses(ada, "confirm").await;
    ada.reads("The password has been set successfully").await;
    presses(ada, "user-groups-tab").await;
    ada.photograph("console-groups").await;
}

/// Nobody without a session of an administrator gets anything of the administration.
async fn strangers_get_nothing(keycloak: &str) {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder()
        .no_proxy()
        .tls_danger_accept_invalid_certs(true)
        .redirect(reqwest::redirect::Policy::none())
        .resolve("apps.test", (std::net::Ipv4Addr::LOCALHOST, 0).into())
        .resolve("auth.test", (std::net::Ipv4Addr::LOCALHOST, 0).into());
    let client = client.build().unwrap();
    for (path, status) in [
        ("admin/appliance/console/", 401),
        ("admin/appliance/console/whoami", 401),
        ("admin/realms/appliance", 401),
        ("admin/realms/appliance/users", 401),
        ("admin/serverinfo", 401),
        ("Admin/realms/appliance/users", 404),
        ("admin/realms/master", 404),
        ("admin/master/console/", 404),
        ("admin/", 404),
        ("realms/master/.well-known/openid-configuration", 404),
    ] {
        let answer = client.get(format!("{keycloak}/{path}")).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
    }
}

async fn administers(place: &str, host: &str) {
    let driver = Driver::start(free_port()).await;
    let port = free_port();
    let console = ", admin_console = { groups = [\"administrators\"] }";
    // The script of the console uses Web Crypto, which browsers have over https and on localhost only.
    let text = config(port, ["https", "tls = { internal = true }"], [console, place]);
    let mut appliance = Appliance::start_in(folder(), port, &text, "keycloak").await;
    let url = format!("https://apps.test:{port}");
    let keycloak = format!("https://{host}:{port}/auth");
    let ada = driver.open(&url).await;
    begins(&ada, &appliance).await;
    strangers_get_nothing(&keycloak).await;

    let console = format!("{keycloak}/admin/appliance/console/");
    let link = ada.find(&format!("a[href='{console}']")).await;
    ada.photograph("portal-administrator").await;
    link.click().await.unwrap();
    ada.reads("Realm settings").await;
    adds_bob(&ada, &console).await;
    ada.close().await;

    // Bob has no group: the console is closed, whatever the path.
    let bob = driver.open(&url).await;
    people::signs_in_with(&bob, "bob", BOBS).await;
    bob.find("#password-new").await.send_keys(PASSWORD).await.unwrap();
    bob.find("#password-confirm").await.send_keys(PASSWORD).await.unwrap();
    bob.find("#kc-passwd-update-form [type=submit]").await.click().await.unwrap();
    bob.reads("You don't have access to any app").await;
    assert!(!bob.text().await.contains("People and groups"));
    for path in ["", "whoami"] {
        bob.visit(&format!("{console}{path}")).await;
        bob.reads("the group administrators").await;
    }
    bob.close().await;

    assert_eq!(appliance.stop(Duration::from_secs(15)), Some(0), "the exit code of a stop");
    for word in [PASSWORD, BOBS] {
        assert!(!appliance.log().contains(word));
    }
    appliance.log_holds_no_secret();
}

#[tokio::test]
async fn an_administrator_adds_people_beside_the_apps() {
    administers("", "apps.test").await;
}

#[tokio::test]
async fn an_administrator_adds_people_at_the_host_of_keycloak() {
    administers("host = \"auth.test\"", "auth.test").await;
}
