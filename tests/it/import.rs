//! The files of a stack of supervisord, oauth2-proxy and nginx are imported, and what comes out lets
//! people in.

use std::process::Command;

use crate::harness::{Appliance, Browser, free_port};
use crate::issuer::Issuer;

/// An app that answers with the headers that it gets.
const ECHO: &str = r#"
import http.server, json, sys
class Echo(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        text = json.dumps({"path": self.path, **{k.lower(): v for k, v in self.headers.items()}}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    def log_message(self, *args):
        pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Echo).serve_forever()
"#;

const SUPERVISORD: &str = "
[supervisord]
nodaemon=true

[program:proxy]
command=bash -c 'sleep 15 && ./oauth2-proxy --http-address=0.0.0.0:4180 --scope=\"openid profile email\"'
priority=1

[program:app1]
command=python3 echo.py {ONE}
priority=2

[program:app2]
command=sh -c 'sleep 1 && exec python3 echo.py {TWO}'
priority=2
";

const COMPOSE: &str = "
services:
  stack:
    build: .
    environment:
      OAUTH2_PROXY_PROVIDER: keycloak-oidc
      OAUTH2_PROXY_OIDC_ISSUER_URL: {ISSUER}
      OAUTH2_PROXY_CLIENT_ID: appliance
      OAUTH2_PROXY_CLIENT_SECRET: the-secret-of-the-client
      OAUTH2_PROXY_COOKIE_SECRET: the-secret-of-the-cookie
      OAUTH2_PROXY_EMAIL_DOMAINS: '*'
      OAUTH2_PROXY_REDIRECT_URL: http://localhost:18080/oauth2/callback
      OAUTH2_PROXY_REVERSE_PROXY: true
    ports: ['4180:4180', '18080:18080']
";

const NGINX: &str = "
http { server {
    listen 18080;
    server_name localhost;
    location /oauth2/ { proxy_pass http://127.0.0.1:4180; }
    location = /oauth2/auth { internal; proxy_pass http://127.0.0.1:4180; }
    location = /oauth2/auth_group2 {
        internal;
        proxy_pass http://127.0.0.1:4180/oauth2/auth?allowed_groups=group2;
    }
    location /app1/ {
        auth_request /oauth2/auth;
        auth_request_set $user $upstream_http_x_auth_request_user;
        proxy_set_header X-User $user;
        proxy_pass http://127.0.0.1:{ONE}/;
    }
    location /app2 { auth_request /oauth2/auth_group2; proxy_pass http://127.0.0.1:{TWO}; }
    location /app2/open { auth_request off; proxy_pass http://127.0.0.1:{TWO}; }
} }
";

#[tokio::test]
async fn an_imported_stack_lets_people_in() {
    let issuer = Issuer::new().await;
    issuer.order(|orders| orders.client_secret = "the-secret-of-the-client".into());
    let sources = tempfile::tempdir().unwrap();
    let (one, two) = (free_port().to_string(), free_port().to_string());
    for (name, text) in
        [("supervisord.conf", SUPERVISORD), ("docker-compose.yml", COMPOSE), ("nginx.conf", NGINX)]
    {
        let text = text.replace("{ONE}", &one).replace("{TWO}", &two);
        std::fs::write(sources.path().join(name), text.replace("{ISSUER}", &issuer.url)).unwrap();
    }
    let imported = Command::new(env!("CARGO_BIN_EXE_appliance"))
        .args(["import", "."])
        .current_dir(sources.path())
        .output()
        .unwrap();
    assert!(imported.status.success(), "{imported:?}");
    let text = String::from_utf8(imported.stdout).unwrap();
    let lines = String::from_utf8(imported.stderr).unwrap();
    for text in [&text, &lines] {
        assert!(!text.contains("the-secret-of"), "a secret is shown: {text}");
    }
    assert!(lines.contains("OAUTH2_PROXY_CLIENT_SECRET=…"), "{lines}");

    // As in the container, where the variable is set.
    let text = text.replace("18080", "{PORT}");
    let secret = [("OAUTH2_PROXY_CLIENT_SECRET", "the-secret-of-the-client")];
    let appliance = Appliance::start_with_variables(
        &secret,
        |folder| {
            std::fs::write(folder.join("echo.py"), ECHO).unwrap();
        },
        &text,
    );
    appliance.wait_ready().await;
    appliance.wait_for_state("app1", "ready").await;
    appliance.wait_for_state("app2", "ready").await;

    let mut alice = Browser::new(&appliance.url);
    let answer = alice.go("/app1/x").await.json();
    assert_eq!((&answer["path"], &answer["x-user"]), (&"/x".into(), &"alice".into()), "{answer}");
    assert_eq!(alice.go("/app2").await.json()["path"], "/app2");

    issuer.order(|orders| orders.user = "bob".into());
    let mut bob = Browser::new(&appliance.url);
    assert_eq!(bob.go("/app1/").await.status, 200);
    assert_eq!(bob.go("/app2").await.status, 403, "bob is not in group2");
    let stranger = Browser::new(&appliance.url).open("/app2/open/x").await;
    assert_eq!(stranger.json()["path"], "/app2/open/x");
}

#[tokio::test]
async fn nothing_to_import_is_wrong_usage() {
    let folder = tempfile::tempdir().unwrap();
    let import = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_appliance"));
        command.arg("import").args(arguments).current_dir(folder.path()).output().unwrap()
    };
    std::fs::write(folder.path().join("empty.conf"), "").unwrap();
    for arguments in [&[][..], &["."], &["empty.conf"], &["gone.conf"]] {
        let output = import(arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?} {output:?}");
        assert!(output.stdout.is_empty() && !output.stderr.is_empty(), "{output:?}");
    }
}
