//! What root reads for itself, and for apps that run as root, is not for the users of apps to choose or to
//! read: secrets of the appliance, its configuration, the files of variables. These tests need root.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use nix::unistd::geteuid;

use crate::harness::Appliance;
use crate::harness::processes::not_run;

const NOBODY: u32 = 65_534;
const CLIENT: &str = r#"[oidc]
issuer = "http://127.0.0.1:9"
client_id = "a"
client_secret = { file = "place/secret" }
[apps.page]
upstream = "http://127.0.0.1:9"
path = "/"
"#;
const APP: &str =
    "[apps.tenant]\ncommand = [\"sleep\", \"1000\"]\nuser = \"nobody\"\ncwd = \"/\"\n";
const CAN_READ: &str = "these apps can read ";
const CAN_CHOOSE: &str = "the user of `tenant` can choose what root reads as ";
const CAN_REPLACE: &str = "the user of this app can replace the configuration";

type Change = fn(&Path);

fn is_root(test: &str) -> bool {
    let is_root = geteuid().is_root();
    if !is_root {
        not_run(test, "it is not root");
    }
    is_root
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(NOBODY), None).unwrap();
}

/// A folder that everybody may enter, with `place/secret` of root alone.
fn place(folder: &Path) {
    mode(folder, 0o755);
    fs::create_dir(folder.join("place")).unwrap();
    mode(&folder.join("place"), 0o755);
    fs::write(folder.join("place/secret"), "s3cret\n").unwrap();
    mode(&folder.join("place/secret"), 0o600);
}

/// What the appliance warns of until the app runs, without its other lines.
async fn warnings(prepare: impl FnOnce(&Path), config: &str) -> (Appliance, String) {
    let appliance = Appliance::start_in(prepare, config);
    appliance.wait_for_state("tenant", "ready").await;
    let log = appliance.log();
    let lines = log.lines().filter(|line| line.contains("WARN"));
    let warnings = lines.collect::<Vec<_>>().join("\n");
    (appliance, warnings)
}

#[tokio::test]
async fn an_own_secret_that_an_app_can_change_is_refused_at_start_and_reload() {
    if !is_root("an_own_secret_that_an_app_can_change_is_refused_at_start_and_reload") {
        return;
    }
    let owned_file: Change = |folder| give(&folder.join("place/secret"));
    let owned_folder: Change = |folder| give(&folder.join("place"));
    let open_file: Change = |folder| mode(&folder.join("place/secret"), 0o666);
    let open_folder: Change = |folder| mode(&folder.join("place"), 0o777);
    let owned_link: Change = |folder| {
        fs::rename(folder.join("place/secret"), folder.join("secret")).unwrap();
        symlink("../secret", folder.join("place/secret")).unwrap();
        give(&folder.join("place/secret"));
    };
    let config = [CLIENT, APP].concat();
    for (change, command) in [
        (owned_file, "chown 0:0 "),
        (owned_folder, "chown 0:0 "),
        (open_file, "chmod go-w "),
        (open_folder, "chmod go-w "),
        (owned_link, "chown -h 0:0 "),
    ] {
        let prepare = |folder: &Path| {
            place(folder);
            change(folder);
        };
        let mut appliance = Appliance::start_in(prepare, &config);
        assert_eq!(appliance.end().await, 78, "{}", appliance.log());
        let log = appliance.log();
        assert!(log.contains(CAN_CHOOSE), "{log}");
        assert!(log.contains(&format!("help: run `{command}/")), "{log}");
    }
    let (appliance, found) = warnings(place, &config).await;
    assert!(!found.contains("place"), "{found}");
    owned_folder(appliance.folder.path());
    let reload = appliance.cli(&["reload"]);
    let text = String::from_utf8_lossy(&reload.stderr);
    assert!(!reload.status.success() && text.contains(CAN_CHOOSE), "{reload:?}");
    let check = appliance.cli(&["check"]);
    assert!(String::from_utf8_lossy(&check.stderr).contains(CAN_CHOOSE), "{check:?}");
}

