//! The export of spans by OTLP, in a build with the feature `otlp`, against a small collector.

mod collector;

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::Value;

use crate::fixture::Fixture;
use crate::harness::{Appliance, Browser, FETCH, eventually, free_port};

use collector::{Collector, attribute, strings_of};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NOT_SAMPLED: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
const DOCS: &str = include_str!("../../docs/traces.md");
const JSON: (&str, &str) = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
const CHILD: &str = "[apps.child]\ncommand = [\"sleep\", \"1000\"]\n";

/// The variables of the example in the documentation, with the address of this collector.
fn variables(url: &str, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let (_, rest) = DOCS.split_once("```sh\n").unwrap();
    let lines = rest.split_once("```").unwrap().0.lines();
    let exported = lines.filter_map(|line| line.strip_prefix("export ")?.split_once('='));
    let mut all: Vec<_> = exported
        .map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()))
        .collect();
    for (name, value) in &mut all {
        if name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
            url.clone_into(value);
        }
    }
    assert!(all.len() > 3, "{all:?}");
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    all.extend(more.chain([("OTEL_BSP_SCHEDULE_DELAY".to_owned(), "100".to_owned())]));
    all
}

async fn get(browser: &Browser, path: &str, headers: &[(&str, &str)]) {
    let answer = browser.send(Method::GET, path, &[FETCH, headers].concat()).await.unwrap();
    assert_eq!(answer.status, 200, "{path}");
}

/// The `traceparent` that the app received with the request for a path that ends so.
fn received(fixture: &Fixture, end: &str) -> String {
    let seen = fixture.upstream.seen();
    let seen = seen.iter().find(|seen| seen.target.contains(end)).unwrap();
    assert_eq!(seen.all("tracestate"), ["v=1"]);
    let [traceparent] = seen.all("traceparent")[..] else { panic!("{seen:?}") };
    traceparent.to_owned()
}

/// Nothing that opens a door has left for the collector, and the key of the collector is not in the
/// log.
fn assert_no_secrets(collector: &Collector, fixture: &Fixture, browser: &Browser, more: &[&str]) {
    let cookies = browser.cookies.values().flat_map(|jar| jar.values()).map(String::as_str);
    let cookies: Vec<_> = cookies.filter(|value| value.len() > 8).collect();
    let issued = fixture.issuer.secrets();
    assert!(!cookies.is_empty() && issued.len() > 4, "{cookies:?}");
    let always = ["state=", "code=", "Bearer", "s3cr3t-key", "alice"];
    let secrets = issued.iter().map(String::as_str).chain(cookies).chain(always);
    let secrets: Vec<_> = secrets.chain(more.iter().copied()).collect();
    for (_, body) in collector.all() {
        let body = String::from_utf8_lossy(&body);
        for secret in &secrets {
            assert!(!body.contains(secret), "{secret}: {body}");
        }
    }
    assert!(!fixture.appliance.log().contains("s3cr3t-key"), "{}", fixture.appliance.log());
}

#[tokio::test]
async fn requests_and_logins_become_spans_that_continue_the_trace_of_the_client() {
    let collector = Collector::new(Some(200)).await;
    let fixture = Fixture::with_variables(&variables(&collector.url, &[JSON]), "").await;
    let alice = fixture.signed_in("alice").await;
    get(&alice, "/app/unseen", &[("traceparent", NOT_SAMPLED), ("tracestate", "v=1")]).await;
    let sent = [("traceparent", PARENT), ("tracestate", "v=1"), ("x-key", "k3y-0f-a-client")];
    get(&alice, "/app/page?secret=s3cr3t", &sent).await;

    let request = collector.wait_for_request("/app/page").await;
    assert_eq!(request["name"], "GET /app");
    assert_eq!(request["traceId"], TRACE);
    assert_eq!(request["parentSpanId"], "b7ad6b7169203331");
    assert_eq!(attribute(&request, "http.response.status_code"), "200");
    assert_eq!(attribute(&request, "appliance.app"), "app");
    // The span of the appliance is the parent of what the app does.
    let span = request["spanId"].as_str().unwrap();
    assert_eq!(received(&fixture, "/page"), format!("00-{TRACE}-{span}-01"));
    fixture.appliance.logs(&format!("trace_id={TRACE}")).await;
    // Spans leave in the order of their ends. The client wants no record of the earlier request.
    assert!(collector.request("/app/unseen").is_none());
    let unseen = received(&fixture, "/unseen");
    assert!(unseen.starts_with(&format!("00-{TRACE}-")) && unseen.ends_with("-00"), "{unseen}");

    // The login is a part of the request that ends it.
    let login = collector.span("login").await;
    let callback = collector.wait_for_request("/oauth2/callback").await;
    assert_eq!(login["parentSpanId"], callback["spanId"]);
    assert_eq!(login["traceId"], callback["traceId"]);

    let (head, body) = collector.all().remove(0);
    assert!(head.starts_with("post /v1/traces ") && head.contains("authorization: "), "{head}");
    let body: Value = serde_json::from_slice(&body).unwrap();
    let resource = body["resourceSpans"][0]["resource"].to_string();
    assert!(resource.contains("data-team"), "{resource}");
    assert_no_secrets(&collector, &fixture, &alice, &["=s3cr3t", "k3y-0f-a-client"]);
}

