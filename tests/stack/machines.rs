//! What Keycloak's administration and programs do: end the sessions of a person, and get in with a token
//! of a service account.

use std::time::Duration;

use reqwest::{Client, Method};
use serde_json::{Value, json};

use crate::appliance::{Appliance, free_port};
use crate::browser::Driver;
use crate::people;

/// Keycloak's administration by its REST API.
struct Administration {
    client: Client,
    issuer: String,
    token: String,
}

impl Administration {
    async fn sign_in(appliance: &Appliance) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build().unwrap();
        let issuer = format!("{}/auth", appliance.url);
        let password = appliance.secret("keycloak-admin");
        let form = [
            ("grant_type", "password"),
            ("client_id", "admin-cli"),
            ("username", "admin"),
            ("password", &password),
        ];
        let token = token(&client, &issuer, "master", &form).await;
        Self { client, issuer, token }
    }

    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}/admin/realms/appliance/{path}", self.issuer);
        let mut request = self.client.request(method, url).bearer_auth(&self.token);
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }
}

/// An access token of a realm.
async fn token(client: &Client, issuer: &str, realm: &str, form: &[(&str, &str)]) -> String {
    let url = format!("{issuer}/realms/{realm}/protocol/openid-connect/token");
    let answer = client.post(url).form(form).send().await.unwrap();
    let (status, text) = (answer.status(), answer.text().await.unwrap());
    assert!(status.is_success(), "{status} {text}");
    let tokens: Value = serde_json::from_str(&text).unwrap();
    tokens["access_token"].as_str().unwrap().to_owned()
}

/// As docs/programs.md says: a client with a service account and an audience mapper.
fn robot() -> Value {
    json!({
        "clientId": "robot",
        "secret": "secret-of-the-robot",
        "standardFlowEnabled": false,
        "serviceAccountsEnabled": true,
        "protocolMappers": [{
            "name": "apps",
            "protocol": "openid-connect",
            "protocolMapper": "oidc-audience-mapper",
            "config": { "included.client.audience": "appliance", "access.token.claim": "true" },
        }],
    })
}

#[tokio::test]
async fn keycloak_ends_a_session_and_a_service_account_gets_in() {
    let driver = Driver::start(free_port()).await;
    let changes = [
        ("realm.json\" }", "realm.json\", admin_console = true }"),
        ("[apps.app1]\n", "[apps.app1]\nbearer = true\n"),
    ];
    let mut appliance = Appliance::start_changed(&changes, "keycloak").await;
    let test = driver.open(&appliance.url).await;
    people::waits_on_the_starting_page(&test).await;
    people::signs_in(&test, "test").await;
    let administration = Administration::sign_in(&appliance).await;

    administration.ask(Method::POST, "clients", Some(robot())).await;
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", "robot"),
        ("client_secret", "secret-of-the-robot"),
    ];
    let robot = token(&administration.client, &administration.issuer, "appliance", &form).await;
    let asks = async |path: &str| {
        let request = administration.client.get(format!("{}{path}", appliance.url));
        request.bearer_auth(&robot).send().await.unwrap().status().as_u16()
    };
    assert_eq!(asks("/app1/").await, 200, "{}", appliance.log());
    assert_eq!(asks("/app2/").await, 401, "app2 takes no tokens");
    assert!(appliance.log().contains("azp=robot"), "{}", appliance.log());

    // The appliance learns of it from Keycloak: its own next refresh is minutes away.
    test.goto("/app1/").await;
    test.reads("Hello, test!").await;
    let users = administration.ask(Method::GET, "users?username=test&exact=true", None).await;
    let id = users[0]["id"].as_str().unwrap();
    administration.ask(Method::POST, &format!("users/{id}/logout"), None).await;
    test.goto("/app1/").await;
    test.find("#username").await;
    test.close().await;

    assert_eq!(appliance.stop(Duration::from_secs(10)), Some(0), "the exit code of a stop");
    appliance.log_holds_no_secret();
    assert!(!appliance.log().contains(&robot), "the log holds the token");
}