#[tokio::test]
async fn an_own_secret_that_apps_can_read_is_warned_of() {
    if !is_root("an_own_secret_that_apps_can_read_is_warned_of") {
        return;
    }
    let shown = |folder: &Path| {
        place(folder);
        mode(&folder.join("place/secret"), 0o644);
    };
    let config = [CLIENT, APP].concat();
    let (appliance, found) = warnings(shown, &config).await;
    assert!(found.contains(CAN_READ) && found.contains("(mode 0644): tenant"), "{found}");
    assert!(found.contains("run `chmod go-rwx /"), "{found}");
    let check = appliance.cli(&["check"]);
    assert!(String::from_utf8_lossy(&check.stderr).contains(CAN_READ), "{check:?}");

    let given = "env = { SECRET = { file = \"place/secret\" } }\n";
    let behind_a_shut_folder = |folder: &Path| {
        shown(folder);
        mode(&folder.join("place"), 0o700);
    };
    for (config, prepare) in [
        ([CLIENT, APP, given].concat(), &shown as &dyn Fn(&Path)),
        (config, &behind_a_shut_folder),
        // Without users of apps, everything is as it was.
        ([CLIENT, &APP.replace("user = \"nobody\"\n", "")].concat(), &shown),
    ] {
        let (_appliance, found) = warnings(prepare, &config).await;
        assert!(!found.contains(CAN_READ), "{config}: {found}");
    }
}

/// A certificate with its key, as `place/NAME.pem` and `place/NAME.key`, both of root.
fn certificate(folder: &Path, name: &str) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let place = folder.join("place");
    fs::write(place.join(format!("{name}.pem")), cert.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), signing_key.serialize_pem()).unwrap();
    mode(&place.join(format!("{name}.pem")), 0o644);
    mode(&folder.join(format!("{name}.key")), 0o600);
}

#[tokio::test]
async fn an_app_does_not_choose_whom_the_appliance_trusts() {
    if !is_root("an_app_does_not_choose_whom_the_appliance_trusts") {
        return;
    }
    let oidc = CLIENT.replace("place/secret\" }", "s3cret\" }\nca_file = \"place/a.pem\"");
    let upstream =
        "[apps.page]\nupstream = \"https://127.0.0.1:9\"\npath = \"/\"\naccess = \"public\"\n";
    let server = "[server]\nlisten = \"127.0.0.1:{PORT}\"\npublic_url = \"https://localhost:{PORT}\"\n\
                  state_dir = \"{DIR}/state\"\n";
    let plain = server.replace("https://", "http://");
    let client = "client_cert = \"place/a.pem\"\nclient_key = \"a.key\"\n";
    let acme =
        "tls = { acme = { directory = \"https://127.0.0.1:9/\", ca_file = \"place/a.pem\" } }\n";
    let own = "tls = { cert = \"place/a.pem\", key = \"a.key\" }\n";
    let fine = |folder: &Path| {
        place(folder);
        certificate(folder, "a");
        fs::write(folder.join("s3cret"), "s3cret\n").unwrap();
        mode(&folder.join("s3cret"), 0o600);
    };
    for config in [
        [&plain, oidc.as_str(), APP].concat(),
        [&plain, upstream, "ca_file = \"place/a.pem\"\n", APP].concat(),
        [&plain, upstream, client, APP].concat(),
        [server, acme, APP].concat(),
        [server, own, APP].concat(),
    ] {
        for (change, command) in [
            ((|folder: &Path| give(&folder.join("place"))) as Change, "chown 0:0 "),
            (|folder: &Path| mode(&folder.join("place/a.pem"), 0o666), "chmod go-w "),
        ] {
            let prepare = |folder: &Path| {
                fine(folder);
                change(folder);
            };
            let mut appliance = Appliance::start_with_in(prepare, &config);
            assert_eq!(appliance.end().await, 78, "{config}: {}", appliance.log());
            let log = appliance.log();
            assert!(log.contains(CAN_CHOOSE) && log.contains("place/a.pem"), "{config}: {log}");
            assert!(log.contains(&format!("help: run `{command}/")), "{config}: {log}");
        }
        // As the certificates of the system are.
        let appliance = Appliance::start_with_in(fine, &config);
        appliance.wait_for_state("tenant", "ready").await;
        let log = appliance.log();
        assert!(!log.contains(CAN_CHOOSE) && !log.contains(CAN_READ), "{config}: {log}");
        give(&appliance.path("place"));
        let reload = appliance.cli(&["reload"]);
        let text = String::from_utf8_lossy(&reload.stderr);
        assert!(!reload.status.success() && text.contains(CAN_CHOOSE), "{config}: {reload:?}");
        let check = appliance.cli(&["check"]);
        assert!(String::from_utf8_lossy(&check.stderr).contains(CAN_CHOOSE), "{check:?}");
    }
}

