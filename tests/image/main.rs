//! The image: built, run as its README says, signed in to through the published port, stopped.
//!
//! Needs a Docker engine and the base images of the Dockerfile; without one it fails and says so.
//! What it makes is named `appliance-test-…`; only the image itself is left, for the next build's
//! cache.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the tests are the outside: they start processes and show a failed one's log"
)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "what is unexpected ends the test")]

mod container;
mod login;

use std::time::{Duration, Instant};

use container::{Container, build, inspect};

/// The first boot fills an empty database; generous, the machine may be busy.
const FIRST_BOOT: Duration = Duration::from_mins(2);

#[tokio::test]
async fn built_run_signed_in_to_and_stopped() {
    let image = build();
    only_the_front_door_is_published(&image);

    let container = Container::run(&image, &[]);
    let started = Instant::now();
    container.until_ready(FIRST_BOOT).await;
    eprintln!("first boot: {:.1} s", started.elapsed().as_secs_f32());

    login::opens(&container.url, "test", "/app1/", "<title>Streamlit</title>").await;
    login::opens(&container.url, "test", "/app2/", "<title>Streamlit</title>").await;
    login::is_refused(&container.url, "test1", "/app2/", "group2").await;
    login::admin_console_is_closed(&container.url).await;

    container.until_healthy(Duration::from_mins(1)).await;
    every_child_is_somebody_else(&container);

    let stopping = Instant::now();
    assert_eq!(container.stop(), 0, "the exit code of docker stop");
    assert!(stopping.elapsed() < Duration::from_secs(10), "stopped in {:?}", stopping.elapsed());

    container.start_again();
    let started = Instant::now();
    container.until_ready(FIRST_BOOT).await;
    eprintln!("later boot: {:.1} s", started.elapsed().as_secs_f32());
    login::opens(&container.url, "test", "/app1/", "<title>Streamlit</title>").await;
}

/// Nothing writable but `/tmp` and the volume, no capability, one user for all.
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

fn only_the_front_door_is_published(image: &str) {
    assert_eq!(inspect(image, "{{json .Config.ExposedPorts}}"), r#"{"8080/tcp":{}}"#);
    assert_eq!(inspect(image, "{{json .Config.Entrypoint}}"), r#"["appliance"]"#);
}

/// We are PID 1; Keycloak and the apps each run as the user of their name.
fn every_child_is_somebody_else(container: &Container) {
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
