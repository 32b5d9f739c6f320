//! What an operator reads when something goes wrong.

use crate::harness::{Appliance, Browser, eventually};
use crate::issuer::{Call, Issuer};

/// Says once `words` stand in one line of the log, and which line.
async fn told(appliance: &Appliance, words: &[&str]) -> String {
    eventually(&format!("a line with {words:?}"), async || {
        let log = appliance.log();
        log.lines().find(|line| words.iter().all(|word| line.contains(word))).map(str::to_owned)
    })
    .await
}

#[tokio::test]
async fn the_last_line_is_the_reason_of_the_end() {
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
async fn a_probe_that_says_no_is_quoted() {
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
    told(&appliance, &["WARN", "app=mute", "not ready in time", "Connection refused"]).await;
    told(&appliance, &["ERROR", "app=waits", "waits_for=mute"]).await;
    told(&appliance, &["WARN", "app=vain", "waits_for=brief", "is stopped"]).await;
    assert_eq!(appliance.stop().await, 0);
}

#[tokio::test]
async fn while_it_is_set_up_nothing_is_called_stopped() {
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
    told(&appliance, &["setup begins"]).await;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let page = reqwest::get(appliance.url.clone() + "/").await.unwrap();
    assert_eq!(page.status(), 503);
    let text = page.text().await.unwrap();
    assert!(text.contains("is being set up"), "{text}");
    assert_eq!(appliance.stop().await, 0);
}

/// Keycloak that is started again listens long before it works, and says 503 to everybody.
#[tokio::test]
async fn what_a_starting_issuer_says_is_not_shown_to_people() {
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
        ready = { exec = ["test", "!", "-e", "{DIR}/starting"], interval = "100ms" }
        "#
        .replace("{URL}", &issuer.url)
        .replace("{ORIGIN}", issuer.url.trim_end_matches(REALM)),
    );
    told(&appliance, &["issuer is right"]).await;
    let mut browser = Browser::new(&appliance.url);
    let theirs = &format!("/auth{REALM}/userinfo");
    assert_ne!(browser.open(theirs).await.status, 503);
    std::fs::write(appliance.path("starting"), "").unwrap();
    assert!(appliance.cli(&["restart", "--no-wait", "issuer"]).status.success());
    appliance.wait_for_state("issuer", "starting").await;
    let asked = issuer.count(Call::Userinfo);
    for gone in [false, true] {
        if gone {
            issuer.stop().await;
        }
        let page = browser.open(theirs).await;
        assert_eq!(page.status, 503, "{page:?}");
        assert!(
            page.body.contains("issuer is starting") && page.body.contains("refresh"),
            "{page:?}"
        );
    }
    assert_eq!(issuer.count(Call::Userinfo), asked, "nobody has proven that this is the issuer");
}

#[tokio::test]
async fn a_setting_that_this_machine_cannot_meet_names_the_file_and_what_to_do() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    for (more, says) in [
        (format!("listen = \"127.0.0.1:{port}\""), "name another address as `listen`"),
        ("state_dir = \"/proc/no\"".to_owned(), "name another"),
        (format!("state_dir = \"/tmp/{}\"", "d".repeat(100)), "is too long a path"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("appliance.toml"), format!("[server]\n{more}\n"))
            .unwrap();
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_appliance"));
        let output = command.current_dir(folder.path()).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(78), "{told}");
        assert!(told.starts_with("appliance.toml:2:") && told.contains(says), "{told}");
        assert!(told.contains(": error: ") && told.contains("  ^"), "{told}");
        assert_eq!(output.stdout.len(), 0);
    }
}
