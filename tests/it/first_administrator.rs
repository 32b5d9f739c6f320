//! The link for the first administrator, at a stand-in for Keycloak.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Appliance, Browser, NAVIGATION, eventually};

/// No loopback name: other machines are meant to reach it.
const HOST: &str = "hosted.test";
const PAGE: &str = "/_appliance/first-administrator";
const PRINTED: &str = "create the first administrator within 30 minutes: ";
const JAVA: &str = "#!/bin/sh\necho 'openjdk version \"25.0.1\"' >&2\n";
const FORM: [(&str, &str); 6] = [
    ("username", "ada"),
    ("first_name", "Ada"),
    ("last_name", "Lovelace"),
    ("email", "ada@example.org"),
    ("password", "correct horse"),
    ("again", "correct horse"),
];

struct Stand {
    appliance: Appliance,
    browser: Browser,
    client: reqwest::Client,
}

/// `realm`: members of the realm file; `before`: what the database has already.
async fn start(host: &str, realm: &Value, before: Option<&Value>) -> Stand {
    start_with(host, realm, before, "").await
}

/// `preset`: more of the preset's table.
async fn start_with(host: &str, realm: &Value, before: Option<&Value>, preset: &str) -> Stand {
    let prepare = |folder: &Path| {
        let program = |name: &str, text: &str| {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        };
        let stub = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/keycloak_stub.py");
        let script = format!("#!/bin/sh\n[ \"$1\" = build ] || exec python3 -u '{stub}'\n");
        program("kc/bin/kc.sh", &script);
        program("java", JAVA);
        fs::create_dir(folder.join("kc/lib")).unwrap();
        fs::write(folder.join("kc/version.txt"), "Keycloak - Version 26.7.3").unwrap();
        // Each user on a line of its own, as in the shipped file.
        let lines = |key: &str| {
            let items = realm[key].as_array().cloned().unwrap_or_default();
            items.iter().map(Value::to_string).collect::<Vec<_>>().join(",\n")
        };
        let users =
            lines("users").replace("{\"credentials\"", "{\"username\":\"test\",\"credentials\"");
        let text = format!(
            "{{\"realm\": \"demo\", \"groups\": [{}], \"users\": [\n{users}\n]}}",
            lines("groups")
        );
        fs::write(folder.join("realm.json"), text).unwrap();
        if let Some(before) = before {
            let data = folder.join("state/keycloak-data");
            fs::create_dir_all(&data).unwrap();
            fs::set_permissions(folder.join("state"), Permissions::from_mode(0o700)).unwrap();
            fs::write(folder.join("state/lock"), "").unwrap();
            fs::write(data.join("realm.state"), before.to_string()).unwrap();
        }
    };
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:{{PORT}}\"\npublic_url = \"http://{host}:{{PORT}}\"\nstate_dir = \"{{DIR}}/state\"\n\
         [oidc]\nserved_by = \"idp\"\nclient_id = \"appliance\"\nclient_secret = {{ generate = \"oidc-client\" }}\n\
         [apps.idp]\npath = \"/auth\"\nkeycloak = {{ home = \"{{DIR}}/kc\", realm = \"realm.json\", java = \"{{DIR}}/java\"{preset} }}\n"
    );
    let appliance = Appliance::start_with_in(prepare, &config);
    let url = format!("http://{host}:{}", appliance.port);
    // Before the other client: it sets up TLS.
    let browser = Browser::new(&url);
    let client = reqwest::Client::builder()
        .no_proxy()
        .resolve(HOST, (std::net::Ipv4Addr::LOCALHOST, 0).into())
        .redirect(reqwest::redirect::Policy::none())
        .build();
    let stand = Stand { appliance, browser, client: client.unwrap() };
    stand.appliance.wait_ready().await;
    stand
}

impl Stand {
    fn url(&self) -> String {
        format!("http://{HOST}:{}", self.appliance.port)
    }

