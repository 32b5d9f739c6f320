//! The image: build, run as the README says, sign in through the published port, stop.
//!
//! The test needs a Docker engine and the base images of the Dockerfile; without them it fails and says
//! so. All containers and volumes are named `appliance-test-…` and are removed. The image stays for the
//! cache of the next build.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the tests start processes and print the log of a failed one"
)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "an unexpected value ends the test")]

mod container;
mod login;
#[path = "../stack/readme.rs"]
mod readme;

use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use container::{Container, Volume, build, inspect};

/// The time limit of the first start, which fills an empty database. Generous, because the machine may
/// be busy.
const FIRST_BOOT: Duration = Duration::from_mins(2);

#[tokio::test]
async fn the_image_builds_runs_and_stops() {
    let image = build();
    only_the_proxy_is_published(&image);

    let container = Container::run(&image, &[]);
    let started = Instant::now();
    container.until_ready(FIRST_BOOT).await;
    eprintln!("first boot: {:.1} s", started.elapsed().as_secs_f32());

    login::opens(&container.url, "test", "/app1/", "<title>Streamlit</title>").await;
    login::opens(&container.url, "test", "/app2/", "<title>Streamlit</title>").await;
    login::is_refused(&container.url, "test1", "/app2/", "group2").await;
    login::admin_console_is_closed(&container.url).await;

    container.until_healthy(Duration::from_mins(1)).await;
    every_app_has_its_own_user(&container);

    let stopping = Instant::now();
    assert_eq!(container.stop(), 0, "the exit code of docker stop");
    assert!(stopping.elapsed() < Duration::from_secs(10), "stopped in {:?}", stopping.elapsed());

    container.start_again();
    let started = Instant::now();
    container.until_ready(FIRST_BOOT).await;
    eprintln!("later boot: {:.1} s", started.elapsed().as_secs_f32());
    login::opens(&container.url, "test", "/app1/", "<title>Streamlit</title>").await;
}

