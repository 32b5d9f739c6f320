//! The first start under a name that other machines reach: the link of the log, the account, the portal.

use std::time::Duration;

use crate::appliance::{Appliance, ROOT, folder, free_port};
use crate::browser::{Browser, Driver};
use crate::people;

const PRINTED: &str = "create the first administrator within 30 minutes: ";
const PASSWORD: &str = "the password of ada";

/// The shipped Keycloak and one app, under a name of the network. No setup of Streamlit is needed.
fn config(port: u16, keycloak: &str) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:{port}\"\npublic_url = \"http://apps.test:{port}\"\n\
         [oidc]\nserved_by = \"keycloak\"\nclient_id = \"appliance\"\nclient_secret = {{ generate = \"oidc-client\" }}\n\
         [apps.keycloak]\nkeycloak = {{ home = \"${{KEYCLOAK_HOME}}\", realm = \"{ROOT}/apps/keycloak/realm.json\"{keycloak} }}\npath = \"/auth\"\n\
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

#[tokio::test]
async fn the_first_administrator_begins_by_a_link() {
    let driver = Driver::start(free_port()).await;
    let port = free_port();
    let mut appliance = Appliance::start_in(folder(), port, &config(port, ""), "keycloak").await;
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
