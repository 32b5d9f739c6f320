//! `[alerts]`.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::fixture::Fixture;
use crate::harness::{Appliance, eventually, free_port};
use crate::issuer::{Call, Fault};
use crate::tls::certificate_for;

const DOCS: &str = include_str!("../../docs/alerts.md");
/// Part of every webhook URL here: nothing may show it.
const TOKEN: &str = "t0k3n";

/// A webhook that answers with one status.
struct Hook {
    url: String,
    /// Path and body of each request.
    received: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Hook {
    async fn new(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/{TOKEN}?key={TOKEN}", listener.local_addr().unwrap());
        let received = Arc::new(Mutex::new(Vec::new()));
        let seen = received.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (mut bytes, mut part) = (Vec::new(), [0; 4096]);
                let request = loop {
                    let read = stream.read(&mut part).await.unwrap();
                    bytes.extend_from_slice(&part[..read]);
                    if let Some(request) = whole(&bytes) {
                        break request;
                    }
                    assert!(read > 0, "{}", String::from_utf8_lossy(&bytes));
                };
                seen.lock().unwrap().push(request);
                let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
                stream.write_all(head.as_bytes()).await.unwrap();
            }
        });
        Self { url, received }
    }

    fn all(&self) -> Vec<(String, Value)> {
        self.received.lock().unwrap().clone()
    }

    fn of(&self, event: &str) -> Vec<Value> {
        let all = self.all().into_iter().map(|(_, body)| body);
        all.filter(|body| body["event"] == event).collect()
    }

    async fn wait_for(&self, event: &str) -> Value {
        eventually(&format!("an alert {event}"), async || self.of(event).into_iter().next()).await
    }
}

/// The target and the body of a request that has arrived completely.
fn whole(bytes: &[u8]) -> Option<(String, Value)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let (head, body) = text.split_once("\r\n\r\n")?;
    assert!(head.starts_with("POST ") && head.contains("content-type: application/json"), "{head}");
    let target = head.split(' ').nth(1)?.to_owned();
    Some((target, serde_json::from_str(body).ok()?))
}

fn example(language: &str) -> &'static str {
    let (_, rest) = DOCS.split_once(&format!("```{language}\n")).unwrap();
    rest.split_once("```").unwrap().0
}

#[tokio::test]
async fn the_example_of_the_documentation_sends_what_the_page_shows() {
    let hook = Hook::new(204).await;
    let mut appliance = Appliance::start_with_variable("ALERT_WEBHOOK", &hook.url, example("toml"));
    appliance.wait_for_state("report", "failed").await;
    let (restarted, failed) = (hook.wait_for("restarted").await, hook.wait_for("failed").await);
    let shown: Value = serde_json::from_str(example("json")).unwrap();
    for key in ["event", "app", "text", "reason", "last_exit", "restarts"] {
        assert_eq!(failed[key], shown[key], "{key}: {failed}");
    }
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&failed), keys(&shown));
    assert_eq!(failed["url"], format!("{}/_appliance/apps", appliance.url));
    assert_eq!(failed["ts"].as_str().unwrap().len(), "2026-11-24T10:00:00.123Z".len());
    assert_eq!((&restarted["app"], &restarted["last_exit"]["code"]), (&"report".into(), &3.into()));
    assert_eq!(hook.all()[0].0, format!("/{TOKEN}?key={TOKEN}"));

    // A second failure within five minutes causes no second alert.
    appliance.cli(&["start", "report"]);
    appliance.wait_for_state("report", "failed").await;
    assert_eq!(appliance.log().matches("app failed for good").count(), 2, "{}", appliance.log());
    assert_eq!(appliance.stop().await, 0);
    assert_eq!((hook.of("failed").len(), hook.of("restarted").len()), (1, 1));
    assert!(!appliance.log().contains(TOKEN), "{}", appliance.log());
}