/// A folder that is mounted at `/apps` replaces the apps of the image, without a configuration.
#[tokio::test]
async fn a_mounted_folder_replaces_the_apps() {
    let image = build();
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let add = |name: &str| {
        let site = folder.path().join(name);
        std::fs::create_dir(&site).unwrap();
        std::fs::write(site.join("index.html"), format!("<title>the {name}</title>")).unwrap();
    };
    add("handbook");
    add("report");
    let mount = format!("--volume={}:/apps:ro", folder.path().display());
    let container = Container::run(&image, &[&mount]);
    container.until_ready(FIRST_BOOT).await;
    login::opens(&container.url, "test", "/handbook/", "<title>the handbook</title>").await;

    add("news");
    let client = login::client();
    let news = format!("{}/news/", container.url);
    let until = Instant::now() + Duration::from_mins(1);
    while client.get(&news).send().await.unwrap().status() == 404 {
        assert!(Instant::now() < until, "the new folder is not taken up");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    login::opens(&container.url, "test", "/news/", "<title>the news</title>").await;
}

/// A configuration that is mounted over that of the image, with another app in other spellings.
const MOUNTED: &str = r#"[server]
listen = "0.0.0.0:8080"
public_url = "${PUBLIC_URL}"
[oidc]
served_by = "keycloak"
client_id = "appliance"
client_secret = { generate = "oidc-client" }
[apps]
sales = { command = ["sh", "-c", "touch ~/file && exec sleep 10000"] }
[ apps."keycloak" ] # the issuer
keycloak = { home = "${KEYCLOAK_HOME}", realm = "apps/keycloak/realm.json" }
path = "/auth"
  [apps.app1]
  streamlit = "apps/app1.py"
  path = "/app1"
"#;

/// The second image has another app above those of the first one, and the volume of the first one.
#[tokio::test]
async fn two_images_share_a_volume_and_no_app_gets_the_data_of_another() {
    let image = build();
    let volume = Volume::new("shared");
    let shared = volume.option();
    let first = Container::run(&image, &[&shared]);
    first.until_ready(FIRST_BOOT).await;
    let keycloak = first.expanded_user("keycloak");
    assert_eq!(first.stop(), 0);
    drop(first);

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("appliance.toml");
    std::fs::write(&file, MOUNTED).unwrap();
    let mounted = format!("--volume={}:/srv/appliance/appliance.toml:ro", file.display());
    let second = Container::run(&image, &[&shared, &mounted]);
    second.until_ready(FIRST_BOOT).await;
    login::opens(&second.url, "test", "/app1/", "<title>Streamlit</title>").await;
    let sales = second.expanded_user("sales");
    assert_eq!(second.expanded_user("keycloak"), keycloak);
    has_user(&second, "sleep 10000", &sales);
    has_user(&second, "QuarkusEntryPoint", &keycloak);
    has_user(&second, "app1.py", &second.expanded_user("app1"));
    assert!(second.succeeds_as(&keycloak, "ls /var/lib/appliance/keycloak/data"));
    for script in [
        "ls /var/lib/appliance/keycloak",
        "ls /var/lib/appliance/state",
        "ls /var/lib/appliance/app1",
        "mkdir /var/lib/appliance/another",
        "mv /var/lib/appliance/sales /var/lib/appliance/moved",
        "touch /srv/appliance/apps/app1.py",
        "touch /opt/keycloak/providers/another.jar",
        "touch /opt/appliance/venvs/app1/another",
    ] {
        assert!(!second.succeeds_as(&sales, script), "{script}");
    }
    assert!(second.succeeds_as(&sales, "test -e /var/lib/appliance/sales/file"));
    assert_eq!(second.stop(), 0);
}

#[tokio::test]
async fn a_volume_of_another_user_is_refused_with_the_command_that_mends_it() {
    let image = build();
    let volume = Volume::new("used");
    let used = volume.option();
    let as_user = Container::run(&image, &[&used, "--user=1000"]);
    as_user.until_ready(FIRST_BOOT).await;
    assert_eq!(as_user.stop(), 0);
    drop(as_user);
    // The state folder first, then all folders of the apps.
    let mut commands = Vec::new();
    for refusal in ["not to uid 0 (root)", "but the app runs as uid 56999"] {
        let (code, log) = Container::refused(&image, &[&used]);
        assert_eq!(code, 78, "{log}");
        assert!(log.contains("belongs to uid 1000,") && log.contains(refusal), "{log}");
        for line in log.lines().filter_map(|line| line.trim().strip_prefix("help: run `")) {
            let command = line.split_once('`').unwrap().0.to_owned();
            volume.run(&image, &command.split(' ').collect::<Vec<_>>());
            commands.push(command);
        }
    }
    assert_eq!(commands.len(), 4, "{commands:?}");
    let as_root = Container::run(&image, &[&used]);
    as_root.until_ready(FIRST_BOOT).await;
    login::opens(&as_root.url, "test", "/app1/", "<title>Streamlit</title>").await;
    let (code, log) = Container::refused(&image, &[&used, "--user=1000"]);
    assert_eq!(code, 78, "{log}");
    assert!(log.contains("belongs to uid 0 (root), not to uid 1000"), "{log}");
    assert_eq!(as_root.stop(), 0);
}

/// With the commands of the README, into a new volume: Keycloak starts with the old database, and the
/// client secret is the one that it knows.
#[tokio::test]
async fn a_backup_fills_a_new_volume() {
    let image = build();
    let (old, new) = (Volume::new("old"), Volume::new("new"));
    let folder = tempfile::tempdir().unwrap();
    let container = Container::run(&image, &[&old.option()]);
    container.until_ready(FIRST_BOOT).await;
    let [stop, save, start] = &*readme::example("With Docker and a container") else {
        panic!("three lines")
    };
    for line in [stop, save, start] {
        container.shell(line, &image, &old, folder.path());
    }
    container.until_ready(FIRST_BOOT).await;
    let secret = ["cat", "/var/lib/appliance/state/oidc-client"];
    let kept = old.run(&image, &secret);
    let restore = &readme::example("**Restore**")[1];
    container.shell(restore, &image, &new, folder.path());
    drop(container);

    let second = Container::run(&image, &[&new.option()]);
    second.until_ready(FIRST_BOOT).await;
    login::opens(&second.url, "test", "/app1/", "<title>Streamlit</title>").await;
    assert_eq!(new.run(&image, &secret), kept);
    assert_eq!(second.stop(), 0, "the exit code of docker stop");
}

/// Only `/tmp` and the volume are writable; no capabilities; one user for all processes.
#[tokio::test]
async fn runs_as_an_ordinary_user_on_a_read_only_disk() {
    let image = build();
    let options = [
        "--user=1000",
        "--read-only",
        "--tmpfs=/tmp",
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
    ];
    let container = Container::run(&image, &options);
    container.until_ready(FIRST_BOOT).await;
    login::opens(&container.url, "test", "/app1/", "<title>Streamlit</title>").await;
    assert_eq!(container.stop(), 0, "the exit code of docker stop");
}

fn only_the_proxy_is_published(image: &str) {
    assert_eq!(inspect(image, "{{json .Config.ExposedPorts}}"), r#"{"8080/tcp":{}}"#);
    assert_eq!(inspect(image, "{{json .Config.Entrypoint}}"), r#"["appliance"]"#);
}

/// The appliance is PID 1; Keycloak and each app run as the user that `check --expanded` shows.
fn every_app_has_its_own_user(container: &Container) {
    let processes = container.processes();
    assert!(processes[0].1.starts_with("appliance"), "PID 1 is {}", processes[0].1);
    let mut users = Vec::new();
    for (app, program) in
        [("keycloak", "QuarkusEntryPoint"), ("app1", "app1.py"), ("app2", "app2.py")]
    {
        let user = container.expanded_user(app);
        has_user(container, program, &user);
        users.push(user);
    }
    users.sort();
    users.dedup();
    assert!(users.len() == 3 && !users.contains(&"0".to_owned()), "{users:?}");
}

fn has_user(container: &Container, program: &str, user: &str) {
    let processes = container.processes();
    let found = processes.iter().find(|(_, command)| command.contains(program));
    let found = found.unwrap_or_else(|| panic!("{program} in {processes:?}"));
    assert_eq!(found.0, user, "{program}");
}
