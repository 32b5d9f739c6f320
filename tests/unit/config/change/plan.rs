use super::*;
use crate::config::schema;
use crate::config::schema_keys::schema_keys;

/// The file that every row of the tables changes.
const FILE: &str = r#"
[server]
public_url = "http://localhost:8080"
listen = "127.0.0.1:8080"
state_dir = "state"
[oidc]
issuer = "https://id.example.org"
client_id = "me"
client_secret = { env = "SECRET" }
[alerts]
webhook = { env = "HOOK" }
[apps.a]
command = ["a", "{port}"]
port = 4001
path = "/a"
env = { MODE = "x" }
[apps.b]
command = ["b"]
port = 4010
after = ["a"]
"#;

/// For each key of a section: its line, and the plan beside `keep`.
const SECTIONS: &[(&str, &str, &str, &[&str])] = &[
    ("server", "listen", r#""127.0.0.1:8081""#, &["update server: listen"]),
    (
        "server",
        "public_url",
        r#""https://x.org""#,
        &["update server: public_url", "update session: cookie"],
    ),
    ("server", "state_dir", r#""other""#, &["needs a new start: server.state_dir"]),
    (
        "server",
        "users",
        r#""per-app""#,
        &[
            "restart a: data folder, group, no_new_privs, user",
            "restart b: data folder, group, no_new_privs, user",
            "restart c: data folder, group, no_new_privs, user",
        ],
    ),
    ("server", "trusted_proxies", r#"["10.0.0.0/8"]"#, &["update server: trusted_proxies"]),
    ("server", "http2", "false", &["update server: http2"]),
    ("server", "h2c", "true", &["update server: h2c"]),
    ("server", "max_connections", "7", &["update server: max_connections"]),
    ("server", "max_connections_per_ip", "7", &["update server: max_connections_per_ip"]),
    ("server", "rate_limit", r#""7/s""#, &["update server: rate_limit"]),
    ("server", "compression", "false", &["update server: compression"]),
    ("server", "max_header_bytes", r#""16KiB""#, &["update server: max_header_bytes"]),
    ("server", "header_timeout", r#""7s""#, &["update server: header_timeout"]),
    ("server", "idle_timeout", r#""7s""#, &["update server: idle_timeout"]),
    ("server", "body_timeout", r#""7s""#, &["update server: body_timeout"]),
    ("server", "send_timeout", r#""7s""#, &["update server: send_timeout"]),
    ("server", "shutdown_timeout", r#""7s""#, &["update server: shutdown_timeout"]),
    ("server", "parallel_starts", "7", &["update server: parallel_starts"]),
    ("server", "metrics", r#""127.0.0.1:9464""#, &["needs a new start: server.metrics"]),
    ("server", "operators", r#"{ groups = ["x"] }"#, &["update server: operators"]),
    ("server", "title", r#""x""#, &["update server: title"]),
    ("server", "logo", r#""/a/x.png""#, &["update server: logo"]),
    ("server", "color", r##""#7a1fa2""##, &["update server: color"]),
    ("server", "contact", r#""x@example.org""#, &["update server: contact"]),
    ("log", "format", r#""json""#, &["update log: format"]),
    ("log", "level", r#""debug""#, &["update log: level"]),
    ("log", "access", "false", &["update log: access"]),
    ("log", "color", r#""always""#, &["update log: color"]),
    ("oidc", "provider", r#""okta""#, &["update oidc: roles_claim, scopes"]),
    ("oidc", "issuer", r#""https://other.org""#, &["needs a new start: oidc.issuer"]),
    ("oidc", "client_id", r#""you""#, &["needs a new start: oidc.client_id"]),
    ("oidc", "client_secret", r#"{ env = "OTHER" }"#, &["update oidc: client_secret"]),
    ("oidc", "scopes", r#"["openid"]"#, &["update oidc: scopes"]),
    ("oidc", "audiences", r#"["x"]"#, &["update oidc: audiences"]),
    ("oidc", "user_claim", r#""x""#, &["update oidc: user_claim"]),
    ("oidc", "email_claim", r#""x""#, &["update oidc: email_claim"]),
    ("oidc", "groups_claim", r#""x""#, &["update oidc: groups_claim"]),
    ("oidc", "groups_prefix", r#""x""#, &["update oidc: groups_prefix"]),
    ("oidc", "groups_only", r#"["x"]"#, &["update oidc: groups_only"]),
    ("oidc", "groups_overage", r#"{ url = "https://x.org" }"#, &["update oidc: groups_overage"]),
    ("oidc", "roles_claim", r#""x""#, &["update oidc: roles_claim"]),
    ("oidc", "require_verified_email", "true", &["update oidc: require_verified_email"]),
    ("oidc", "clock_skew", r#""7s""#, &["update oidc: clock_skew"]),
    ("oidc", "ca_file", r#""ca.pem""#, &["update oidc: ca_file"]),
    ("oidc", "login_params", r#"{ x = "y" }"#, &["update oidc: login_params"]),
    ("session", "lifetime", r#""7h""#, &["update session: lifetime"]),
    ("session", "idle", r#""7m""#, &["update session: idle"]),
    ("session", "cookie", r#""x""#, &["update session: cookie"]),
    ("session", "keys", r#"{ env = "KEYS" }"#, &["update session: keys"]),
    ("session", "recheck", r#""7s""#, &["update session: recheck"]),
    ("alerts", "webhook", r#"{ env = "OTHER" }"#, &["update alerts: webhook"]),
    ("alerts", "events", r#"["failed"]"#, &["update alerts: events"]),
    ("alerts", "format", r#""slack""#, &["update alerts: format"]),
    ("access", "default", r#"{ groups = ["x"] }"#, &["update a: access"]),
];

/// The same for the keys of the app `a`.
const APP: &[(&str, &str, &[&str])] = &[
    ("command", r#"["other"]"#, &["restart a: command"]),
    ("port", "4003", &["restart a: command, port, upstream", "restart b: the address of a"]),
    (
        "upstream",
        r#""http://10.0.0.1:80""#,
        &["restart a: upstream", "restart b: the address of a"],
    ),
    ("path", r#""/x""#, &["update a: path"]),
    ("host", r#""x.org""#, &["update a: host"]),
    ("strip_prefix", "true", &["update a: strip_prefix, trailing_slash"]),
    ("trailing_slash", "true", &["update a: trailing_slash"]),
    ("raw_path", "true", &["update a: raw_path"]),
    ("access", r#""public""#, &["update a: access"]),
    ("deny", r#"{ groups = ["x"] }"#, &["update a: deny"]),
    ("rules", r#"[{ path = "/x", access = "public" }]"#, &["update a: rules"]),
    ("api", "true", &["update a: api"]),
    ("bearer", "true", &["update a: bearer"]),
    ("identity", "false", &["update a: identity"]),
    ("after", r#"["c"]"#, &["update a: after"]),
    ("ready", r#"{ http = "/" }"#, &["restart a: ready.http, ready.status, ready.tcp"]),
    ("ready", r#"{ tcp = true, interval = "7s" }"#, &["update a: ready.interval"]),
    (
        "live",
        "{ tcp = true }",
        &[
            "restart a: live.tcp",
            "update a: live.deadline, live.failures, live.interval, live.timeout",
        ],
    ),
    ("autostart", "false", &["update a: autostart"]),
    ("restart", r#""never""#, &["update a: restart"]),
    ("backoff", r#"{ min = "7s" }"#, &["update a: backoff"]),
    ("max_restarts", "7", &["update a: max_restarts"]),
    ("window", r#""7s""#, &["update a: window"]),
    ("max_memory", r#""7GB""#, &["update a: max_memory"]),
    ("success_exit_codes", "[7]", &["update a: success_exit_codes"]),
    ("critical", "true", &["update a: critical"]),
    (
        "schedule",
        r#""@daily""#,
        &[
            "restart a: oneshot, ready.tcp",
            "update a: ready.deadline, ready.interval, ready.timeout, schedule",
        ],
    ),
    ("restart_at", r#""@daily""#, &["update a: restart_at"]),
    ("replicas", "2", &["update a: replicas"]),
    ("stop_signal", r#""INT""#, &["update a: stop_signal"]),
    ("stop_target", r#""leader""#, &["update a: stop_target"]),
    ("stop_timeout", r#""7s""#, &["update a: stop_timeout"]),
    ("user", r#""root""#, &["restart a: no_new_privs, user"]),
    ("group", r#""root""#, &["restart a: group"]),
    ("umask", r#""027""#, &["restart a: umask"]),
    ("cwd", r#""/""#, &["restart a: cwd"]),
    ("env", r#"{ MODE = "y", NEW = "z" }"#, &["restart a: env.MODE, env.NEW"]),
    ("env_file", r#""x.env""#, &["restart a: env_file"]),
    ("pass_env", r#"["X"]"#, &["restart a: pass_env"]),
    ("limits", "{ nofile = 64 }", &["restart a: limits"]),
    ("no_new_privs", "true", &["restart a: no_new_privs"]),
    ("log", "false", &["restart a: log"]),
    ("setup", r#"{ run = ["x"], creates = "y" }"#, &["restart a: setup.creates, setup.run"]),
    ("max_body", r#""7KiB""#, &["update a: max_body"]),
    ("hold", r#""7s""#, &["update a: hold"]),
    ("timeout", r#""7s""#, &["update a: timeout"]),
    ("origins", r#"["https://x.org"]"#, &["update a: origins"]),
    ("embed", r#"["https://x.org"]"#, &["update a: embed"]),
    ("title", r#""x""#, &["update a: title"]),
    ("icon", r#""x""#, &["update a: icon"]),
    ("description", r#""x""#, &["update a: description"]),
    ("hidden", "true", &["update a: hidden"]),
    ("operators", r#"{ groups = ["x"] }"#, &["update a: operators"]),
];

/// Keys that need more than one line in the file; see the tests below.
const ELSEWHERE: [&str; 30] = [
    "proxy_protocol",
    "streamlit",
    "gradio",
    "dash",
    "panel",
    "marimo",
    "jupyter",
    "voila",
    "shiny",
    "fastapi",
    "flask",
    "django",
    "nicegui",
    "mlflow",
    "tensorboard",
    "keycloak",
    "static",
    "oneshot",
    "served_by",
    "enabled",
    "idle_stop",
    "keep_warm",
    "tls",
    "redirect_http",
    "hsts",
    "sticky",
    "ca_file",
    "server_name",
    "client_cert",
    "client_key",
];

fn config(text: &str) -> Config {
    // Always the same folder, because paths in the file start there.
    let path = std::env::temp_dir().join("appliance-plan.toml");
    let path = path.with_extension(format!("{:?}.toml", std::thread::current().id()));
    std::fs::write(&path, text).unwrap();
    let config = Config::load(&path, |_| None);
    std::fs::remove_file(&path).unwrap();
    let mut config = config.unwrap_or_else(|error| panic!("{error}"));
    config.assign_ports().unwrap();
    config
}

fn lines(old: &str, new: &str) -> Vec<String> {
    let plan = Plan::between(&config(old), &config(new));
    plan.steps.iter().map(ToString::to_string).collect()
}

/// Sets a key of a table in [`FILE`].
fn with(table: &str, key: &str, value: &str) -> String {
    let header = format!("[{table}]\n");
    let (before, rest) = FILE.split_once(&header).unwrap_or((FILE, ""));
    let (own, after) = rest.split_at(rest.find("\n[").map_or(rest.len(), |at| at + 1));
    let is_other = |line: &&str| !line.starts_with(&format!("{key} = "));
    let own: Vec<_> = own.lines().filter(is_other).collect();
    format!("{before}\n{header}{key} = {value}\n{}\n{after}", own.join("\n"))
}

#[test]
fn every_key_of_the_schema_has_its_line_in_the_plan() {
    let extra = "[apps.c]\ncommand = [\"c\"]\nport = 4004\n";
    let base = format!("{FILE}{extra}");
    let (mut seen, mut wrong) = (Vec::<(&str, &str)>::new(), Vec::new());
    let rows = SECTIONS.iter().map(|(table, key, value, plan)| (*table, *key, *value, *plan));
    let rows = rows.chain(APP.iter().map(|(key, value, plan)| ("apps.a", *key, *value, *plan)));
    for (table, key, value, wanted) in rows {
        let found = lines(&base, &format!("{}{extra}", with(table, key, value)));
        let found: Vec<_> = found.iter().filter(|line| !line.starts_with("keep ")).collect();
        if found != wanted {
            wrong.push(format!("[{table}] {key} = {value}: {found:?}"));
        }
        seen.push((table.split('.').next().unwrap(), key));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (section, key) in schema_keys(&schema()) {
        let elsewhere = ELSEWHERE.contains(&key.as_str());
        let row = seen.contains(&(section.as_str(), key.as_str()));
        assert!(row || elsewhere, "[{section}] {key} is in no table of this test");
    }
}

#[test]
fn https_is_in_force_at_once() {
    let clear = FILE.replace("http://localhost:8080", "https://a.example");
    for key in
        ["tls = { cert = \"c\", key = \"k\" }", "redirect_http = \"0.0.0.0:81\"", "hsts = true"]
    {
        let name = key.split(' ').next().unwrap();
        let changed = clear.replacen("[server]\n", &format!("[server]\n{key}\n"), 1);
        let plan = lines(&clear, &changed);
        assert!(plan.contains(&format!("update server: {name}")), "{plan:?}");
    }
}

#[test]
fn tls_to_an_app_is_another_at_once() {
    let app = "[apps.c]\nupstream = \"https://10.0.0.7\"\npath = \"/c\"\naccess = \"public\"\n";
    let after = "[apps.d]\ncommand = [\"d\"]\nport = 4005\nafter = [\"c\"]\n";
    let base = format!("{FILE}{app}{after}");
    let pair = "client_cert = \"c.pem\"\nclient_key = \"c.key\"\n";
    for (keys, wanted) in [
        ("ca_file = \"ca.pem\"\n", "update c: ca_file"),
        ("server_name = \"c.internal\"\n", "update c: server_name"),
        (pair, "update c: client_cert, client_key"),
    ] {
        let plan = lines(&base, &format!("{FILE}{app}{keys}{after}"));
        assert_eq!(plan, ["keep a", "keep b", wanted, "keep d"]);
    }
}

#[test]
fn files_with_another_content_have_their_line() {
    let name = |text| AppName::new(text).unwrap();
    let mut plan = Plan {
        steps: vec![
            Step::Keep { app: name("a") },
            Step::Restart { app: name("b"), keys: vec!["command".to_owned()] },
            Step::Update { subject: "c".to_owned(), keys: vec!["ca_file".to_owned()] },
        ],
    };
    for app in ["a", "b", "c", "new"] {
        plan.update_app_for(&name(app), &["ca_file", "client_key"]);
    }
    let shown: Vec<_> = plan.steps.iter().map(ToString::to_string).collect();
    let wanted = [
        "update a: ca_file, client_key",
        "restart b: command",
        "update b: ca_file, client_key",
        "update c: ca_file, client_key",
    ];
    assert_eq!(shown, wanted);
}

#[test]
fn an_unchanged_file_keeps_everything() {
    assert_eq!(lines(FILE, FILE), ["keep a", "keep b"]);
}

#[test]
fn apps_come_go_and_are_renamed() {
    let renamed = FILE.replace("[apps.b]", "[apps.new]");
    assert_eq!(lines(FILE, &renamed), ["keep a", "start new", "stop b"]);
    let disabled = FILE.replace("[apps.b]", "[apps.b]\nenabled = false");
    assert_eq!(lines(FILE, &disabled), ["keep a", "stop b"]);
    assert_eq!(lines(&disabled, FILE), ["keep a", "start b"]);
}

#[test]
fn a_new_app_that_waits_for_a_command_is_not_announced_as_started() {
    let new = format!("{FILE}[apps.c]\ncommand = [\"c\"]\nautostart = false\n");
    assert_eq!(lines(FILE, &new), ["keep a", "keep b", "update c: autostart"]);
}

#[test]
fn an_app_sleeps_otherwise_at_once_and_a_new_one_waits_for_a_request() {
    let sleeping = |keys: &str| format!("{FILE}[apps.c]\ncommand = [\"c\"]\npath = \"/c\"\n{keys}");
    let (never, short, long, warm) = (
        sleeping("port = 4003\n"),
        sleeping("port = 4003\nidle_stop = \"5m\"\n"),
        sleeping("port = 4003\nidle_stop = \"10m\"\n"),
        sleeping("port = 4003\nidle_stop = \"5m\"\nkeep_warm = \"07:00-19:00\"\n"),
    );
    for (before, after, wanted) in [
        (&never, &short, "update c: idle_stop"),
        (&short, &never, "update c: idle_stop"),
        (&short, &long, "update c: idle_stop"),
        (&short, &warm, "update c: keep_warm"),
        (&warm, &short, "update c: keep_warm"),
        (&never, &warm, "update c: idle_stop, keep_warm"),
        (&FILE.to_owned(), &short, "update c: idle_stop"),
        (&short, &FILE.to_owned(), "stop c"),
    ] {
        assert_eq!(lines(before, after), ["keep a", "keep b", wanted]);
    }
}

#[test]
fn a_preset_that_replaces_a_command_restarts_the_app() {
    let preset = FILE.replace("command = [\"b\"]", "streamlit = \"b.py\"");
    let found = lines(FILE, &preset);
    let restart = found.iter().find(|line| line.starts_with("restart b: ")).unwrap();
    assert!(restart.contains("command") && restart.contains("setup.run"), "{found:?}");
}

#[test]
fn an_app_that_runs_once_now_is_restarted() {
    let once = FILE.replace("command = [\"b\"]", "command = [\"b\"]\noneshot = true");
    assert_eq!(lines(FILE, &once), ["keep a", "restart b: oneshot"]);
}

#[test]
fn an_app_that_becomes_the_issuer_needs_a_new_start() {
    let served = FILE
        .replace("[oidc]", "[oidc]\nserved_by = \"a\"")
        .replace("path = \"/a\"", "path = \"/a\"\naccess = \"public\"");
    let found = lines(FILE, &served);
    assert!(found.contains(&"needs a new start: oidc.served_by".to_owned()), "{found:?}");
}

#[test]
fn more_reasons_join_the_line_of_the_app() {
    let old = config(FILE);
    let mut plan = Plan::between(&old, &old);
    let [a, b] = [0, 1].map(|at: usize| old.apps[at].name.clone());
    plan.restart_for(&a, vec!["env.TOKEN".to_owned()]);
    plan.restart_for(&a, vec!["env.TOKEN".to_owned(), "env.OTHER".to_owned()]);
    plan.restart_for(&b, Vec::new());
    let lines: Vec<_> = plan.steps.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["restart a: env.TOKEN, env.OTHER", "keep b"]);
    assert_eq!(plan.restarted(), [a]);
    assert!(!plan.is_empty());
}

#[test]
fn a_plan_shows_no_secret() {
    let new = FILE.replace("MODE = \"x\"", "MODE = \"hunter2\"");
    assert!(!lines(FILE, &new).join("\n").contains("hunter2"));
}

#[test]
fn a_folder_with_files_changes_at_once() {
    let app = |what: &str| format!("[apps.a]\n{what}\npath = \"/a\"\naccess = \"public\"\n");
    for (old, new, wanted) in [
        ("static = \"x\"", "static = \"y\"", "update a: static"),
        ("static = \"x\"", "static = { folder = \"x\" }", "keep a"),
        ("static = \"x\"", "static = { folder = \"x\", spa = true }", "update a: static"),
        ("static = \"x\"", "static = { folder = \"x\", index = \"a.html\" }", "update a: static"),
    ] {
        assert_eq!(lines(&app(old), &app(new)), [wanted], "{old} {new}");
    }
    let becomes = lines(&app("command = [\"a\"]"), &app("static = \"x\""));
    assert!(becomes[0].starts_with("restart a: "), "{becomes:?}");
}

#[test]
fn the_header_of_proxies_is_in_force_at_once() {
    let server = "[server]\ntrusted_proxies = [\"10.0.0.0/8\"]\n";
    let with = format!("{server}proxy_protocol = true\n");
    assert_eq!(lines(server, &with), ["update server: proxy_protocol"]);
}