#[tokio::test]
async fn a_certificate_that_expires_soon_is_an_alert_and_a_number() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let (hook, metrics) = (Hook::new(204).await, free_port());
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:{{PORT}}\"\nstate_dir = \"{{DIR}}/state\"\n\
         metrics = \"127.0.0.1:{metrics}\"\n\
         tls = [{{ cert = \"old.pem\", key = \"old.key\" }}, {{ cert = \"new.pem\", key = \"new.key\" }}]\n\
         [alerts]\nwebhook = {{ env = \"ALERT_WEBHOOK\" }}\n"
    );
    let prepare = |folder: &std::path::Path| {
        certificate_for(folder, "old", &["old.example"], 5);
        certificate_for(folder, "new", &["new.example"], 50);
    };
    let variables = [("ALERT_WEBHOOK", hook.url.as_str())];
    let appliance = Appliance::start_with_variables(&variables, prepare, &config);
    let alert = hook.wait_for("certificate").await;
    assert_eq!(alert["app"], "appliance");
    let text = alert["text"].as_str().unwrap();
    assert!(
        text.starts_with("the certificate of old.example must be renewed: it is valid until 20")
    );
    assert_eq!(hook.of("certificate").len(), 1, "the other one is valid for long enough");
    appliance.logs("a certificate expires soon").await;
    let page = reqwest::get(format!("http://127.0.0.1:{metrics}/metrics")).await.unwrap();
    let page = page.text().await.unwrap();
    for host in ["old.example", "new.example"] {
        let line = format!("appliance_certificate_expiry_seconds{{host=\"{host}\"}} ");
        assert!(page.contains(&line), "{page}");
    }
}

#[tokio::test]
async fn an_authority_that_issues_no_certificate_is_an_alert() {
    let (hook, closed) = (Hook::new(204).await, free_port());
    let config = format!(
        "[server]\nlisten = \"127.0.0.1:{{PORT}}\"\npublic_url = \"https://apps.example\"\n\
         state_dir = \"{{DIR}}/state\"\n\
         tls = {{ acme = {{ directory = \"https://127.0.0.1:{closed}/dir\", ca_file = \"a.pem\" }} }}\n\
         [alerts]\nwebhook = {{ env = \"ALERT_WEBHOOK\" }}\n"
    );
    let variables = [("ALERT_WEBHOOK", hook.url.as_str())];
    let prepare = |folder: &std::path::Path| certificate_for(folder, "a", &["127.0.0.1"], 5);
    let appliance = Appliance::start_with_variables(&variables, prepare, &config);
    let alert = hook.wait_for("certificate").await;
    let text = alert["text"].as_str().unwrap();
    let wanted = "the certificate of apps.example must be renewed: the authority issued none: ";
    assert!(text.starts_with(wanted) && text.contains("refused"), "{text}");
    let log = appliance.log();
    for part in ["waiting for a certificate", "no certificate was issued", "next_try_in="] {
        assert!(log.contains(part), "{part}\n{log}");
    }
    assert!(appliance.cli(&["reload"]).status.success());
    let said = appliance.log().matches("waiting for a certificate").count();
    assert_eq!(said, 1, "a reload without a change keeps the pause: {}", appliance.log());
}

#[tokio::test]
async fn a_webhook_that_fails_is_tried_three_times_and_holds_up_nothing() {
    let hook = Hook::new(503).await;
    let mut appliance = Appliance::start(
        "[alerts]\nwebhook = { file = \"{DIR}/hook\" }\nevents = [\"failed\"]\nformat = \"slack\"\n\
         [apps.bad]\ncommand = [\"false\"]\nrestart = \"never\"\nautostart = false\n\
         [apps.good]\ncommand = [\"sleep\", \"1000\"]\n",
    );
    // The file is missing: the start was refused, and the message names the file.
    assert_eq!(appliance.end().await, 78);
    appliance.logs("/hook cannot be read").await;
    let place = appliance.log().lines().find(|line| line.contains(": error: ")).map(str::to_owned);
    let check = appliance.cli(&["check"]);
    let warned = String::from_utf8(check.stderr).unwrap();
    assert!(check.status.success() && warned.contains(": warning: alerts.webhook: "), "{warned}");
    let place = place.unwrap_or_default();
    assert!(place.contains("appliance.toml:") && place.contains("alerts.webhook: "), "{place}");
    std::fs::write(appliance.path("hook"), "not a URL t0k3n").unwrap();
    appliance.restart();
    assert_eq!(appliance.end().await, 78);
    appliance.logs("contains no http:// or https:// URL").await;
    std::fs::write(appliance.path("hook"), format!("{}\n", hook.url)).unwrap();
    appliance.restart();
    appliance.wait_for_state("good", "ready").await;
    appliance.cli(&["start", "bad"]);
    eventually("the last attempt", async || {
        appliance.log().contains("an alert could not be delivered").then_some(())
    })
    .await;
    let all = hook.all();
    assert_eq!(all.len(), 3, "{all:?}");
    let text = all[2].1["text"].as_str().unwrap();
    assert!(
        text.starts_with(
            "bad has failed for good: `it exited, and 'restart' does not start it again: its process \
             ended (exit 1)`\n<http"
        ),
        "{text}"
    );
    appliance.logs("the webhook answers 503").await;
    assert!(!appliance.log().contains(TOKEN), "{}", appliance.log());
    assert_eq!(appliance.stop().await, 0);
}

