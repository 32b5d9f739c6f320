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

use std::time::{Duration, Instant};

use container::{Container, build, inspect};

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
        "--env=APPLIANCE_CONFIG=/srv/appliance/one-user.toml",
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

/// The appliance is PID 1; Keycloak and each app run as the user with their name.
fn every_app_has_its_own_user(container: &Container) {
    let processes = container.processes();
    let user_of = |program: &str| {
        let found = processes.iter().find(|(_, command)| command.contains(program));
        found.unwrap_or_else(|| panic!("{program} in {processes:?}")).0.as_str()
    };
    assert!(processes[0].1.starts_with("appliance"), "PID 1 is {}", processes[0].1);
    assert_eq!(user_of("QuarkusEntryPoint"), "keycloak");
    assert_eq!(user_of("app1.py"), "app1");
    assert_eq!(user_of("app2.py"), "app2");
}