#[tokio::test]
async fn links_of_root_and_of_kubernetes_go_on() {
    if !is_root("links_of_root_and_of_kubernetes_go_on") {
        return;
    }
    let volume = |folder: &Path| {
        place(folder);
        fs::create_dir(folder.join("place/..1")).unwrap();
        fs::rename(folder.join("place/secret"), folder.join("place/..1/secret")).unwrap();
        symlink("..1", folder.join("place/..data")).unwrap();
        symlink("..data/secret", folder.join("place/secret")).unwrap();
    };
    let linked = |folder: &Path| {
        place(folder);
        fs::rename(folder.join("place"), folder.join("real")).unwrap();
        symlink("real", folder.join("place")).unwrap();
    };
    // Of somebody who is no app's user.
    let of_operator = |folder: &Path| {
        place(folder);
        for name in ["", "place", "place/secret", "appliance.toml"] {
            let path = folder.join(name);
            if path.exists() {
                chown(path, Some(41_998), None).unwrap();
            }
        }
    };
    let shared = |folder: &Path| {
        place(folder);
        mode(folder, 0o1777);
        // `state_dir` of a folder for all would be refused for its own reasons.
        fs::create_dir(folder.join("state")).unwrap();
        mode(&folder.join("state"), 0o700);
    };
    for (name, prepare) in [
        ("volume", &volume as &dyn Fn(&Path)),
        ("linked", &linked),
        ("of an operator", &of_operator),
        ("sticky", &shared),
    ] {
        let (appliance, found) = warnings(prepare, &[CLIENT, APP].concat()).await;
        for text in [CAN_READ, CAN_CHOOSE, CAN_REPLACE] {
            assert!(!found.contains(text), "{name}: {found}");
        }
        fs::write(appliance.path("place/secret"), "another\n").unwrap();
        let reload = appliance.cli(&["reload"]);
        let shown = String::from_utf8_lossy(&reload.stdout);
        assert!(shown.contains("client_secret"), "{name}: {reload:?}");
    }
}

#[tokio::test]
async fn a_configuration_that_an_app_can_replace_is_warned_of() {
    if !is_root("a_configuration_that_an_app_can_replace_is_warned_of") {
        return;
    }
    let open_file: Change = |folder| mode(&folder.join("appliance.toml"), 0o666);
    let owned_file: Change = |folder| give(&folder.join("appliance.toml"));
    for change in [open_file, owned_file] {
        let (appliance, found) = warnings(place, APP).await;
        assert!(!found.contains(CAN_REPLACE), "{found}");
        change(appliance.folder.path());
        let check = appliance.cli(&["check"]);
        let text = String::from_utf8_lossy(&check.stderr);
        assert!(text.contains("the user of `tenant` can replace this file"), "{check:?}");
        assert!(appliance.cli(&["reload"]).status.success());
        appliance.logs(CAN_REPLACE).await;
    }
}

#[tokio::test]
async fn files_of_an_app_that_runs_as_root_are_not_for_another_app_to_change() {
    if !is_root("files_of_an_app_that_runs_as_root_are_not_for_another_app_to_change") {
        return;
    }
    for line in ["env_file = \"place/secret\"", "env = { SECRET = { file = \"place/secret\" } }"] {
        let rooty = format!("[apps.rooty]\ncommand = [\"true\"]\nuser = \"root\"\n{line}\n");
        let vars = |folder: &Path| {
            place(folder);
            fs::write(folder.join("place/secret"), "MODE=1\n").unwrap();
        };
        let (_appliance, found) = warnings(vars, &[APP, &rooty].concat()).await;
        assert!(!found.contains(CAN_CHOOSE), "{found}");
        let owned = |folder: &Path| {
            vars(folder);
            give(&folder.join("place"));
        };
        let (_appliance, found) = warnings(owned, &[APP, &rooty].concat()).await;
        assert!(found.contains(CAN_CHOOSE), "{found}");
    }
}

/// What `check` says about this configuration, which nobody runs.
fn checked(appliance: &Appliance, config: &str) -> String {
    let path = appliance.path("appliance.toml");
    let before = fs::read_to_string(&path).unwrap();
    fs::write(&path, config).unwrap();
    let check = appliance.cli(&["check"]);
    fs::write(&path, before).unwrap();
    String::from_utf8_lossy(&check.stderr).into_owned()
}

