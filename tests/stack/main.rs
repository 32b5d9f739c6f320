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
mod backup;
mod brand;
mod broker;
mod browser;
mod first_administrator;
mod folder;
mod import;
mod machines;
mod neighbours;
mod people;
mod readme;
mod scripts;
mod streamlit;

use std::time::Duration;

use appliance::{Appliance, free_port};
use browser::Driver;

#[tokio::test]
async fn two_people_use_two_apps() {
    let driver = Driver::start(free_port()).await;
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
    scripts::get_nothing_of_keycloak(&test).await;
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
    people::changes_the_password(&test1, "test1", "a new one").await;
    people::looks_at_the_second_factor(&test1, "a new one").await;
    people::signs_out_and_is_asked_again(&test1).await;
    people::signs_in_with(&test1, "test1", "a new one").await;
    test1.reads("Hello, test1!").await;
    test1.close().await;
    scripts::without_a_browser_get_no_token(&appliance.url).await;

    assert_eq!(appliance.stop(Duration::from_secs(10)), Some(0), "the exit code of a stop");
    appliance.log_holds_no_secret();
}

/// Three scripts of three kinds, and no file.
#[tokio::test]
async fn a_folder_of_scripts() {
    let driver = Driver::start(free_port()).await;
    let appliance = Appliance::start_folder(|apps| {
        for (file, text) in folder::SCRIPTS {
            std::fs::write(apps.join(file), text).unwrap();
        }
    });
    let mut appliance = appliance.await;

    let test = driver.open(&appliance.url).await;
    people::waits_on_the_starting_page(&test).await;
    people::signs_in(&test, "test").await;
    people::sees_the_portal(&test, &["sales", "plot", "hello"], &[]).await;
    test.photograph("folder").await;
    folder::shows_three_apps(&test).await;
    folder::takes_up_a_change(&test, &appliance).await;
    test.close().await;

    assert_eq!(appliance.stop(Duration::from_secs(10)), Some(0), "the exit code of a stop");
    appliance.log_holds_no_secret();
}

/// The issuer and an app have hosts of their own, and the account console is open.
#[tokio::test]
async fn keycloak_at_a_host_of_its_own() {
    let driver = Driver::start(free_port()).await;
    let changes = [
        ("path     = \"/auth\"", "host = \"auth.localhost\""),
        ("realm.json\" }", "realm.json\", account_console = true }"),
        ("path      = \"/app2\"", "host = \"vault.localhost\""),
    ];
    let mut appliance = Appliance::start_changed(&changes, "keycloak-at-root").await;
    let issuer = appliance.at("auth.localhost");

    let test = driver.open(&appliance.url).await;
    people::waits_on_the_starting_page(&test).await;
    assert!(test.url().await.starts_with(&format!("{issuer}/realms/appliance/")));
    brand::is_that_of_the_appliance(&test).await;
    people::signs_in(&test, "test").await;
    test.goto("/app1/").await;
    streamlit::knows_who_is_signed_in(&test, "test", "test@example.com", &["group1"]).await;
    scripts::of_another_origin_read_nothing(&test, &issuer).await;
    people::finds_the_way_back_from_keycloak(&test, &issuer).await;
    // A session of its own, by the session at the issuer.
    test.visit(&appliance.at("vault.localhost")).await;
    streamlit::shows_the_figures_of_group2(&test).await;
    // The issuer's host leads to the portal and has no login of its own.
    test.visit(&issuer).await;
    test.find("a.tile").await;
    assert_eq!(test.url().await, format!("{}/_appliance/", appliance.url));
    test.visit(&format!("{issuer}/oauth2/start")).await;
    test.reads("Page not found").await;
    people::opens_the_account_console(&test, &issuer, "test@example.com").await;
    people::changes_the_password(&test, "test", "another one").await;
    people::signs_out_and_is_asked_again(&test).await;
    people::signs_in_with(&test, "test", "another one").await;
    test.reads("Hello, test!").await;
    test.close().await;

    assert_eq!(appliance.stop(Duration::from_secs(10)), Some(0), "the exit code of a stop");
    appliance.log_holds_no_secret();
}

/// Both consoles work beside the apps, and no script gets a code by their clients.
#[tokio::test]
async fn consoles_beside_the_apps() {
    let driver = Driver::start(free_port()).await;
    let consoles = "realm.json\", account_console = true, admin_console = true }";
    let mut appliance = Appliance::start_changed(&[("realm.json\" }", consoles)], "keycloak").await;
    let issuer = format!("{}/auth", appliance.url);

    let test = driver.open(&appliance.url).await;
    people::waits_on_the_starting_page(&test).await;
    people::signs_in(&test, "test").await;
    people::finds_the_way_back_from_keycloak(&test, &issuer).await;
    people::opens_the_account_console(&test, &issuer, "test@example.com").await;
    people::opens_the_admin_console(&test, &issuer, &appliance.secret("keycloak-admin")).await;
    test.goto("/app1/").await;
    streamlit::knows_who_is_signed_in(&test, "test", "test@example.com", &["group1"]).await;
    scripts::get_no_code_of_a_console(&test).await;
    test.close().await;

    assert_eq!(appliance.stop(Duration::from_secs(10)), Some(0), "the exit code of a stop");
    appliance.log_holds_no_secret();
}