    /// The token of the link that the start has printed.
    async fn printed(&self) -> String {
        self.appliance.logs(PRINTED).await;
        let log = self.appliance.log();
        let link = log.split_once(PRINTED).unwrap().1.split(' ').next().unwrap();
        self.token(link)
    }

    fn token(&self, link: &str) -> String {
        let start = format!("{}{PAGE}?token=", self.url());
        link.strip_prefix(&start).unwrap_or_else(|| panic!("{link}")).to_owned()
    }

    /// By the command line.
    fn another(&self) -> String {
        let output = self.appliance.cli(&["admin-link"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success() && text.contains("within 30 minutes"), "{text}");
        self.token(text.lines().last().unwrap())
    }

    async fn opens(&self, token: &str) -> Answer {
        let path = format!("{PAGE}?token={token}");
        self.browser.send(Method::GET, &path, NAVIGATION).await.unwrap()
    }

    async fn post(&self, token: &str, changes: &[(&str, &str)], origin: Option<&str>) -> Answer {
        let other = |name: &str| changes.iter().find(|(key, _)| *key == name).map(|(_, to)| *to);
        let form = FORM.iter().map(|(name, value)| (*name, other(name).unwrap_or(value)));
        let form: Vec<_> = form.chain([("token", token)]).collect();
        let mut request = self.client.post(format!("{}{PAGE}", self.url())).form(&form);
        request = request.header("accept", "text/html");
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.text().await.unwrap();
        Answer { url: String::new(), status, headers, body }
    }

    async fn sends(&self, token: &str, changes: &[(&str, &str)]) -> Answer {
        self.post(token, changes, Some(&self.url())).await
    }

    /// What the stand-in for Keycloak has.
    fn realm(&self) -> Value {
        let file = self.appliance.path("state/keycloak-data/realm.state");
        serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
    }
}

fn test_user() -> Value {
    let password = json!([{ "type": "password", "value": "test" }]);
    json!({ "username": "test", "enabled": "${TEST_USERS}", "credentials": password })
}

#[tokio::test]
async fn the_link_of_the_first_start_makes_one_administrator() {
    let realm = json!({ "users": [test_user()], "groups": [{ "name": "other" }] });
    let stand = start(HOST, &realm, None).await;
    let token = stand.printed().await;
    assert_eq!(stand.realm()["users"], json!([]), "no test user is imported");

    // Whatever fetches links in advance changes nothing.
    for _ in 0..3 {
        let page = stand.opens(&token).await;
        assert_eq!(page.status, 200, "{page:?}");
        assert!(page.body.contains("Create the administrator") && page.body.contains(&token));
        assert_eq!(page.headers["cache-control"], "no-store");
        assert_eq!(page.headers["referrer-policy"], "origin");
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; style-src 'self'"), "{policy}");
    }
    let script = [("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")];
    let path = format!("{PAGE}?token={token}");
    let read = stand.browser.send(Method::GET, &path, &script).await.unwrap();
    assert_eq!(read.status, 403, "{read:?}");
    let other = "A".repeat(43);
    for wrong in ["", "x", other.as_str()] {
        assert_eq!(stand.opens(wrong).await.status, 403, "{wrong}");
        assert_eq!(stand.sends(wrong, &[]).await.status, 403, "{wrong}");
    }

    // A refused form leaves the link as it is.
    for origin in [None, Some("null"), Some("http://evil.test")] {
        assert_eq!(stand.post(&token, &[], origin).await.status, 403, "{origin:?}");
    }
    for (changes, words) in [
        (&[("again", "other")][..], "The two passwords differ."),
        (&[("email", " ")], "Fill in all fields."),
        (&[("password", "short"), ("again", "short")], "Invalid password: minimum length 8."),
    ] {
        let page = stand.sends(&token, changes).await;
        assert_eq!(page.status, 400, "{page:?}");
        assert!(page.body.contains(words) && page.body.contains("Lovelace"), "{}", page.body);
        assert!(!page.body.contains("correct horse"), "{}", page.body);
    }
    assert_eq!(stand.realm()["users"], json!([]));

    let made = stand.sends(&token, &[]).await;
    assert_eq!(made.status, 303, "{made:?}");
    assert_eq!(made.location(), "/oauth2/start?rd=%2F_appliance%2F&login_hint=ada");
    let login = stand.browser.send(Method::GET, made.location(), NAVIGATION).await.unwrap();
    assert!(login.location().contains("&login_hint=ada"), "{login:?}");
    let realm = stand.realm();
    let user = &realm["users"][0];
    assert_eq!(user["username"], "ada");
    assert_eq!(user["groups"], json!(["/administrators"]));
    assert_eq!(user["credentials"][0]["value"], "correct horse");
    assert_eq!(realm["groups"], json!(["other", "administrators"]), "the group is made");
    let roles = realm["roles"].as_object().unwrap();
    assert!(roles.keys().all(|key| key.starts_with("groups/")), "{roles:?}");
    assert_eq!(roles.values().next().unwrap(), &json!(["realm-admin"]));

    assert_eq!(stand.opens(&token).await.status, 403, "the link was used");
    let again = stand.sends(&token, &[("username", "eve")]).await;
    assert_eq!(again.status, 403, "{again:?}");
    assert_eq!(stand.realm()["users"].as_array().unwrap().len(), 1);

    // The one line on stdout is the only place.
    assert_eq!(stand.appliance.log().matches(&token).count(), 1, "{}", stand.appliance.log());
    stand.appliance.logs("an administrator was created by the link").await;
    let kept = String::from_utf8(stand.appliance.cli(&["logs", "-n", "500"]).stdout).unwrap();
    assert!(kept.contains("ready: sign in") && !kept.contains("token="), "{kept}");
    assert!(!stand.appliance.log().contains("correct horse"));
}

#[tokio::test]
async fn links_of_the_command_line_replace_each_other_and_outlive_a_restart() {
    let realm = json!({ "users": [], "groups": [{ "name": "administrators" }] });
    let mut stand = start(HOST, &realm, None).await;
    let printed = stand.printed().await;
    let first = stand.another();
    let second = stand.another();
    for (token, status) in [(&printed, 403), (&first, 403), (&second, 200)] {
        assert_eq!(stand.opens(token).await.status, status);
    }
    assert_eq!(stand.appliance.stop().await, 0);
    stand.appliance.restart();
    stand.appliance.wait_ready().await;
    assert_eq!(stand.opens(&second).await.status, 200);
    assert_eq!(stand.sends(&first, &[]).await.status, 403);
    assert_eq!(stand.sends(&second, &[]).await.status, 303);
    // A second administrator, in a group that has the right by now.
    let third = stand.another();
    let taken = stand.sends(&third, &[]).await;
    assert!(taken.body.contains("User exists with same username"), "{taken:?}");
    let bob = [("username", "bob"), ("email", "bob@example.org")];
    assert_eq!(stand.sends(&third, &bob).await.status, 303);
    assert_eq!(stand.realm()["users"].as_array().unwrap().len(), 2);
    assert_eq!(stand.realm()["roles"].as_object().unwrap().len(), 1);
    assert_eq!(
        stand.appliance.log().matches(PRINTED).count(),
        1,
        "only the first start prints one"
    );
}

#[tokio::test]
async fn a_database_from_before_gets_no_link_and_a_warning() {
    let member = json!({ "username": "mia", "groups": ["/administrators"] });
    let before = json!({
        "users": [test_user(), member], "groups": ["administrators"], "roles": {},
    });
    let stand = start(HOST, &json!({ "users": [test_user()] }), Some(&before)).await;
    stand.appliance.logs("the test users of the realm file are in Keycloak's database").await;
    let file = stand.appliance.path("state/first-administrator");
    eventually("the look at the realm", async || file.exists().then_some(())).await;
    assert!(!stand.appliance.log().contains(PRINTED));
    // Its group serves another purpose: only the new account gets the right.
    let token = stand.another();
    assert_eq!(stand.sends(&token, &[]).await.status, 303);
    let realm = stand.realm();
    let roles: Vec<_> = realm["roles"].as_object().unwrap().iter().collect();
    assert!(roles.len() == 1 && roles[0].0.starts_with("users/"), "{roles:?}");
}

#[tokio::test]
async fn on_a_loopback_name_the_test_users_are_there_and_no_link_is_printed() {
    let stand = start("localhost", &json!({ "users": [test_user()] }), None).await;
    stand.appliance.logs("as one of test").await;
    assert_eq!(stand.realm()["users"][0]["username"], "test");
    assert_eq!(stand.realm()["users"][0]["enabled"], true);
    assert!(!stand.appliance.log().contains(PRINTED));
}

#[tokio::test]
async fn without_a_keycloak_of_a_preset_there_is_no_link() {
    let appliance = Appliance::start(
        "[apps.site]\nupstream = \"http://127.0.0.1:1\"\npath = \"/\"\naccess = \"public\"\n",
    );
    appliance.wait_ready().await;
    let output = appliance.cli(&["admin-link"]);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("at your identity provider"), "{text}");
    let page = Browser::new(&appliance.url).send(Method::GET, PAGE, NAVIGATION).await.unwrap();
    assert_eq!(page.status, 404);
}

