//! The messages for operators when something goes wrong.

use crate::harness::{Appliance, Browser, eventually};
use crate::issuer::{Call, Fault, Issuer};

/// Waits for a log line that has all `words`. Returns the line.
async fn wait_for_line(appliance: &Appliance, words: &[&str]) -> String {
    eventually(&format!("a line with {words:?}"), async || {
        let log = appliance.log();
        log.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
    })
    .await
}

#[tokio::test]
async fn the_last_log_line_names_the_reason_of_the_end() {
    let mut appliance = Appliance::start(
        r#"
        [apps.fragile]
        command = ["/bin/sh", "-c", "echo last words; exit 3"]
        restart = "never"
        critical = true
        [apps.other]
        command = ["sleep", "1000"]
        "#,
    );
    assert_eq!(appliance.end().await, 3);
    let log = appliance.log();
    let last = log.lines().last().unwrap_or_default();
    assert!(last.contains("ERROR") && last.contains("code=3") && last.contains("fragile"), "{log}");
    let (words, exit) = (log.find("last words").unwrap(), log.find("exit 3").unwrap());
    assert!(words < exit, "{log}");
}

#[tokio::test]
async fn a_failed_probe_and_waiting_apps_are_logged_with_their_reason() {
    let mut appliance = Appliance::start(
        r#"
        [apps.mute]
        command = ["sleep", "1000"]
        restart = "never"
        ready = { tcp = true, deadline = "300ms" }
        [apps.waits]
        command = ["sleep", "1000"]
        after = ["mute"]
        [apps.brief]
        command = ["true"]
        restart = "never"
        ready = { tcp = true }
        [apps.vain]
        command = ["sleep", "1000"]
        after = ["brief"]
        "#,
    );
    wait_for_line(&appliance, &["WARN", "app=mute", "not ready in time", "Connection refused"])
        .await;
    wait_for_line(&appliance, &["ERROR", "app=waits", "waits_for=mute"]).await;
    wait_for_line(&appliance, &["WARN", "app=vain", "waits_for=brief", "is stopped"]).await;
    assert_eq!(appliance.stop().await, 0);
}

#[tokio::test]
async fn during_the_setup_of_the_issuer_the_page_says_so() {
    let mut appliance = Appliance::start(
        r#"
        [oidc]
        served_by = "issuer"
        issuer = "http://localhost:1/auth"
        client_id = "a"
        client_secret = { generate = "client" }
        [apps.issuer]
        command = ["sleep", "1000"]
        path = "/auth"
        access = "public"
        setup = { run = ["sleep", "1000"], creates = "never" }
        "#,
    );
    wait_for_line(&appliance, &["setup begins"]).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let page = reqwest::get(appliance.url.clone() + "/").await.unwrap();
    assert_eq!(page.status(), 503);
    let text = page.text().await.unwrap();
    assert!(text.contains("is being set up"), "{text}");
    assert_eq!(appliance.stop().await, 0);
}

/// A restarting Keycloak listens long before it works, and answers 503 to every request.
#[tokio::test]
async fn responses_of_a_starting_issuer_are_replaced_by_a_page() {
    const REALM: &str = "/realms/main";
    let mut issuer = Issuer::new().await;
    let appliance = Appliance::start(
        &r#"
        [oidc]
        served_by = "issuer"
        issuer = "{URL}"
        client_id = "a"
        client_secret = { generate = "client" }
        [apps.issuer]
        command = ["sleep", "1000"]
        upstream = "{ORIGIN}"
        path = "/auth"
        strip_prefix = true
        access = "public"
        ready = { exec = ["false"] }
        "#
        .replace("{URL}", &issuer.url)
        .replace("{ORIGIN}", issuer.url.trim_end_matches(REALM)),
    );
    wait_for_line(&appliance, &["issuer is right"]).await;
    let mut browser = Browser::new(&appliance.url);
    let path = &format!("/auth{REALM}/userinfo");
    assert_ne!(browser.open(path).await.status, 503);
    for gone in [false, true] {
        issuer.fault(Call::Userinfo, Fault::Status(503), 1);
        if gone {
            issuer.stop().await;
        }
        let page = browser.open(path).await;
        assert_eq!(page.status, 503, "{page:?}");
        assert!(
            page.body.contains("issuer is starting") && page.body.contains("refresh"),
            "{page:?}"
        );
    }
}

#[tokio::test]
async fn a_setting_that_fails_on_this_machine_is_reported_with_file_and_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (more, advice) in [
        (format!("listen = \"127.0.0.1:{port}\""), "name another address as `listen`"),
        ("state_dir = \"/proc/no\"".to_owned(), "name another"),
        (format!("state_dir = \"/tmp/{}\"", "d".repeat(100)), "is too long a path"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("appliance.toml"), format!("[server]\n{more}\n"))
            .unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_appliance"));
        let output = command.current_dir(folder.path()).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{stderr}");
        assert!(stderr.starts_with("appliance.toml:2:") && stderr.contains(advice), "{stderr}");
        assert!(stderr.contains(": error: ") && stderr.contains("  ^"), "{stderr}");
        assert_eq!(output.stdout.len(), 0);
    }
}
