//! A chain of issuers: the realm of the appliance sends people on to another realm.
//!
//! The second realm is `staff`, of the same Keycloak. It signs people out under a third host, so that
//! the redirects of a sign-out leave the origins of the appliance and of its issuer.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::appliance::{Appliance, free_port};
use crate::browser::{Browser, Driver};
use crate::{people, streamlit};

const SHIPPED: &str = include_str!("../../apps/keycloak/realm.json");

/// The snippet of docs/google.md.
const GOOGLE: &str = include_str!("../../apps/keycloak/google.json");

/// Writes the realm with the snippet for Google, whose addresses are those of the realm `staff`.
fn with_google(folder: &Path, url: &str) {
    let staff = format!("{url}/auth/realms/staff");
    let endpoint = |name: &str| format!("{staff}/protocol/openid-connect/{name}");
    let snippet = GOOGLE
        .replace("https://accounts.google.com/o/oauth2/v2/auth", &endpoint("auth"))
        .replace("https://accounts.google.com", &staff)
        .replace("https://oauth2.googleapis.com/token", &endpoint("token"))
        .replace("https://openidconnect.googleapis.com/v1/userinfo", &endpoint("userinfo"))
        .replace("https://www.googleapis.com/oauth2/v3/certs", &endpoint("certs"));
    let snippet: Value = serde_json::from_str(&snippet).unwrap();
    let mut realm: Value = serde_json::from_str(SHIPPED).unwrap();
    for (key, value) in snippet.as_object().unwrap() {
        realm[key] = value.clone();
    }
    std::fs::write(folder.join("realm.json"), realm.to_string()).unwrap();
    staff_realm(folder, &format!("{url}/auth/realms/appliance/broker/google/endpoint"));
}

/// Writes both realms. Keycloak imports every file of its import folder.
fn realms(folder: &Path, url: &str) {
    let mut realm: Value = serde_json::from_str(SHIPPED).unwrap();
    let staff = format!("{url}/auth/realms/staff");
    let endpoint = |name: &str| format!("{staff}/protocol/openid-connect/{name}");
    let broker = format!("{url}/auth/realms/appliance/broker/staff/endpoint");
    realm["identityProviders"] = json!([{
        "alias": "staff",
        "providerId": "oidc",
        "enabled": true,
        "trustEmail": true,
        "config": {
            "issuer": staff,
            "authorizationUrl": endpoint("auth"),
            "tokenUrl": endpoint("token"),
            "jwksUrl": endpoint("certs"),
            "logoutUrl": endpoint("logout").replace("localhost", "third.localhost"),
            "backchannelSupported": "false",
            "useJwksUrl": "true",
            "validateSignature": "true",
            "clientId": "broker",
            "clientSecret": "secret-of-the-broker",
            "clientAuthMethod": "client_secret_post",
            "defaultScope": "openid profile email",
        },
    }]);
    std::fs::write(folder.join("realm.json"), realm.to_string()).unwrap();
    staff_realm(folder, &broker);
}

/// Writes the realm `staff`, whose client is the broker. All of its people are of the organisation
/// `example.org`, as Google says it.
fn staff_realm(folder: &Path, broker: &str) {
    let other = json!({
        "realm": "staff",
        "enabled": true,
        "sslRequired": "none",
        "users": [{
            "username": "nina",
            "enabled": true,
            "firstName": "Nina",
            "lastName": "Staff",
            "email": "nina@example.com",
            "emailVerified": true,
            "credentials": [{ "type": "password", "value": "nina" }],
            "realmRoles": ["default-roles-staff"],
        }],
        "clients": [{
            "clientId": "broker",
            "enabled": true,
            "secret": "secret-of-the-broker",
            "redirectUris": [format!("{broker}*")],
            "attributes": { "post.logout.redirect.uris": format!("{broker}/*") },
            "protocolMappers": [{
                "name": "hd",
                "protocol": "openid-connect",
                "protocolMapper": "oidc-hardcoded-claim-mapper",
                "config": {
                    "claim.name": "hd",
                    "claim.value": "example.org",
                    "jsonType.label": "String",
                    "id.token.claim": "true",
                    "userinfo.token.claim": "true",
                },
            }],
        }],
    });
    let import = folder.join(".appliance/keycloak-data/data/import");
    std::fs::create_dir_all(&import).unwrap();
    std::fs::write(import.join("staff.json"), other.to_string()).unwrap();
}

