//! The users that apps run as, and the files and folders that root reads and creates for them. These
//! tests need root; they pass at once without it.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::Path;

use nix::unistd::geteuid;

use crate::harness::{Appliance, eventually};

const NOBODY: u32 = 65_534;
const PER_APP: &str = "users = \"per-app\"\n";
const LOGIN: &str = r#"[oidc]
issuer = "http://127.0.0.1:9"
client_id = "a"
client_secret = { generate = "oidc-client" }
[apps.a]
upstream = "http://127.0.0.1:9"
path = "/"
"#;

fn app(name: &str, script: &str, more: &str) -> String {
    let command = format!("command = [\"/bin/sh\", \"-c\", '''{script}; exec sleep 1000''']");
    format!("[apps.{name}]\n{command}\n{more}\n")
}

/// Waits for a line of the app's output that begins with this word, and returns the rest of the line.
async fn said(appliance: &Appliance, app: &str, word: &str) -> String {
    let start = format!("{app:11} | {word} ");
    eventually(&format!("{app} to say {word}"), async || {
        let log = appliance.log();
        log.lines().find_map(|line| Some(line.split_once(&start)?.1.to_owned()))
    })
    .await
}

/// The output of a start that is refused.
async fn refusal(prepare: impl FnOnce(&Path), config: &str) -> String {
    let mut appliance = Appliance::start_in(prepare, config);
    assert_eq!(appliance.end().await, 78, "{}", appliance.log());
    appliance.log()
}

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The user that `check --expanded` shows.
fn shown_user(appliance: &Appliance, app: &str) -> String {
    let output = appliance.cli(&["check", "--expanded"]);
    let text = String::from_utf8(output.stdout).unwrap();
    let table = text.split_once(&format!("[apps.{app}]\n")).unwrap().1;
    let user = table.lines().find_map(|line| line.strip_prefix("user = ")).unwrap();
    user.trim_matches('"').to_owned()
}

#[tokio::test]
async fn each_app_has_a_user_of_its_own_without_an_entry_anywhere() {
    if !geteuid().is_root() {
        return;
    }
    let look = r#"echo "ids $(id -u) $(id -g) $(id -G)"; echo "home $HOME $USER"; touch ~/file && echo "kept yes""#;
    let config = [
        PER_APP,
        &app("sales", look, ""),
        &app("app1", look, ""),
        &app("tool", look, "user = \"root\""),
        &app("old", look, "user = \"nobody\""),
    ]
    .concat();
    let appliance = Appliance::start_in(|_| {}, &config);
    for (name, number) in [("sales", "47325"), ("app1", "45001")] {
        assert_eq!(shown_user(&appliance, name), number);
        assert_eq!(said(&appliance, name, "ids").await, [number; 3].join(" "));
        let home = appliance.path("state-apps").join(name);
        assert_eq!(said(&appliance, name, "home").await, format!("{} {name}", home.display()));
        said(&appliance, name, "kept").await;
        let found = home.metadata().unwrap();
        assert_eq!((found.uid().to_string(), found.mode() & 0o7777), (number.into(), 0o700));
    }
    assert!(said(&appliance, "tool", "ids").await.starts_with("0 0"));
    assert!(said(&appliance, "old", "ids").await.starts_with("65534"));
    assert!(!appliance.log().contains("run as root"), "{}", appliance.log());
}

#[tokio::test]
async fn as_root_without_the_setting_a_warning_names_the_apps() {
    if !geteuid().is_root() {
        return;
    }
    let config = [
        app("one", "true", ""),
        app("two", "true", ""),
        app("meant", "true", "user = \"root\""),
        app("other", "true", "user = \"nobody\""),
    ]
    .concat();
    let appliance = Appliance::start_in(|_| {}, &config);
    appliance.wait_for_state("two", "ready").await;
    let log = appliance.log();
    let warnings: Vec<_> = log.lines().filter(|line| line.contains("run as root")).collect();
    assert!(matches!(&warnings[..], [one] if one.contains("WARN")), "{log}");
    assert!(warnings[0].contains("apps=\"one, two\""), "{log}");
}

