//! Tests of what prevents a start.

use super::*;

fn preflight(text: &str) -> Vec<Problem> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("appliance.toml");
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path, |_| None).unwrap_or_else(|error| panic!("{error}"));
    config.preflight()
}

#[test]
fn missing_things_are_found_with_their_place() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = busy.local_addr().unwrap().port();
    let found = preflight(&format!(
        r#"[oidc]
issuer = "https://id.example.org"
client_id = "a"
client_secret = {{ env = "NOT_SET_AT_ALL" }}
[apps.a]
command = ["/no/such/program"]
cwd = "/no/such/folder"
port = {port}
env = {{ KEY = {{ file = "/no/such/secret" }} }}
user = "nobody-of-that-name"
[apps.b]
command = ["sh"]
"#
    ));
    let seen: Vec<(usize, bool, &str)> = found
        .iter()
        .map(|problem| {
            (problem.place.as_ref().unwrap().line, problem.is_error(), &*problem.message)
        })
        .collect();
    let expected = [
        (4, true, "NOT_SET_AT_ALL"),
        (6, false, "/no/such/program"),
        (7, false, "/no/such/folder"),
        (8, false, "already"),
        (9, true, "/no/such/secret"),
        (10, true, "nobody-of-that-name"),
    ];
    assert_eq!(seen.len(), expected.len(), "{seen:?}");
    for ((line, is_error, message), (at, error, word)) in seen.iter().zip(expected) {
        assert_eq!((*line, *is_error), (at, error), "{message}");
        assert!(message.contains(word), "{message}");
    }
}

#[test]
fn a_user_may_be_a_number() {
    let found = preflight("[apps.a]\ncommand = [\"sh\"]\nuser = \"424242\"\ngroup = \"424242\"\n");
    let not_root = "only root can run an app";
    let is_root = nix::unistd::geteuid().is_root();
    assert!(found.iter().all(|problem| problem.message.starts_with(not_root)), "{found:?}");
    assert_eq!(found.is_empty(), is_root);
}

#[test]
fn a_folder_that_the_apps_user_cannot_enter_is_found() {
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(folder.path(), private).unwrap();
    let private = folder.path().display();
    let found = |more: &str| {
        preflight(&format!("[apps.a]\ncommand = [\"sh\"]\ncwd = \"{private}\"\n{more}"))
    };
    assert!(found("").is_empty());
    let found = found("user = 424242\ngroup = 424242\n");
    let [one] = &found[..] else { panic!("{found:?}") };
    let why = format!("`a` cannot start: its user (424242) cannot reach {private}/.: Permission");
    assert!(!one.is_error() && one.message.starts_with(&why), "{one:?}");
}

#[test]
fn waiting_for_an_app_that_never_finishes_is_found() {
    let after = |more: &str| {
        let after = "after = [{ app = \"a\", until = \"finished\" }]";
        preflight(&format!(
            "[apps.a]\ncommand = [\"sh\"]\n{more}\n[apps.b]\ncommand = [\"sh\"]\n{after}\n"
        ))
    };
    assert_eq!((after("oneshot = true").len(), after("restart = \"never\"").len()), (0, 0));
    let found = after("");
    assert!(matches!(&found[..], [one] if !one.is_error()), "{found:?}");
    assert!(found[0].message.starts_with("`b` waits until `a` has finished"), "{found:?}");
    assert_eq!(found[0].place.as_ref().unwrap().line, 6);
}

#[test]
fn a_program_that_the_setup_creates_is_not_missing() {
    let found = preflight(
        "[apps.a]\ncommand = [\"/no/such\"]\nsetup = { run = [\"x\"], creates = \"/no/such\" }\n",
    );
    assert!(found.is_empty(), "{found:?}");
}

#[test]
fn a_missing_script_is_found_and_a_similar_file_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("app1.py"), "").unwrap();
    let found = |table: &str| {
        let path = dir.path().join("appliance.toml");
        let text = format!("[apps.a]\nstreamlit = {table}\naccess = \"public\"\npath = \"/\"\n");
        std::fs::write(&path, text).unwrap();
        let found = Config::load(&path, |_| None).unwrap().preflight();
        found.iter().map(Problem::reason).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(found("\"app1.py\""), "");
    let said = found("\"ap1.py\"");
    let is_right = said.starts_with("`a` cannot start: there is no script /");
    assert!(is_right && said.ends_with("did you mean `app1.py`?"), "{said}");
    let said = found("{ script = \"app1.py\", requirements = \"r.txt\", python = \"no-python\" }");
    assert!(said.contains("no requirements file") && said.contains("`no-python`"), "{said}");
}

