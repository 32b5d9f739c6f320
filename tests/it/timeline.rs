//! How long the apps waited, started and became ready, and what the whole start waited for.

use crate::fixture::Fixture;
use crate::harness::{Appliance, eventually};

const DOCS: &str = include_str!("../../docs/apps.md");

/// The milliseconds of an app's timeline.
fn times(appliance: &Appliance, name: &str) -> [Option<u64>; 3] {
    let app = appliance.app(name).unwrap();
    ["waited_ms", "started_ms", "ready_ms"].map(|key| app["timeline"][key].as_u64())
}

#[tokio::test]
async fn the_example_of_the_documentation_shows_its_critical_path() {
    let (_, rest) = DOCS.split_once("## How long a start takes\n\n```toml\n").unwrap();
    let appliance = Appliance::start(rest.split_once("```").unwrap().0);
    let last = eventually("the last line of the start", async || {
        let log = appliance.log();
        log.lines().find(|line| line.contains("the start is complete")).map(str::to_owned)
    })
    .await;
    for part in ["took=", "waited_for=\"db (", "→ migrate (", "→ web (", "slow waited "] {
        assert!(last.contains(part), "{part}: {last}");
    }
    assert!(!last.contains("→ slow"), "{last}");
    let [db, migrate, web, slow] =
        ["db", "migrate", "web", "slow"].map(|app| times(&appliance, app).map(Option::unwrap));
    for [waited, started, ready] in [db, migrate, web, slow] {
        assert!(waited <= started && started <= ready, "{waited} {started} {ready}");
    }
    // Each waited until the one before was there.
    assert!(migrate[0] >= db[2] && web[0] >= migrate[2], "{db:?} {migrate:?} {web:?}");
    assert!(slow[0] < db[2] && slow[2] < web[2], "{slow:?} {db:?} {web:?}");
    let table = String::from_utf8(appliance.cli(&["status", "--timeline"]).stdout).unwrap();
    let head = table.lines().next().unwrap();
    assert_eq!(
        head.split_whitespace().collect::<Vec<_>>(),
        ["NAME", "STATE", "WAITED", "STARTED", "READY"]
    );
    let path = table.lines().last().unwrap();
    let names = ["the start took ", "waited for db (", "→ migrate (", "→ web ("];
    assert!(names.iter().all(|part| path.contains(part)), "{table}");
}

#[tokio::test]
async fn an_app_that_was_not_started_has_no_timeline_and_a_restart_has_its_own() {
    let appliance = Appliance::start(
        "[apps.later]\ncommand = [\"sleep\", \"1000\"]\nautostart = false\n\
         [apps.a]\ncommand = [\"sleep\", \"1000\"]\n",
    );
    appliance.wait_for_state("a", "ready").await;
    assert!(appliance.app("later").unwrap()["timeline"].is_null());
    tokio::time::sleep(std::time::Duration::from_millis(600)).await;
    assert!(appliance.cli(&["start", "later"]).status.success());
    // The start was due with the command.
    let [waited, started, ready] = times(&appliance, "later").map(Option::unwrap);
    assert!(waited <= started && started <= ready);
    let all = appliance.cli(&["status", "--json"]).stdout;
    let all: serde_json::Value = serde_json::from_slice(&all).unwrap();
    assert_eq!(all["start"]["waited_for"][0]["name"], "a");
    assert_eq!(all["start"]["waited_for"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn the_line_about_the_start_follows_the_one_about_the_sign_in() {
    let fixture = Fixture::new().await;
    let log = eventually("the last line of the start", async || {
        Some(fixture.appliance.log()).filter(|log| log.contains("the start is complete"))
    })
    .await;
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text} is not in {log}"));
    assert!(at("ready: sign in at") < at("the start is complete"), "{log}");
}