#[tokio::test]
async fn without_root_all_apps_run_as_the_appliances_user_and_the_log_says_so() {
    if !geteuid().is_root() {
        return;
    }
    let look = r#"echo "id $(id -u)"; echo "home $HOME"; touch ~/file && echo "kept yes""#;
    let config = [PER_APP, &app("sales", look, "")].concat();
    let appliance = Appliance::start_as(41_999, &config);
    assert_eq!(said(&appliance, "sales", "id").await, "41999");
    let home = appliance.path("state-apps/sales");
    assert_eq!(said(&appliance, "sales", "home").await, home.display().to_string());
    said(&appliance, "sales", "kept").await;
    let log = appliance.log();
    assert!(log.contains("all apps run as the user of the appliance: only root can"), "{log}");
}

#[tokio::test]
async fn a_link_does_not_give_an_app_a_file_that_only_root_may_read() {
    if !geteuid().is_root() {
        return;
    }
    // A folder of the app's user, and beside it a secret of root.
    let prepare = |folder: &Path| {
        fs::create_dir_all(folder.join("app")).unwrap();
        fs::create_dir(folder.join("secrets")).unwrap();
        mode(&folder.join("secrets"), 0o700);
        fs::write(folder.join("secrets/vars"), "PASSWORD=hunter2\n").unwrap();
        mode(&folder.join("secrets/vars"), 0o600);
        symlink("../secrets/vars", folder.join("app/link")).unwrap();
        symlink("../secrets", folder.join("app/folder")).unwrap();
        chown(folder.join("app"), Some(NOBODY), Some(NOBODY)).unwrap();
    };
    let user = "user = \"nobody\"\n";
    for (file, more) in [
        ("app/link", "env_file = \"app/link\""),
        ("app/folder/vars", "env_file = \"app/folder/vars\""),
        ("app/link", "env = { X = { file = \"app/link\" } }"),
    ] {
        // What an app can change makes this app fail, and no other one.
        let appliance = Appliance::start_in(prepare, &app("a", "env", &[user, more].concat()));
        let log = eventually("the failed start", async || {
            let log = appliance.log();
            log.contains("app could not be started").then_some(log)
        })
        .await;
        assert!(!log.contains("hunter2"), "{log}");
        let wanted = format!("{file} cannot be read: uid 65534 (nobody) may not read it, and ");
        assert!(log.contains(&wanted), "{log}");
        assert!(log.contains("app belongs to uid 65534 (nobody), not to uid 0 (root)"), "{log}");
        assert!(log.contains("run `chown 0 /"), "{log}");
    }
    // A file of root in a trusted folder, and a file that the app may read.
    for more in [
        "env_file = \"secrets/vars\"",
        "env = { PASSWORD = { file = \"secrets/vars\" } }",
        "env_file = \"app/own\"",
    ] {
        let prepare_own = |folder: &Path| {
            prepare(folder);
            fs::write(folder.join("app/own"), "PASSWORD=own\n").unwrap();
        };
        let config = app("a", "echo \"got $PASSWORD\"", &[user, more].concat());
        let appliance = Appliance::start_in(prepare_own, &config);
        assert!(!said(&appliance, "a", "got").await.is_empty());
    }
}

#[tokio::test]
async fn a_setup_runs_as_the_user_of_its_app_with_the_same_limits() {
    if !geteuid().is_root() {
        return;
    }
    let more = r#"no_new_privs = true
setup = { run = ["/bin/sh", "-c", '''echo "setup $(id -u) $(id -G) $HOME $XDG_CACHE_HOME $(sed -n 's/^NoNewPrivs:.//p' /proc/self/status)"; touch "$XDG_CACHE_HOME/fetched" ~/made'''], creates = "state-apps/sales/made" }"#;
    let config = [PER_APP, &app("sales", "echo \"runs yes\"", more)].concat();
    let appliance = Appliance::start_in(|_| {}, &config);
    said(&appliance, "sales", "runs").await;
    let (home, cache) =
        (appliance.path("state-apps/sales"), appliance.path("state-apps/.cache/downloads/sales"));
    let wanted = format!("47325 47325 {} {} 1", home.display(), cache.display());
    assert_eq!(said(&appliance, "sales", "setup").await, wanted);
    let installed = appliance.path("state-apps/.cache/venvs/sales").metadata().unwrap();
    assert_eq!((installed.uid(), installed.mode() & 0o7777), (47_325, 0o755));
}

