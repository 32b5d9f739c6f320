//! The stack of supervisord, Keycloak, oauth2-proxy and nginx, imported: `test` signs in at the real
//! Keycloak and opens both Streamlit apps.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::appliance::{Appliance, ROOT, folder, free_port, kept};
use crate::browser::Driver;
use crate::{people, streamlit};

const LONGEST_BUILD: Duration = Duration::from_mins(5);

/// The folder of the installed Keycloak.
const KEYCLOAK: &str = "keycloak";

const SUPERVISORD: &str = "
[supervisord]
nodaemon=true

[program:keycloak]
command=./keycloak/bin/kc.sh start-dev --import-realm --http-port={KEYCLOAK}
priority=0

[program:proxy]
command=bash -c 'sleep 15 && ./oauth2-proxy --http-address=0.0.0.0:4180 --scope=\"openid profile email\"'
priority=1
startretries=10

[program:app1]
command=streamlit run app1.py --server.port 8501 --server.enableCORS false --server.enableXsrfProtection false --server.baseUrlPath=/app1
priority=2

[program:app2]
command=streamlit run app2.py --server.port 8502 --server.enableCORS false --server.enableXsrfProtection false --server.baseUrlPath=/app2
priority=2
";

const COMPOSE: &str = "
services:
  stack:
    build: .
    environment:
      OAUTH2_PROXY_PROVIDER: keycloak-oidc
      OAUTH2_PROXY_OIDC_ISSUER_URL: http://localhost:{KEYCLOAK}/realms/staff
      OAUTH2_PROXY_CLIENT_ID: web
      OAUTH2_PROXY_CLIENT_SECRET: {SECRET}
      OAUTH2_PROXY_EMAIL_DOMAINS: '*'
      OAUTH2_PROXY_REDIRECT_URL: http://localhost:{PORT}/oauth2/callback
";

const NGINX: &str = "
http { server {
    listen {PORT};
    server_name localhost;
    location /oauth2/ { proxy_pass http://127.0.0.1:4180; }
    location = /oauth2/auth { proxy_pass http://127.0.0.1:4180; }
    location = /oauth2/auth_group2 {
        proxy_pass http://127.0.0.1:4180/oauth2/auth?allowed_groups=group2;
    }
    location /app1 { auth_request /oauth2/auth; proxy_pass http://127.0.0.1:8501/app1; }
    location /app2 { auth_request /oauth2/auth_group2; proxy_pass http://127.0.0.1:8502/app2; }
} }
";

const REALM: &str = r#"{
    "realm": "staff", "enabled": true, "sslRequired": "none",
    "groups": [{ "name": "group1" }, { "name": "group2" }],
    "clients": [{
        "clientId": "web", "secret": "{SECRET}", "standardFlowEnabled": true,
        "redirectUris": ["http://localhost:{PORT}/oauth2/callback"],
        "attributes": { "post.logout.redirect.uris": "http://localhost:{PORT}/*" },
        "protocolMappers": [{
            "name": "groups", "protocol": "openid-connect",
            "protocolMapper": "oidc-group-membership-mapper",
            "config": { "claim.name": "groups", "full.path": "false", "id.token.claim": "true",
                "access.token.claim": "true", "userinfo.token.claim": "true" }
        }]
    }],
    "users": [{
        "username": "test", "enabled": true, "email": "test@example.com", "emailVerified": true,
        "firstName": "Test", "lastName": "User", "groups": ["/group1", "/group2"],
        "credentials": [{ "type": "password", "value": "test" }]
    }]
}"#;

#[tokio::test]
async fn an_imported_stack_lets_test_in() {
    // The setup of the shipped stack installs Keycloak, if no test did so before.
    if !kept().join(KEYCLOAK).exists() {
        drop(Appliance::start().await);
    }
    let driver = Driver::start(free_port()).await;
    let folder = folder();
    let (port, keycloak) = (free_port(), free_port());
    let text = imported(folder.path(), port, keycloak);
    let mut appliance = Appliance::start_in(folder, port, &text, KEYCLOAK).await;

    until_people_can_sign_in(&appliance).await;
    let test = driver.open(&appliance.url).await;
    people::signs_in(&test, "test").await;
    test.goto("/app1/").await;
    streamlit::knows_who_is_signed_in(&test, "test", "test@example.com", &["group1"]).await;
    test.goto("/app2/").await;
    streamlit::shows_the_figures_of_group2(&test).await;
    test.close().await;
    assert_eq!(appliance.stop(Duration::from_secs(15)), Some(0), "the exit code of a stop");
}

/// `start-dev` builds Keycloak before it starts, which takes minutes on a slow machine.
async fn until_people_can_sign_in(appliance: &Appliance) {
    let began = Instant::now();
    while !appliance.log().contains("ready: sign in at ") {
        assert!(began.elapsed() < LONGEST_BUILD, "the issuer is not ready");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Writes the files of the stack and returns what `appliance import` prints. The secret is in a file,
/// where people move it.
fn imported(folder: &Path, port: u16, keycloak: u16) -> String {
    let filled = |text: &str| {
        text.replace("{PORT}", &port.to_string())
            .replace("{KEYCLOAK}", &keycloak.to_string())
            .replace("{SECRET}", "the-secret-of-the-client")
    };
    for (name, text) in
        [("supervisord.conf", SUPERVISORD), ("docker-compose.yml", COMPOSE), ("nginx.conf", NGINX)]
    {
        std::fs::write(folder.join(name), filled(text)).unwrap();
    }
    for name in ["app1.py", "app2.py", "requirements.txt"] {
        let _ = std::fs::copy(Path::new(ROOT).join("apps").join(name), folder.join(name));
    }
    // A copy, because `start-dev` builds Keycloak for its own options.
    let copied = Command::new("cp")
        .arg("-r")
        .arg(kept().join(KEYCLOAK))
        .arg(folder.join("keycloak"))
        .status();
    assert!(copied.unwrap().success());
    let realms = folder.join("keycloak/data/import");
    std::fs::create_dir_all(&realms).unwrap();
    std::fs::write(realms.join("staff-realm.json"), filled(REALM)).unwrap();

    let output = Command::new(env!("CARGO_BIN_EXE_appliance"))
        .args(["import", "supervisord.conf", "docker-compose.yml", "nginx.conf"])
        .current_dir(folder)
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains("the-secret-of"), "a secret is shown: {text}");
    std::fs::write(folder.join("secret"), "the-secret-of-the-client").unwrap();
    text.replace("{ env = \"OAUTH2_PROXY_CLIENT_SECRET\" }", "{ file = \"secret\" }")
}
