//! Apps that run at certain times.

use std::time::Duration;

use crate::harness::{Appliance, eventually};

const DOCS: &str = include_str!("../../docs/schedules.md");

/// The example of the documentation.
fn example() -> &'static str {
    let (_, rest) = DOCS.split_once("```toml\n").unwrap();
    rest.split_once("```").unwrap().0
}

#[tokio::test]
async fn the_example_of_the_documentation_runs_at_its_times_and_on_command() {
    let appliance = Appliance::start(example());
    let web = appliance.wait_for_state("web", "ready").await;
    let report = appliance.app("report").unwrap();
    assert_eq!((&report["state"], &report["pid"]), (&"waiting".into(), &serde_json::Value::Null));
    // Six o'clock in Berlin.
    let next = report["next_run"].as_str().unwrap();
    assert!(next.contains("T05:00:00") || next.contains("T04:00:00"), "{next}");
    assert!(web["next_run"].is_null(), "{web}");
    let table = String::from_utf8(appliance.cli(&["status"]).stdout).unwrap();
    assert!(table.contains(&format!("next run at {next}")), "{table}");
    let answer = appliance.cli(&["start", "report"]);
    assert!(answer.status.success(), "{answer:?}");
    eventually("the line of the app", async || {
        appliance.log().contains("the report is written").then_some(())
    })
    .await;
    let report = appliance.app("report").unwrap();
    assert_eq!((&report["state"], &report["next_run"]), (&"ready".into(), &next.into()));
    assert_eq!(report["last_exit"]["code"], 0);
}

#[tokio::test]
async fn a_run_that_is_still_going_is_not_doubled_and_the_log_says_so() {
    let appliance = Appliance::start(
        "[apps.job]\ncommand = [\"sleep\", \"1000\"]\nschedule = \"* * * * * *\"\n",
    );
    let running = || appliance.app("job").filter(|job| job["pid"].is_number());
    let first = eventually("its process", async || running()).await;
    tokio::time::sleep(Duration::from_millis(2200)).await;
    assert_eq!(appliance.app("job").unwrap()["pid"], first["pid"]);
    let log = appliance.log();
    assert_eq!(log.matches("a run of the app is skipped").count(), 1, "{log}");
    let answer = appliance.cli(&["stop", "job"]);
    assert!(answer.status.success(), "{answer:?}");
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let job = appliance.app("job").unwrap();
    assert_eq!((&job["state"], &job["next_run"]), (&"stopped".into(), &serde_json::Value::Null));
}
