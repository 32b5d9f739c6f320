//! `appliance can`: the answer, the policy that decides, and the exit code.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use http::Method;
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::harness::FETCH;

const CONFIG: &str = r#"[server]
public_url = "https://apps.example.org"
operators = { groups = ["operators"] }
[access]
default = { email_domains = ["example.org"] }
[oidc]
issuer = "https://login.example.org/realms/staff"
client_id = "appliance"
client_secret = { env = "OIDC_SECRET" }
groups_claim = "teams"
[apps.app1]
path = "/app1"
upstream = "http://10.0.0.1:80"
[apps.app2]
path = "/app2"
upstream = "http://10.0.0.1:80"
access = [{ groups = ["staff"] }, { roles = ["boss", "admin"] }]
deny = { groups = ["Interns"] }
rules = [
    { path = "/public/**", access = "public" },
    { path = "/admin/**", methods = ["POST"], access = { claims = { level = ["3"] } } },
]
[apps.hosted]
host = "hosted.example.org"
upstream = "http://10.0.0.1:80"
access = "signed-in"
"#;

fn folder(config: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("appliance.toml"), config).unwrap();
    folder
}

/// Runs `appliance can` with these claims on the standard input.
fn run(folder: &Path, claims: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_appliance"));
    command.args(["can", "-"]).args(arguments).current_dir(folder);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may end before it has read them.
    let _ = child.stdin.take().unwrap().write_all(claims.as_bytes());
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The exit code, and the answer as JSON.
fn answer(folder: &Path, claims: &Value, arguments: &[&str]) -> (Option<i32>, Value) {
    let output = run(folder, &claims.to_string(), &[arguments, &["--json"]].concat());
    let answer = serde_json::from_slice(&output.stdout);
    (output.status.code(), answer.unwrap_or_else(|_| panic!("{}", text(&output.stderr))))
}

#[test]
fn the_answer_names_the_app_the_policy_and_the_reason() {
    let folder = folder(CONFIG);
    let staff = json!({"sub": "1", "preferred_username": "alice", "teams": ["staff"]});
    let admin = json!({"realm_access": {"roles": ["admin"]}, "groups": ["staff"]});
    let intern = json!({"teams": ["staff", "interns"]});
    let (get, post) = (&[][..], &["--method", "POST"][..]);
    for (claims, path, more, code, reason, app, key, line) in [
        (&staff, "/app2/x", get, 0, "matched", "app2", "apps.app2.access", 17),
        (&admin, "/app2/x", get, 0, "matched", "app2", "apps.app2.access", 17),
        (&intern, "/app2/x", get, 1, "denied", "app2", "apps.app2.deny", 18),
        (&json!({}), "/app2/x", get, 1, "none_matched", "app2", "apps.app2.access", 17),
        (&json!(null), "/app2/x", get, 1, "not_signed_in", "app2", "apps.app2.access", 17),
        (&json!({}), "/app2/public/x", get, 0, "public", "app2", "apps.app2.rules[0]", 20),
        (&intern, "/app2/public/x", get, 1, "denied", "app2", "apps.app2.deny", 18),
        (&staff, "/app2/admin/x", post, 1, "claim_missing", "app2", "apps.app2.rules[1]", 21),
        (
            &json!({"level": 3}),
            "/app2/admin/x",
            post,
            0,
            "matched",
            "app2",
            "apps.app2.rules[1]",
            21,
        ),
        (&staff, "/app2/Admin/x", post, 1, "claim_missing", "app2", "apps.app2.rules[1]", 21),
        (&staff, "/%61pp2/x?y", get, 0, "matched", "app2", "apps.app2.access", 17),
        (&staff, "/app1", get, 1, "email_domain_missing", "app1", "access.default", 5),
    ] {
        let (found_code, found) = answer(folder.path(), claims, &[&[path], more].concat());
        let about = format!("{claims} {path}: {found}");
        assert_eq!((found_code, &found["reason"]), (Some(code), &json!(reason)), "{about}");
        assert_eq!(found["allowed"], code == 0, "{about}");
        assert_eq!(found["app"], app, "{about}");
        let policy = &found["policies"][0];
        assert_eq!((&policy["key"], &policy["line"]), (&json!(key), &json!(line)), "{about}");
    }
}

#[test]
fn what_no_policy_of_an_app_decides_is_said_as_well() {
    let folder = folder(CONFIG);
    let alice = json!({"teams": ["operators"]});
    let hosted = &["--host", "hosted.example.org"][..];
    for (claims, path, more, code, reason) in [
        (&alice, "/", hosted, 0, "signed_in"),
        (&alice, "/", &[][..], 0, "own"),
        (&alice, "/nothing", &[], 1, "no_route"),
        (&alice, "/app2/a;b", &[], 1, "path_refused"),
        (&alice, "/app2/x", &["--host", "other.example.org"], 1, "unknown_host"),
        (&alice, "/app2/x", &["--method", "TRACE"], 1, "method_not_allowed"),
        (&alice, "/_appliance/apps", &[], 0, "matched"),
        (&json!({}), "/_appliance/sessions", &[], 1, "group_missing"),
        (&alice, "/_appliance/nothing", &[], 1, "no_route"),
    ] {
        let (found_code, found) = answer(folder.path(), claims, &[&[path], more].concat());
        let about = format!("{path} {more:?}: {found}");
        assert_eq!((found_code, &found["reason"]), (Some(code), &json!(reason)), "{about}");
    }
}

#[test]
fn an_address_that_is_not_verified_lets_nobody_sign_in() {
    let strict = CONFIG.replace("groups_claim", "require_verified_email = true\ngroups_claim");
    let folder = folder(&strict);
    let claims = json!({"teams": ["staff"], "email": "a@example.org", "email_verified": false});
    let (code, found) = answer(folder.path(), &claims, &["/app2/"]);
    assert_eq!((code, &found["reason"]), (Some(1), &json!("email_unverified")));
    let (code, found) = answer(folder.path(), &claims, &["/app2/public/x"]);
    assert_eq!((code, &found["reason"]), (Some(0), &json!("public")));
}

#[test]
fn the_text_says_which_key_of_which_table_matches() {
    let folder = folder(CONFIG);
    let bob = r#"{"preferred_username": "bob\u001b[31m", "teams": "staff", "realm_access": {"roles": ["guest"]}}"#;
    let output = run(folder.path(), bob, &["/app2/x"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stdout);
    for part in [
        "refused: none_matched\n",
        "  why      the person needs the group staff, or one of the roles boss, admin\n",
        "  request  GET /app2/x at apps.example.org\n",
        "  app      app2\n",
        "  policy   apps.app2.access, line 17, refuses: none_matched\n",
        "table 1 of access is not met\n",
        "groups has none of staff: the claim teams is \"staff\"; the claim is not a list\n",
        "roles has none of boss, admin: the claim realm_access.roles is [\"guest\"]\n",
        "groups_claim = teams",
    ] {
        assert!(shown.contains(part), "{part}\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

#[test]
fn wrong_usage_and_a_wrong_configuration_have_exit_codes_of_their_own() {
    let folder = folder(CONFIG);
    for (claims, arguments) in [
        ("{}", &["app2"][..]),
        ("{}", &[]),
        ("{}", &["/app2", "--method", "a b"]),
        ("[]", &["/app2"]),
        ("{", &["/app2"]),
    ] {
        let output = run(folder.path(), claims, arguments);
        assert_eq!(output.status.code(), Some(2), "{claims} {arguments:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty());
    }
    let missing = Command::new(env!("CARGO_BIN_EXE_appliance"))
        .args(["can", "missing.json", "/app2"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(2));
    assert!(text(&missing.stderr).contains("cannot read the claims from missing.json"));
    std::fs::write(folder.path().join("appliance.toml"), "[apps.a]\naccess = []\n").unwrap();
    assert_eq!(run(folder.path(), "{}", &["/a"]).status.code(), Some(78));
}

/// The running proxy and the command must decide alike.
#[tokio::test]
async fn the_answer_is_that_of_a_request() {
    let apps = r#"
[apps.either]
path = "/either"
upstream = "http://127.0.0.1:{UP}"
access = [{ groups = ["group2"] }, { roles = ["admin"], email_domains = ["example.com"] }]
rules = [{ path = "/Special:X/**", access = { groups = ["group2"] } }, { path = "/open/**", access = "public" }]
"#;
    let fixture = Fixture::beside("", apps).await;
    let people = [
        ("alice", json!({"email": "alice@example.com", "groups": ["staff", "group1", "group2"]})),
        (
            "bob",
            json!({"email": "bob@other.example", "groups": ["staff", "group1"],
            "realm_access": {"roles": ["admin"]}}),
        ),
    ];
    for (name, claims) in people {
        let browser = fixture.signed_in(name).await;
        for path in [
            "/app/",
            "/two/",
            "/two/x",
            "/%74wo/x",
            "/either/",
            "/either/special%3Ax/y",
            "/either/open/x",
            "/either/Open/x",
            "/open/",
            "/nothing",
            "/app/a;b",
            "/app/%2e%2e/x",
        ] {
            let response = browser.send(Method::GET, path, FETCH).await.unwrap();
            let file = fixture.appliance.path("claims.json");
            std::fs::write(&file, claims.to_string()).unwrap();
            let output = fixture.appliance.cli(&["can", "claims.json", path]);
            let (code, shown) = (output.status.code(), text(&output.stdout));
            let wanted = i32::from(response.status != 200);
            assert_eq!(code, Some(wanted), "{name} {path} {}\n{shown}", response.status);
        }
    }
}