#[tokio::test]
async fn a_console_for_a_group_opens_in_a_realm_that_was_imported_with_closed_consoles() {
    let policy = |name: &str, enabled: bool| json!({ "name": name, "enabled": enabled });
    let closed =
        json!({ "contentSecurityPolicy": "frame-ancestors 'none';", "xFrameOptions": "DENY" });
    let before = json!({
        "users": [], "groups": ["administrators"], "roles": {},
        "policies": [policy("other", true), policy("clients-with-a-secret", true)],
        "browserSecurityHeaders": closed,
    });
    let console = ", admin_console = { groups = [\"administrators\"] }";
    let mut stand = start_with(HOST, &json!({}), Some(&before), "").await;
    stand.appliance.logs(PRINTED).await;
    assert_eq!(stand.realm()["policies"], before["policies"], "a closed console changes nothing");
    let admin = "/auth/admin/realms/demo/users";
    assert_eq!(stand.browser.send(Method::GET, admin, &[]).await.unwrap().status, 404);

    let file = stand.appliance.path("appliance.toml");
    let text = fs::read_to_string(&file).unwrap();
    fs::write(&file, text.replace("/java\" }", &format!("/java\"{console} }}"))).unwrap();
    let output = stand.appliance.cli(&["reload"]);
    assert!(output.status.success(), "{output:?}");
    stand
        .appliance
        .logs("the realm was changed so that its admin console can sign people in")
        .await;
    let realm = stand.realm();
    let policies = json!([policy("other", true), policy("clients-with-a-secret", false)]);
    assert_eq!(realm["policies"], policies);
    let open =
        json!({ "contentSecurityPolicy": "frame-ancestors 'self';", "xFrameOptions": "DENY" });
    assert_eq!(realm["browserSecurityHeaders"], open);

    // The stand-in would answer: only a session opens the administration.
    stand.appliance.wait_ready().await;
    for path in
        [admin, "/auth/admin/demo/console/", "/auth/admin/serverinfo", "/auth/Admin/realms/demo"]
    {
        let asked = [("authorization", "Bearer token-of-the-stub")];
        let answer = stand.browser.send(Method::GET, path, &asked).await.unwrap();
        assert!([401, 404].contains(&answer.status.as_u16()), "{path}: {answer:?}");
    }
    let page =
        stand.browser.send(Method::GET, "/auth/admin/demo/console/", NAVIGATION).await.unwrap();
    assert!(page.location().starts_with("/oauth2/start?rd="), "{page:?}");
    assert_eq!(stand.appliance.stop().await, 0);
}
