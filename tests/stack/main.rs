//! The whole stack: the built binary, Keycloak, both Streamlit apps, and people in Chromium.
//!
//! The test uses the shipped `appliance.toml` with a free port and its own state folder. The programs
//! that the setup installs are kept in `.appliance` for the next run. Screenshots are in
//! `target/screenshots`. Without Chromium the test fails and says so.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the tests start processes and print the log of a failed one"
)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "an unexpected value ends the test")]

mod appliance;
mod browser;
mod people;
mod streamlit;

use std::time::Duration;

use appliance::Appliance;
use browser::Driver;

#[tokio::test]
async fn two_people_use_two_apps() {
    let driver = Driver::start().await;
    let mut appliance = Appliance::start().await;

    let test = driver.open(&appliance.url).await;
    people::waits_on_the_starting_page(&test).await;
    people::signs_in(&test, "test").await;
    people::sees_the_portal(&test, &["app1", "app2"], &[]).await;
    test.goto("/app1/").await;
    streamlit::knows_who_is_signed_in(&test, "test", "test@example.com", &["group1", "group2"])
        .await;
    streamlit::counts_over_the_websocket(&test).await;
    streamlit::takes_a_file(&test, 3_000).await;
    streamlit::takes_a_file(&test, 200_000_000).await;
    test.goto("/app2/").await;
    streamlit::shows_the_figures_of_group2(&test).await;
    people::signs_out_and_is_asked_again(&test).await;
    test.close().await;

    let test1 = driver.open(&appliance.url).await;
    test1.goto("/app2/").await;
    people::signs_in(&test1, "test1").await;
    people::is_told_which_group_is_missing(&test1, "group2", "test1").await;
    test1.goto("/").await;
    people::sees_the_portal(&test1, &["app1"], &["app2"]).await;
    test1.close().await;

    assert_eq!(appliance.stop(Duration::from_secs(10)), Some(0), "the exit code of a stop");
    appliance.log_holds_no_secret();
}