#[test]
fn a_missing_secret_is_reported_once_and_where_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("r.json"), r#"{ "realm": "r" }"#).unwrap();
    let text = "[oidc]\nserved_by = \"kc\"\nclient_id = \"a\"\nclient_secret = { env = \"NOT_SET_AT_ALL\" }\n\
            [apps.kc]\nkeycloak = { home = \"kc\", realm = \"r.json\" }\npath = \"/auth\"\n\
            [apps.b]\ncommand = [\"sh\"]\nenv = { T = { env = \"NOT_SET_AT_ALL\" } }\n";
    let path = dir.path().join("appliance.toml");
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path, |_| None).unwrap();
    let lines = |found: &[Problem]| -> Vec<usize> {
        found.iter().map(|problem| problem.place.as_ref().unwrap().line).collect()
    };
    let found = config.preflight();
    assert_eq!((lines(&found), found.iter().all(Problem::is_error)), (vec![4, 10], true));
    let found = config.warnings(true);
    assert_eq!((lines(&found), found.iter().any(Problem::is_error)), (vec![4, 10], false));
}

#[test]
fn a_missing_webhook_is_found_at_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("appliance.toml");
    for (source, why) in [
        ("{ env = \"NOT_SET_AT_ALL\" }", "NOT_SET_AT_ALL is not set"),
        ("{ file = \"not-there\" }", "not-there cannot be read"),
    ] {
        std::fs::write(&path, format!("[alerts]\nwebhook = {source}\n")).unwrap();
        let config = Config::load(&path, |_| None).unwrap();
        for (found, is_error) in [(config.preflight(), true), (config.warnings(true), false)] {
            let [one] = &found[..] else { panic!("{found:?}") };
            let place = one.place.as_ref().unwrap().line;
            assert_eq!((place, one.is_error()), (2, is_error), "{one:?}");
            assert!(one.message.starts_with("alerts.webhook: "), "{one:?}");
            assert!(one.message.contains(why), "{one:?}");
        }
    }
}

/// Two listeners on ports that follow each other, and the first port.
fn two_busy_ports() -> ([std::net::TcpListener; 2], u16) {
    loop {
        let first = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = first.local_addr().unwrap().port();
        let next = port.checked_add(1).map(|next| std::net::TcpListener::bind(("127.0.0.1", next)));
        if let Some(Ok(next)) = next {
            return ([first, next], port);
        }
    }
}

#[test]
fn each_process_may_take_a_port_of_the_running_configuration_and_no_other_one() {
    let (_busy, first) = two_busy_ports();
    let second = first + 1;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("appliance.toml");
    let load = |lines: &str| {
        std::fs::write(&path, lines).unwrap();
        Config::load(&path, |_| None).unwrap_or_else(|error| panic!("{error}"))
    };
    let app = |name: &str, lines: &str| {
        format!(
            "[apps.{name}]\ncommand = [\"sh\"]\npath = \"/{name}\"\naccess = \"public\"\n{lines}\n"
        )
    };
    let many = app("many", &format!("replicas = 2\nport = {first}"));
    let [one, two] = [first, second].map(|port| format!("port = {port}"));
    let begun = [AppName::new("many").unwrap()];
    for (running, wanted) in [
        (app("a", &one) + &app("b", &two), vec![]),
        (many.clone(), vec![]),
        // Of these apps, each has one of the two ports; a program has the other one.
        (app("a", &one), vec![second]),
        (app("b", &two), vec![first]),
        (app("many", &one), vec![second]),
        (app("many", ""), vec![first, second]),
    ] {
        let mut before = load(&running);
        before.assign_ports().unwrap();
        let found = load(&many).preflight_after(&before, &begun, &[]);
        assert_eq!(found.len(), wanted.len(), "{running}{found:?}");
        for (problem, port) in found.iter().zip(wanted) {
            assert!(
                problem.is_error() && problem.message.contains(&port.to_string()),
                "{problem:?}"
            );
        }
    }
}