#[tokio::test]
async fn a_start_of_an_app_is_a_span_that_says_whether_it_failed() {
    let collector = Collector::new(Some(200)).await;
    let config = "[apps.child]\ncommand = [\"sleep\", \"1000\"]\nreplicas = 2\n\
        [apps.broken]\ncommand = [\"false\"]\nrestart = \"never\"\nready = { log = \"never\" }\n";
    let _appliance = Appliance::start_in_environment(&variables(&collector.url, &[JSON]), config);
    let starts = eventually("the starts", async || {
        let starts = collector.spans().into_iter().filter(|span| span["name"] == "app start");
        let starts: Vec<_> = starts.collect();
        (starts.len() >= 3).then_some(starts)
    })
    .await;
    let mut starts: Vec<_> = starts
        .iter()
        .map(|start| {
            let failed = start["status"]["code"].as_u64().unwrap_or(0) == 2;
            (attribute(start, "appliance.app"), attribute(start, "appliance.process"), failed)
        })
        .collect();
    starts.sort();
    let starts: Vec<_> =
        starts.iter().map(|(app, process, failed)| (&**app, &**process, *failed)).collect();
    let expected = [("broken", "", true), ("child", "child.0", false), ("child", "child.1", false)];
    assert_eq!(starts, expected);
}

#[tokio::test]
async fn a_refresh_is_a_span() {
    let collector = Collector::new(Some(200)).await;
    let fixture = Fixture::with_variables(&variables(&collector.url, &[JSON]), "").await;
    fixture.issuer.order(|orders| orders.ttl = Duration::from_secs(2));
    let alice = fixture.signed_in("alice").await;
    let refresh = eventually("a refresh", async || {
        alice.send(Method::GET, "/app/", FETCH).await.unwrap();
        collector.spans().into_iter().find(|span| span["name"] == "refresh")
    })
    .await;
    assert_eq!(attribute(&refresh, "appliance.result"), "success");
    assert_no_secrets(&collector, &fixture, &alice, &[]);
}

#[tokio::test]
async fn protobuf_is_the_default_and_the_sampler_decides() {
    let collector = Collector::new(Some(200)).await;
    let mut appliance = Appliance::start_in_environment(&variables(&collector.url, &[]), CHILD);
    appliance.wait_for_state("child", "ready").await;
    // The last spans leave at the end.
    assert_eq!(appliance.stop().await, 0);
    let (head, body) = collector.all().remove(0);
    assert!(head.contains("content-type: application/x-protobuf"), "{head}");
    let strings = strings_of(&body);
    for text in ["app start", "appliance.app", "child", "data-team"] {
        assert!(strings.iter().any(|one| one == text), "{text}: {strings:?}");
    }

    let collector = Collector::new(Some(200)).await;
    let off = variables(&collector.url, &[("OTEL_TRACES_SAMPLER", "always_off")]);
    let mut appliance = Appliance::start_in_environment(&off, CHILD);
    appliance.wait_for_state("child", "ready").await;
    assert_eq!(appliance.stop().await, 0);
    assert!(collector.all().is_empty());
}

#[tokio::test]
async fn a_protocol_that_is_not_supported_switches_the_export_off() {
    let grpc = [("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")];
    let variables = variables(&format!("http://127.0.0.1:{}", free_port()), &grpc);
    let appliance = Appliance::start_in_environment(&variables, CHILD);
    appliance.wait_for_state("child", "ready").await;
    let log = appliance.log();
    assert!(log.contains("spans are not exported") && log.contains("http/protobuf"), "{log}");
}

#[tokio::test]
async fn a_collector_that_is_down_does_no_harm_and_is_named_once() {
    for (status, reason) in [
        (Some(403), "the collector answers 403"),
        (None, "no response within OTEL_EXPORTER_OTLP_TIMEOUT"),
    ] {
        let collector = Collector::new(status).await;
        let timeout = [("OTEL_EXPORTER_OTLP_TIMEOUT", "200")];
        let fixture = Fixture::with_variables(&variables(&collector.url, &timeout), "").await;
        let client = fixture.browser();
        // The third export begins after two have failed.
        eventually("three exports", async || {
            get(&client, "/open/", &[]).await;
            (collector.all().len() > 2).then_some(())
        })
        .await;
        let named = || fixture.appliance.log().contains(reason).then_some(());
        eventually(reason, async || named()).await;
        let log = fixture.appliance.log();
        assert_eq!(log.matches("spans cannot be exported").count(), 1, "{log}");
        assert!(!log.contains("s3cr3t-key") && !log.contains(&collector.url), "{log}");
    }

    let nobody = format!("http://127.0.0.1:{}", free_port());
    let fixture = Fixture::with_variables(&variables(&nobody, &[]), "").await;
    get(&fixture.browser(), "/open/", &[]).await;
    eventually("the reason", async || {
        fixture.appliance.log().contains("Connection refused").then_some(())
    })
    .await;
    assert!(!fixture.appliance.log().contains(&nobody), "{}", fixture.appliance.log());
}

#[tokio::test]
async fn the_end_does_not_wait_for_a_collector_that_never_answers() {
    let collector = Collector::new(None).await;
    let long = [("OTEL_EXPORTER_OTLP_TIMEOUT", "600000")];
    let mut fixture = Fixture::with_variables(&variables(&collector.url, &long), "").await;
    let client = fixture.browser();
    eventually("an export", async || {
        get(&client, "/open/", &[]).await;
        (!collector.all().is_empty()).then_some(())
    })
    .await;
    let began = Instant::now();
    assert_eq!(fixture.appliance.stop().await, 0);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}