/// By the button of the broker. The other realm asks for the password, so nobody is signed in there.
async fn signs_in_by_staff(browser: &Browser) {
    browser.find("#username").await;
    assert!(browser.path().await.contains("/realms/appliance/"));
    browser.find("#social-staff").await.click().await.unwrap();
    browser.find("#kc-form-login[action*='/realms/staff/']").await;
    people::signs_in_with(browser, "nina", "nina").await;
    browser.reads("Hello, nina!").await;
}

#[tokio::test]
async fn a_sign_out_ends_the_session_of_a_broker() {
    let driver = Driver::start(free_port()).await;
    let keycloak = free_port().to_string();
    let path = format!("port = {keycloak}\npath     = \"/auth\"");
    let third = format!(
        "[apps.third]\nupstream = \"http://127.0.0.1:{keycloak}\"\nhost = \"third.localhost\"\n\
         access = \"public\"\n[apps.app1]"
    );
    let changes = [
        ("path     = \"/auth\"", &*path),
        ("[apps.app1]", &third),
        // Only with the admin console, the paths of other realms are open.
        ("realm.json\" }", "realm.json\", admin_console = true }"),
        (concat!(env!("CARGO_MANIFEST_DIR"), "/apps/keycloak/realm.json"), "realm.json"),
    ];
    let mut appliance = Appliance::start_prepared(realms, &changes, "keycloak").await;
    let nina = driver.open(&appliance.url).await;
    people::waits_on_the_starting_page(&nina).await;

    // Each time, the revocation of the appliance follows the browser, which is at the broker then.
    for _ in 0..3 {
        nina.goto("/app1/").await;
        signs_in_by_staff(&nina).await;
        nina.goto("/").await;
        people::signs_out(&nina).await;
        assert!(nina.path().await.contains("/realms/appliance/"), "{}", nina.url().await);
    }
    nina.goto("/app1/").await;
    signs_in_by_staff(&nina).await;
    nina.close().await;

    assert_eq!(appliance.stop(Duration::from_secs(15)), Some(0), "the exit code of a stop");
    appliance.log_holds_no_secret();
    for word in ["session_expired", "user_session_not_found", "LOGOUT_ERROR"] {
        assert!(!appliance.log().contains(word), "the log holds {word}");
    }
}

/// With the hint, people come to Google without a page of Keycloak, and the mapper of the snippet gives
/// the people of the organisation their group.
#[tokio::test]
async fn people_of_an_organisation_sign_in_by_google() {
    let driver = Driver::start(free_port()).await;
    let hint = "[oidc]\nlogin_params = { kc_idp_hint = \"google\" }";
    let variables = "path     = \"/auth\"\n\
        env = { GOOGLE_CLIENT_ID = \"broker\", GOOGLE_CLIENT_SECRET = \"secret-of-the-broker\" }";
    let changes = [
        ("[oidc]", hint),
        ("path     = \"/auth\"", variables),
        // Only with the admin console, the paths of other realms are open.
        ("realm.json\" }", "realm.json\", admin_console = true }"),
        (concat!(env!("CARGO_MANIFEST_DIR"), "/apps/keycloak/realm.json"), "realm.json"),
    ];
    let mut appliance = Appliance::start_prepared(with_google, &changes, "keycloak").await;
    let nina = driver.open(&appliance.url).await;
    nina.goto("/app2/").await;
    nina.find("#kc-form-login[action*='/realms/staff/']").await;
    people::signs_in_with(&nina, "nina", "nina").await;
    streamlit::shows_the_figures_of_group2(&nina).await;
    nina.goto("/oauth2/userinfo").await;
    nina.reads("\"user\":\"nina@example.com\"").await;
    nina.close().await;

    assert_eq!(appliance.stop(Duration::from_secs(15)), Some(0), "the exit code of a stop");
    assert!(!appliance.log().contains("secret-of-the-broker"), "the log holds the secret");
}