#[tokio::test]
async fn a_reload_puts_another_webhook_and_other_events_in_force_at_once() {
    let (first, second) = (Hook::new(200).await, Hook::new(200).await);
    let appliance = Appliance::start_in(
        |folder| std::fs::write(folder.join("hook"), &first.url).unwrap(),
        "[apps.bad]\ncommand = [\"false\"]\nrestart = \"never\"\nautostart = false\n\
         [apps.worse]\ncommand = [\"false\"]\nrestart = \"never\"\nautostart = false\n\
         [alerts]\nwebhook = { file = \"{DIR}/hook\" }\nevents = [\"unready\"]\n",
    );
    appliance.wait_for_state("bad", "stopped").await;
    appliance.cli(&["start", "bad"]);
    appliance.wait_for_state("bad", "failed").await;
    let path = appliance.path("appliance.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("unready", "failed")).unwrap();
    std::fs::write(appliance.path("hook"), &second.url).unwrap();
    let answer = appliance.cli(&["reload"]);
    let plan = String::from_utf8(answer.stdout).unwrap();
    assert_eq!(plan.lines().next(), Some("update alerts: events, webhook"), "{plan}");
    appliance.cli(&["start", "worse"]);
    assert_eq!(second.wait_for("failed").await["app"], "worse");
    assert!(first.all().is_empty(), "{:?}", first.all());

    std::fs::write(appliance.path("hook"), "nothing").unwrap();
    assert_eq!(appliance.cli(&["reload"]).status.code(), Some(78));
}

#[tokio::test]
async fn a_critical_failure_is_reported_before_the_end_and_an_orderly_stop_is_not() {
    let hook = Hook::new(200).await;
    let config = |critical: bool| {
        format!(
            "[alerts]\nwebhook = {{ env = \"HOOK\" }}\n\
             events = [\"failed\", \"restarted\", \"unready\", \"issuer\", \"memory\"]\n\
             [apps.a]\ncommand = [\"sh\", \"-c\", \"sleep 0.2; exit 5\"]\nrestart = \"never\"\n\
             critical = {critical}\nautostart = {critical}\n\
             [apps.b]\ncommand = [\"sleep\", \"1000\"]\n"
        )
    };
    let mut appliance = Appliance::start_with_variable("HOOK", &hook.url, &config(false));
    appliance.wait_for_state("b", "ready").await;
    assert_eq!(appliance.stop().await, 0);
    assert!(hook.all().is_empty(), "{:?}", hook.all());
    let mut appliance = Appliance::start_with_variable("HOOK", &hook.url, &config(true));
    assert_eq!(appliance.end().await, 5);
    assert_eq!(hook.of("failed").len(), 1, "{:?}", hook.all());
    // A webhook that never answers delays the end by a second at most.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let begun = std::time::Instant::now();
    let mut appliance = Appliance::start_with_variable("HOOK", &url, &config(true));
    assert_eq!(appliance.end().await, 5);
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_outage_of_the_issuer_is_one_alert() {
    let hook = Hook::new(200).await;
    let fixture = Fixture::beside("", "").await;
    let path = fixture.appliance.path("appliance.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(fixture.appliance.path("hook"), &hook.url).unwrap();
    let alerts = "\n[alerts]\nwebhook = { file = \"hook\" }\n";
    std::fs::write(&path, text + alerts).unwrap();
    let answer = fixture.appliance.cli(&["reload"]);
    assert!(answer.status.success(), "{answer:?}");
    for call in [Call::Code, Call::Discovery, Call::Jwks] {
        fixture.issuer.fault(call, Fault::Status(503), 1000);
    }
    // A login that fails makes the appliance look at the issuer.
    fixture.browser().go("/app/").await;
    let alert = hook.wait_for("issuer").await;
    assert_eq!(alert["app"], "appliance");
    assert!(
        alert["text"].as_str().unwrap().starts_with("the issuer is down: nobody can sign in: ")
    );
}