/// What `check` says of a realm file, with `gruop2` in a policy.
fn realm_warnings(realm: &str, policies: &str) -> Vec<(usize, String)> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("r.json"), realm).unwrap();
    let text = format!(
        "[oidc]\nserved_by = \"kc\"\nclient_id = \"app\"\nclient_secret = {{ generate = \"s\" }}\n\
             [apps.kc]\nkeycloak = {{ home = \"kc\", realm = \"r.json\" }}\npath = \"/auth\"\n\
             [apps.b]\ncommand = [\"sh\"]\npath = \"/b\"\n{policies}\n"
    );
    let path = dir.path().join("appliance.toml");
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path, |_| None).unwrap_or_else(|error| panic!("{error}"));
    let found = config.warnings(false).into_iter();
    let found = found.filter(|problem| problem.message.contains("realm file"));
    found.map(|problem| (problem.place.as_ref().unwrap().line, problem.reason())).collect()
}

#[test]
fn groups_and_roles_that_the_realm_file_does_not_have_are_found() {
    let realm = r#"{ "realm": "r", "groups": [{ "name": "group2" }],
            "roles": { "realm": [{ "name": "editor" }], "client": { "${CLIENT_ID}": [{ "name": "x" }] } } }"#;
    let found = realm_warnings(
        realm,
        "access = { groups = [\"/group2\", \"gruop2\"] }\ndeny = { roles = [\"editr\", \"client:app:x\"] }\n\
             rules = [{ path = \"/x\", access = { roles = [\"client:app:y\", \"client:account:z\"] } }]\n\
             [access]\ndefault = { groups = [\"nobody-is-here\"] }",
    );
    let expected = [
        (11, "the realm file has no group `gruop2`; did you mean `group2`?"),
        (12, "the realm file has no role `editr`; did you mean `editor`?"),
        (13, "the realm file has no role `client:app:y`; did you mean `client:app:x`?"),
    ];
    let seen: Vec<_> = found.iter().map(|(line, text)| (*line, text.as_str())).collect();
    assert_eq!(seen, expected);
    let found = realm_warnings(realm, "[access]\ndefault = { groups = [\"nobody-is-here\"] }");
    assert!(
        matches!(&found[..], [(12, why)] if why.contains("no group `nobody-is-here`; add")),
        "{found:?}"
    );
}

#[test]
fn groups_of_github_in_upper_case_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("appliance.toml");
    let warnings = |provider: &str| {
        let text = format!(
            "[oidc]\nprovider = \"{provider}\"\nissuer = \"https://id.example.org\"\n\
             client_id = \"a\"\nclient_secret = {{ generate = \"s\" }}\n\
             [apps.b]\ncommand = [\"sh\"]\npath = \"/b\"\n\
             access = {{ groups = [\"two/a\", \"Octo-Org/x\"] }}\ndeny = {{ groups = [\"Two\"] }}\n"
        );
        std::fs::write(&path, text).unwrap();
        let config = Config::load(&path, |_| None).unwrap_or_else(|error| panic!("{error}"));
        let found = config.warnings(false).into_iter().map(|problem| problem.reason());
        found.filter(|why| why.contains("group")).collect::<Vec<_>>()
    };
    let found = warnings("github");
    assert!(matches!(&found[..], [why] if why.contains("write `octo-org/x`")), "{found:?}");
    assert!(warnings("okta").is_empty());
}

#[test]
fn masks_and_a_missing_client_are_found() {
    let masked =
        r#"{ "realm": "r", "clients": [{ "clientId": "${CLIENT_ID}", "secret": "**********" }] }"#;
    let found = realm_warnings(masked, "");
    assert!(matches!(&found[..], [(6, why)] if why.contains("${CLIENT_SECRET}")), "{found:?}");
    let other = r#"{ "realm": "r", "clients": [{ "clientId": "apps" }], "smtpServer": { "password": "**********" } }"#;
    let found = realm_warnings(other, "");
    assert_eq!(found[0], (3, "the realm file has no client `app`; did you mean `apps`?".into()));
    assert!(found[1].1.contains("smtpServer.password") && found[1].0 == 6, "{found:?}");
}

#[test]
fn check_warns_of_an_address_that_another_program_uses() {
    let busy = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = busy.local_addr().unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("appliance.toml");
    std::fs::write(&path, format!("[server]\nlisten = \"{address}\"\n")).unwrap();
    let config = Config::load(&path, |_| None).unwrap();
    let [one] = &config.warnings(false)[..] else { panic!("{:?}", config.warnings(false)) };
    let why = format!("the appliance cannot listen on {address}: Address already in use");
    assert!(one.message.starts_with(&why) && one.place.as_ref().unwrap().line == 2, "{one:?}");
    // The appliance that is running holds the address; a start says so itself.
    assert!(config.warnings(true).is_empty() && config.preflight().is_empty());
}