#[tokio::test]
async fn files_of_one_app_are_not_for_another_app_to_change_or_read() {
    if !is_root("files_of_one_app_are_not_for_another_app_to_change_or_read") {
        return;
    }
    let vars = |folder: &Path| {
        place(folder);
        fs::write(folder.join("place/secret"), "MODE=1\n").unwrap();
        chown(folder.join("place/secret"), Some(41_234), None).unwrap();
    };
    let given: Change = |folder| {
        give(&folder.join("place/secret"));
        mode(&folder.join("place/secret"), 0o644);
    };
    let own = "[apps.other]\ncommand = [\"sleep\", \"1000\"]\ncwd = \"/\"\n\
               user = \"41234\"\ngroup = \"41234\"\n";
    let can_choose = "the user of `tenant` can choose what `other` reads as ";
    let can_read = "which `other` gets its variables from (mode 0644): tenant";
    for line in ["env_file = \"place/secret\"", "env = { SECRET = { file = \"place/secret\" } }"] {
        let config = [APP, own, line].concat();
        for (change, text, command) in [
            ((|folder: &Path| give(&folder.join("place"))) as Change, can_choose, "chown 0:0 "),
            (given, can_choose, "chown 0:0 "),
            (|folder| mode(&folder.join("place"), 0o777), can_choose, "chmod go-w "),
            (|folder| mode(&folder.join("place/secret"), 0o644), can_read, "chmod go-rwx "),
        ] {
            let prepare = |folder: &Path| {
                vars(folder);
                change(folder);
            };
            let (appliance, found) = warnings(prepare, &config).await;
            assert!(found.contains(text) && found.contains("place/secret"), "{line}: {found}");
            assert!(found.contains(&format!("run `{command}/")), "{line}: {found}");
            let per_app = fs::read_to_string(appliance.path("appliance.toml")).unwrap();
            let per_app = per_app.replace("user = \"41234\"\ngroup = \"41234\"\n", "");
            let per_app = per_app.replace("[server]\n", "[server]\nusers = \"per-app\"\n");
            assert!(checked(&appliance, &per_app).contains(text), "{line}");
        }
        // Files of the app itself, and what both are given.
        let of_itself: Change = |folder| chown(folder.join("place"), Some(41_234), None).unwrap();
        let shown: Change = |folder| {
            chown(folder.join("place/secret"), Some(0), None).unwrap();
            mode(&folder.join("place/secret"), 0o644);
        };
        let behind_a_shut_folder: Change = |folder| {
            mode(&folder.join("place"), 0o700);
            mode(&folder.join("place/secret"), 0o644);
        };
        let both = [APP, "env_file = \"place/secret\"\n", own, line].concat();
        let one_user = config.replace("user = \"nobody\"", "user = \"41234\"\ngroup = \"41234\"");
        for (config, change) in [
            (&config, of_itself),
            (&config, behind_a_shut_folder),
            (&both, shown),
            (&one_user, shown),
        ] {
            let prepare = |folder: &Path| {
                vars(folder);
                change(folder);
            };
            let (_appliance, found) = warnings(prepare, config).await;
            for text in ["can choose what", "gets its variables from"] {
                assert!(!found.contains(text), "{config}: {found}");
            }
        }
    }
}

#[tokio::test]
async fn what_an_app_runs_is_not_for_another_app_to_change() {
    if !is_root("what_an_app_runs_is_not_for_another_app_to_change") {
        return;
    }
    let realm = "[oidc]\nserved_by = \"other\"\nclient_id = \"a\"\n\
                 client_secret = { generate = \"c\" }\n[apps.other]\npath = \"/auth\"\n\
                 keycloak = { home = \"kc\", realm = \"place/secret\" }\n";
    let script = "[apps.other]\nstreamlit = \"place/secret\"\npath = \"/\"\naccess = \"public\"\n";
    let user = "user = \"41234\"\ngroup = \"41234\"\n";
    let (appliance, _) = warnings(place, APP).await;
    fs::write(appliance.path("place/secret"), "{ \"realm\": \"r\" }").unwrap();
    mode(&appliance.path("place/secret"), 0o644);
    let before = fs::read_to_string(appliance.path("appliance.toml")).unwrap();
    let text = "the user of `tenant` can choose what `other` reads as ";
    for (table, user) in [(realm, user), (script, user), (script, "user = \"root\"\n")] {
        let config = [&before, table, user].concat();
        let found = checked(&appliance, &config);
        assert!(!found.contains("can choose") && !found.contains("can read"), "{found}");
        give(&appliance.path("place"));
        let reader = if user.contains("root") { "root" } else { "`other`" };
        let found = checked(&appliance, &config);
        assert!(found.contains(&text.replace("`other`", reader)), "{config}: {found}");
        chown(appliance.path("place"), Some(0), None).unwrap();
    }
}
