//! A reload whose changed app has a setup to run.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};

use crate::harness::{Appliance, Browser, FETCH, eventually};
use crate::replicas::{app, edit, run};

/// A setup that waits for the file `go`, and makes the folder of its path.
fn setup(creates: &str) -> String {
    let folder = creates.split_once('/').unwrap().0;
    let script =
        format!("while [ ! -e go ]; do sleep 0.05; done; mkdir -p {folder}; touch {creates}");
    format!("setup = {{ run = [\"sh\", \"-c\", \"{script}\"], creates = \"{creates}\" }}")
}

/// A running app whose setup has made `one/done`, and its process id.
async fn running(lines: &str) -> (Appliance, i64) {
    let lines = format!("access = \"public\"\n{lines}\n{}", setup("one/done"));
    let prepare = |folder: &std::path::Path| std::fs::write(folder.join("go"), "").unwrap();
    let appliance = Appliance::start_in(prepare, &app("a", &lines));
    let name = if lines.contains("replicas") { "a.0" } else { "a" };
    let pid = appliance.wait_for_state(name, "ready").await["pid"].as_i64().unwrap();
    std::fs::remove_file(appliance.path("go")).unwrap();
    (appliance, pid)
}

async fn served_by(appliance: &Appliance) -> i64 {
    let browser = Browser::new(&appliance.url);
    let answer = browser.send(Method::GET, "/a/x", FETCH).await.unwrap();
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body.parse().unwrap()
}

/// Waits until `status` gives this reason for the state of the app.
async fn reason(appliance: &Appliance, name: &str, wanted: &str) {
    eventually(wanted, async || {
        let one = appliance.app(name).unwrap();
        one["reason"].as_str().is_some_and(|reason| reason.contains(wanted)).then_some(())
    })
    .await;
}

async fn becomes_another(appliance: &Appliance, name: &str, before: i64) -> i64 {
    eventually("the new process", async || {
        let one = appliance.app(name).unwrap();
        let pid = one["pid"].as_i64().filter(|pid| one["state"] == "ready" && *pid != before)?;
        Some(pid)
    })
    .await
}

#[tokio::test]
async fn a_changed_app_serves_until_its_setup_is_done() {
    let (appliance, first) = running("").await;
    edit(&appliance, &setup("one/done"), &setup("two/done"));
    assert_eq!(run(&appliance, &["reload"]), "restart a: setup.creates, setup.run\n");
    reason(&appliance, "a", "the setup of its changed configuration runs").await;
    assert_eq!(served_by(&appliance).await, first);
    // A reload of something else leaves the setup alone.
    edit(&appliance, "access = \"public\"", "access = \"public\"\ntitle = \"A\"");
    assert_eq!(run(&appliance, &["reload"]), "update a: title\n");
    assert_eq!(served_by(&appliance).await, first);
    std::fs::write(appliance.path("go"), "").unwrap();
    let second = becomes_another(&appliance, "a", first).await;
    assert_eq!(served_by(&appliance).await, second);
    assert!(appliance.path("two/done").exists());
    assert_eq!(appliance.log().matches("setup begins").count(), 2);
    assert!(appliance.app("a").unwrap()["reason"].is_null());
}

#[tokio::test]
async fn a_failed_setup_leaves_the_app_as_it_was_until_the_next_change_or_restart() {
    let (appliance, first) = running("").await;
    let failing =
        "setup = { run = [\"sh\", \"-c\", \"echo no network; exit 3\"], creates = \"two/done\" }";
    edit(&appliance, &setup("one/done"), failing);
    run(&appliance, &["reload"]);
    reason(&appliance, "a", "the setup of its changed configuration failed").await;
    appliance.logs("setup of a failed").await;
    assert_eq!(served_by(&appliance).await, first);
    std::fs::write(appliance.path("go"), "").unwrap();
    edit(&appliance, failing, &setup("three/done"));
    run(&appliance, &["reload"]);
    let second = becomes_another(&appliance, "a", first).await;
    edit(&appliance, &setup("three/done"), failing);
    run(&appliance, &["reload"]);
    reason(&appliance, "a", "the setup of its changed configuration failed").await;
    assert_eq!(served_by(&appliance).await, second);
    assert!(!appliance.cli(&["restart", "a"]).status.success());
    appliance.wait_for_state("a", "failed").await;
}

#[tokio::test]
async fn a_process_that_ends_meanwhile_is_followed_by_the_setup_and_the_changed_app() {
    let (appliance, first) = running("").await;
    edit(&appliance, &setup("one/done"), &setup("two/done"));
    run(&appliance, &["reload"]);
    reason(&appliance, "a", "the setup of its changed configuration runs").await;
    kill(Pid::from_raw(i32::try_from(first).unwrap()), Signal::SIGKILL).unwrap();
    appliance.wait_for_state("a", "setup").await;
    std::fs::write(appliance.path("go"), "").unwrap();
    becomes_another(&appliance, "a", first).await;
    assert!(appliance.path("two/done").exists());
}

#[tokio::test]
async fn a_setup_that_could_change_what_runs_comes_after_the_stop() {
    let (appliance, first) = running("").await;
    edit(&appliance, &setup("one/done"), &setup("one/again"));
    run(&appliance, &["reload"]);
    appliance.wait_for_state("a", "setup").await;
    std::fs::write(appliance.path("go"), "").unwrap();
    let second = becomes_another(&appliance, "a", first).await;
    // The app would get requests of the new path while it serves the old one.
    std::fs::remove_file(appliance.path("go")).unwrap();
    edit(&appliance, "path = \"/a\"", "path = \"/b\"");
    edit(&appliance, &setup("one/again"), &setup("two/done"));
    run(&appliance, &["reload"]);
    appliance.wait_for_state("a", "setup").await;
    std::fs::write(appliance.path("go"), "").unwrap();
    becomes_another(&appliance, "a", second).await;
}

#[tokio::test]
async fn several_processes_are_set_up_once_and_replaced_one_after_the_other() {
    let (appliance, first) = running("replicas = 2").await;
    let other = appliance.wait_for_state("a.1", "ready").await["pid"].as_i64().unwrap();
    edit(&appliance, &setup("one/done"), &setup("two/done"));
    run(&appliance, &["reload"]);
    for name in ["a.0", "a.1"] {
        reason(&appliance, name, "the setup of its changed configuration runs").await;
    }
    assert!([first, other].contains(&served_by(&appliance).await));
    std::fs::write(appliance.path("go"), "").unwrap();
    becomes_another(&appliance, "a.0", first).await;
    becomes_another(&appliance, "a.1", other).await;
    assert_eq!(appliance.log().matches("setup begins").count(), 2);
}