#[tokio::test]
async fn apps_do_not_inherit_data_and_the_error_for_a_used_volume_has_the_command() {
    if !geteuid().is_root() {
        return;
    }
    let write = "echo secret >~/data && echo \"wrote yes\"";
    let mut appliance = Appliance::start_in(
        |_| {},
        &[PER_APP, &app("db", write, ""), &app("app1", write, "")].concat(),
    );
    said(&appliance, "db", "wrote").await;
    appliance.stop().await;
    // Another image with the same volume: one more app above, one app less.
    let data = appliance.path("state-apps/db/data").display().to_string();
    let steal = format!("cat {data} ~/../app1/data; echo \"tried $?\"");
    let config = [PER_APP, &app("sales", &steal, ""), &app("db", "echo \"has $(cat ~/data)\"", "")];
    change(&appliance, &config.concat());
    appliance.restart();
    assert_eq!(said(&appliance, "db", "has").await, "secret");
    assert_eq!(said(&appliance, "sales", "tried").await, "1");
    appliance.stop().await;
    // An earlier version ran the app as another user.
    let folder = appliance.path("state-apps/db");
    for path in [folder.join("data"), folder.clone()] {
        chown(path, Some(41_999), Some(41_999)).unwrap();
    }
    appliance.restart();
    assert_eq!(appliance.end().await, 78);
    let log = appliance.log();
    let wanted = format!(
        "`db`: {0} belongs to uid 41999, but the app runs as uid {1}",
        folder.display(),
        shown_user(&appliance, "db")
    );
    assert!(log.contains(&wanted), "{log}");
    let command = log.split_once("help: run `").unwrap().1.split_once('`').unwrap().0.to_owned();
    assert!(command.starts_with("chown -R "), "{command}");
    let shell = std::process::Command::new("/bin/sh").args(["-c", &command]).status().unwrap();
    assert!(shell.success());
    fs::write(appliance.path("log"), "").unwrap();
    appliance.restart();
    assert_eq!(said(&appliance, "db", "has").await, "secret");
}

/// A Python that makes environments with a `streamlit` that only serves files.
const FAKE_PYTHON: &str = r#"#!/bin/sh
case $1 in
-c) exit 0 ;;
--version) echo "Python 3.13" ;;
-m) mkdir -p "$3/bin" && echo "made for $(id -u) in $3"
    printf '#!/bin/sh\nexit 0\n' >"$3/bin/python"
    printf '#!/bin/sh\nexec python3 -m http.server --bind 127.0.0.1 "$6"\n' >"$3/bin/streamlit"
    chmod +x "$3/bin/python" "$3/bin/streamlit" ;;
esac
"#;

/// Puts the fake Python, and an app, into a folder.
fn fake_python(folder: &Path) {
    fs::write(folder.join("python"), FAKE_PYTHON).unwrap();
    mode(&folder.join("python"), 0o755);
    fs::write(folder.join("app.py"), "").unwrap();
}

/// The table of an app of the fake Python, with the line of its user.
fn of_fake_python(name: &str, user: &str) -> String {
    format!(
        "[apps.{name}]\nstreamlit = {{ script = \"app.py\", python = \"./python\" }}\n{user}\
         ready = {{ tcp = true }}\npath = \"/{name}\"\naccess = \"public\"\n"
    )
}

/// A Streamlit app that is mounted into a container gets its environment in the volume, where the next
/// container finds it. What `appliance setup` has put into the image is used from there.
#[tokio::test]
async fn environments_are_made_for_the_apps_user_in_the_volume() {
    if !geteuid().is_root() {
        return;
    }
    let table = |name: &str| of_fake_python(name, "");
    let config = [PER_APP, &table("sales"), &table("named"), "user = 41001\ngroup = 41001\n"];
    let appliance = Appliance::start_in(fake_python, &config.concat());
    appliance.wait_for_state("sales", "ready").await;
    appliance.wait_for_state("named", "ready").await;
    let log = appliance.log();
    for (user, owner) in [("47325", "sales"), ("41001", "41001")] {
        let venvs = appliance.path("state-apps/.cache/venvs").join(owner);
        let made = format!("made for {user} in {}/", venvs.display());
        assert!(log.contains(&made), "{made}: {log}");
    }
    // As in the image: one folder that the image contains, and one that is a volume.
    let run = |command: &str| {
        std::process::Command::new(env!("CARGO_BIN_EXE_appliance"))
            .args(["--config", "appliance.toml"])
            .args(command.split(' '))
            .current_dir(appliance.folder.path())
            .env("STATE_DIRECTORY", appliance.path("volume/state"))
            .env("APPLIANCE_DATA", appliance.path("volume"))
            .env("CACHE_DIRECTORY", appliance.path("image"))
            .output()
            .unwrap()
    };
    change(&appliance, &[PER_APP, &table("sales")].concat());
    let text = fs::read_to_string(appliance.path("appliance.toml")).unwrap();
    let text = text.lines().filter(|line| !line.starts_with("state_dir"));
    fs::write(appliance.path("appliance.toml"), text.collect::<Vec<_>>().join("\n")).unwrap();
    let place = || {
        let shown = String::from_utf8(run("check --expanded").stdout).unwrap();
        let place = shown.lines().find_map(|line| line.strip_prefix("setup.creates = "));
        place.unwrap_or_else(|| panic!("{shown}")).to_owned()
    };
    let volume = format!("{}/volume/.cache/venvs/sales/", appliance.folder.path().display());
    assert!(place().contains(&volume), "{}", place());
    let setup = run("setup");
    assert!(setup.status.success(), "{setup:?}");
    let image = format!("{}/image/venvs/sales/", appliance.folder.path().display());
    assert!(place().contains(&image), "{}", place());
}

