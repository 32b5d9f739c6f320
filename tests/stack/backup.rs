//! Back up and restore with the commands of the README.

use std::time::Duration;

use crate::appliance::{Appliance, free_port};
use crate::browser::Driver;
use crate::people;
use crate::readme::example;

/// A changed password and a session are there after everything else was lost.
#[tokio::test]
async fn a_backup_brings_people_and_sessions_back() {
    let driver = Driver::start(free_port()).await;
    let mut appliance = Appliance::start().await;
    let test = driver.open(&appliance.url).await;
    people::waits_on_the_starting_page(&test).await;
    people::signs_in(&test, "test").await;
    people::changes_the_password(&test, "test", "a kept one").await;
    test.goto("/app1/").await;
    test.reads("Hello, test!").await;

    let [stop, save, start] = &*example("**Back up**") else { panic!("three lines") };
    appliance.shell(stop);
    test.goto("/app1/").await;
    test.reads("Hello, test!").await;
    appliance.shell(save);
    appliance.shell(start);
    assert_eq!(appliance.stop(Duration::from_secs(15)), Some(0), "the exit code of a stop");
    std::fs::remove_dir_all(appliance.path(".appliance")).unwrap();

    appliance.shell(&example("**Restore**")[0]);
    appliance.start_again().await;
    test.goto("/app1/").await;
    test.reads("Hello, test!").await;
    test.goto("/").await;
    people::signs_out(&test).await;
    people::signs_in_with(&test, "test", "a kept one").await;
    people::sees_the_portal(&test, &["app1", "app2"], &[]).await;
    test.close().await;
    assert_eq!(appliance.stop(Duration::from_secs(15)), Some(0), "the exit code of a stop");
}
