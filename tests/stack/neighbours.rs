//! Two appliances on one host, each with a Keycloak: browsers share cookies between ports.

use std::time::Duration;

use crate::appliance::{Appliance, free_port};
use crate::browser::{Browser, Driver};
use crate::people;

/// Opens an app without a sign-in.
async fn is_signed_in(browser: &Browser, appliance: &Appliance) {
    browser.visit(&format!("{}/app1/", appliance.url)).await;
    browser.find("#username, [data-testid=stApp]").await;
    assert!(!browser.has("#username").await, "{}", browser.url().await);
    browser.reads("Hello, test!").await;
}

async fn signs_in_first(browser: &Browser, appliance: &Appliance) {
    browser.visit(&appliance.url).await;
    people::waits_on_the_starting_page(browser).await;
    people::signs_in_with(browser, "test", "test").await;
    browser.find("a.tile").await;
}

/// One person, signed in at both. The appliances keep their sessions apart; each sign-in at one
/// Keycloak removes the cookies of the other.
#[tokio::test]
async fn two_appliances_on_one_host_take_turns() {
    let driver = Driver::start(free_port()).await;
    let mut first = Appliance::start().await;
    let test = driver.open(&first.url).await;
    signs_in_first(&test, &first).await;
    let mut second = Appliance::start().await;
    signs_in_first(&test, &second).await;
    for _ in 0..3 {
        is_signed_in(&test, &first).await;
        is_signed_in(&test, &second).await;
    }
    // A sign-out at one of them ends nothing at the other.
    test.visit(&first.url).await;
    people::signs_out(&test).await;
    is_signed_in(&test, &second).await;
    // Only Keycloak's own cookies are lost, so that the password is asked for again.
    test.visit(&first.url).await;
    test.find("#username").await;
    people::signs_in_with(&test, "test", "test").await;
    test.find("a.tile").await;
    is_signed_in(&test, &second).await;
    is_signed_in(&test, &first).await;
    test.close().await;
    for appliance in [&mut first, &mut second] {
        assert_eq!(appliance.stop(Duration::from_secs(15)), Some(0), "the exit code of a stop");
    }
}