/// A user and an app may have the same name. What one of them installs, the other one must not run.
#[tokio::test]
async fn an_environment_is_run_by_its_own_user_only() {
    if !geteuid().is_root() {
        return;
    }
    let as_daemon = "user = \"daemon\"\n";
    let config = ["one", "two"].map(|name| of_fake_python(name, as_daemon)).concat()
        + &of_fake_python("daemon", "");
    let mut appliance = Appliance::start_in(fake_python, &[PER_APP, &config].concat());
    for app in ["one", "two", "daemon"] {
        appliance.wait_for_state(app, "ready").await;
    }
    let venvs = appliance.path("state-apps/.cache/venvs");
    let only = |name: &str| {
        let all = fs::read_dir(venvs.join(name)).unwrap().map(|entry| entry.unwrap().path());
        let made: Vec<_> = all.filter(|path| path.is_dir()).collect();
        assert_eq!(made.len(), 1, "apps of one user share one environment: {made:?}");
        made[0].clone()
    };
    let (shared, own) = (only("user.daemon"), only("daemon"));
    let uid = |path: &Path| path.metadata().unwrap().uid();
    assert_ne!(uid(&shared), uid(&own));
    assert!((40_000..60_000).contains(&uid(&own)));
    appliance.stop().await;

    // Another user can change it, although the setup is complete.
    for change in
        [|path: &Path| chown(path, Some(41_999), None).unwrap(), |path: &Path| mode(path, 0o777)]
    {
        fs::write(appliance.path("log"), "").unwrap();
        let before = uid(&own);
        change(&own);
        appliance.restart();
        assert_eq!(appliance.end().await, 78);
        let log = appliance.log();
        assert!(log.contains("`daemon`: ") && log.contains("help: remove it"), "{log}");
        chown(&own, Some(before), None).unwrap();
        mode(&own, 0o755);
    }
    appliance.restart();
    appliance.wait_for_state("daemon", "ready").await;
    appliance.stop().await;
    // Root alone can change it.
    chown(&own, Some(0), Some(0)).unwrap();
    appliance.restart();
    appliance.wait_for_state("daemon", "ready").await;
}

/// Replaces the configuration except `[server]`.
fn change(appliance: &Appliance, config: &str) {
    let path = appliance.path("appliance.toml");
    let text = fs::read_to_string(&path).unwrap();
    let head = text.split_once(PER_APP).unwrap().0;
    fs::write(path, [head, config].concat()).unwrap();
}

#[tokio::test]
async fn a_state_folder_that_another_user_can_change_is_refused() {
    if !geteuid().is_root() {
        return;
    }
    let config = app("a", "true", "user = \"nobody\"");
    let owned = |folder: &Path| {
        fs::create_dir(folder.join("state")).unwrap();
        chown(folder.join("state"), Some(NOBODY), None).unwrap();
    };
    let log = refusal(owned, &config).await;
    assert!(log.contains("belongs to uid 65534 (nobody), not to uid 0 (root)"), "{log}");
    assert!(log.contains("help: run `chown -R 0:0 /"), "{log}");
    let open = |folder: &Path| mode(folder, 0o777);
    let log = refusal(open, &config).await;
    assert!(log.contains("is not safe: other users can write to /"), "{log}");
    let linked = |folder: &Path| {
        fs::create_dir(folder.join("real")).unwrap();
        symlink("real", folder.join("state")).unwrap();
        std::os::unix::fs::lchown(folder.join("state"), Some(NOBODY), None).unwrap();
    };
    let log = refusal(linked, &config).await;
    assert!(log.contains("state belongs to uid 65534"), "{log}");
    // A link of root to a folder of root is accepted.
    let root = |folder: &Path| {
        fs::create_dir(folder.join("real")).unwrap();
        symlink("real", folder.join("state")).unwrap();
    };
    let appliance = Appliance::start_in(root, &config);
    appliance.wait_for_state("a", "ready").await;
}

/// The owner of the configuration may own the folders above the state folder, unless an app has the
/// same user.
#[tokio::test]
async fn an_app_whose_user_owns_the_configuration_is_refused_or_named() {
    if !geteuid().is_root() {
        return;
    }
    let foreign = |folder: &Path| chown(folder, Some(NOBODY), None).unwrap();
    let appliance = Appliance::start_in(foreign, &app("a", "true", "user = \"daemon\""));
    appliance.wait_for_state("a", "ready").await;
    assert!(!appliance.log().contains("as root"), "{}", appliance.log());
    let log = refusal(foreign, &app("a", "true", "user = \"nobody\"")).await;
    assert!(log.contains("belongs to uid 65534 (nobody), not to uid 0 (root)"), "{log}");
    let foreign_file =
        |folder: &Path| chown(folder.join("appliance.toml"), Some(NOBODY), None).unwrap();
    let appliance = Appliance::start_in(foreign_file, &app("a", "true", "user = \"nobody\""));
    appliance.wait_for_state("a", "ready").await;
    let log = appliance.log();
    assert!(log.contains("so that the app can run programs as root"), "{log}");
}

#[tokio::test]
async fn keys_and_sessions_of_another_user_are_refused() {
    if !geteuid().is_root() {
        return;
    }
    let state = |folder: &Path, name: &str| {
        let state = folder.join("state");
        fs::create_dir(&state).unwrap();
        mode(&state, 0o700);
        fs::write(state.join("lock"), "").unwrap();
        let path = state.join(name);
        if name == "sessions" {
            fs::create_dir(&path).unwrap();
        } else {
            fs::write(&path, "A".repeat(43)).unwrap();
            mode(&path, 0o600);
        }
        path
    };
    for name in ["oidc-client", "session-keys", "assertion-key", "sessions"] {
        let foreign = |folder: &Path| chown(state(folder, name), Some(NOBODY), None).unwrap();
        let log = refusal(foreign, LOGIN).await;
        assert!(
            log.contains("belongs to uid 65534 (nobody), not to uid 0 (root)"),
            "{name}: {log}"
        );
    }
    for name in ["oidc-client", "session-keys", "assertion-key"] {
        let log = refusal(|folder: &Path| mode(&state(folder, name), 0o640), LOGIN).await;
        assert!(log.contains("other users have rights to it (mode 0640)"), "{name}: {log}");
    }
}

#[tokio::test]
async fn a_refused_reload_and_a_refused_start_leave_no_folder_behind() {
    if !geteuid().is_root() {
        return;
    }
    let first = [PER_APP, &app("db", "echo \"runs yes\"", "")].concat();
    let mut appliance = Appliance::start_in(|_| {}, &first);
    said(&appliance, "db", "runs").await;
    // The last of the new apps cannot have its folder.
    let new = [app("sales", "echo", ""), app("store", "echo", "")].concat();
    fs::create_dir(appliance.path("state-apps/store")).unwrap();
    chown(appliance.path("state-apps/store"), Some(41_999), None).unwrap();
    change(&appliance, &[&first, new.as_str()].concat());
    let reload = appliance.cli(&["reload"]);
    let told = String::from_utf8_lossy(&reload.stderr);
    assert!(!reload.status.success() && told.contains("belongs to uid 41999"), "{reload:?}");
    assert!(!appliance.path("state-apps/sales").exists());
    assert_eq!(appliance.stop().await, 0);
    appliance.restart();
    assert_eq!(appliance.end().await, 78);
    assert!(!appliance.path("state-apps/sales").exists());
    // With its folder, all of them start.
    fs::remove_dir(appliance.path("state-apps/store")).unwrap();
    appliance.restart();
    appliance.wait_for_state("db", "ready").await;
    assert!(appliance.path("state-apps/sales").exists());
}
