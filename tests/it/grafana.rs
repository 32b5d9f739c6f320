//! `docs/grafana.json` against the numbers that a running appliance exports: a renamed metric or label
//! would leave a panel empty, and nobody would notice.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::Value;

use crate::fixture::Fixture;
use crate::harness::free_port;

const DASHBOARD: &str = include_str!("../../docs/grafana.json");
const PAGE: &str = include_str!("../../docs/metrics.md");

/// The one metric of the dashboard that the appliance of this test does not export: it has no certificate.
const OF_TLS: (&str, &str) = ("appliance_certificate_expiry_seconds", "host");

/// Each metric of a page, with its labels and their values.
type Exported = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// What a query says about one metric.
#[derive(Debug, PartialEq)]
struct Selector {
    metric: String,
    /// Label, operator and value.
    matchers: Vec<(String, String, String)>,
}

/// What a query refers to.
#[derive(Debug, PartialEq)]
struct Query {
    selectors: Vec<Selector>,
    /// The labels of `by` and `on`.
    grouped: BTreeSet<String>,
}

fn pattern(text: &str) -> Regex {
    Regex::new(text).unwrap()
}

fn exported(page: &str) -> Exported {
    let label = pattern(r#"(\w+)="((?:[^"\\]|\\.)*)""#);
    let mut all = Exported::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let (series, _) = line.rsplit_once(' ').unwrap();
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let known = all.entry(name.to_owned()).or_default();
        for found in label.captures_iter(labels) {
            known.entry(found[1].to_owned()).or_default().insert(found[2].to_owned());
        }
    }
    all
}

/// Reads a `PromQL` query as far as names are concerned.
fn parse(query: &str) -> Query {
    let query = pattern(r"\[[^\]]*\]").replace_all(query, " ");
    let groups = pattern(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)");
    let grouped = groups.captures_iter(&query).flat_map(|found| {
        found[1].split(',').map(|label| label.trim().to_owned()).collect::<Vec<_>>()
    });
    let grouped = grouped.collect();
    let query = groups.replace_all(&query, " ");
    let matcher = pattern(r#"(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)""#);
    let selector = pattern(r"\b([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\(|)");
    let found = selector.captures_iter(&query).filter(|found| {
        // A function, or a word between two operands.
        &found[2] != "(" && !["and", "or", "unless", "bool"].contains(&&found[1])
    });
    let selectors = found.map(|found| Selector {
        metric: found[1].to_owned(),
        matchers: matcher
            .captures_iter(&found[2])
            .map(|one| (one[1].to_owned(), one[2].to_owned(), one[3].to_owned()))
            .collect(),
    });
    Query { selectors: selectors.collect(), grouped }
}

/// What is wrong with a query and the legend of its series.
fn faults(query: &str, legend: &str, all: &Exported) -> Vec<String> {
    let Query { selectors, grouped } = parse(query);
    let mut faults = Vec::new();
    let mut labels: BTreeSet<&str> = ["job", "instance"].into();
    if selectors.is_empty() {
        faults.push("no metric".to_owned());
    }
    for Selector { metric, matchers } in &selectors {
        if metric == OF_TLS.0 {
            labels.insert(OF_TLS.1);
            continue;
        }
        let Some(known) = all.get(metric) else {
            faults.push(format!("no metric {metric}"));
            continue;
        };
        labels.extend(known.keys().map(String::as_str));
        for (label, operator, value) in matchers {
            let Some(values) = known.get(label) else {
                faults.push(format!("{metric} has no label {label}"));
                continue;
            };
            // A code occurs only after such a response; every other value exists from the start.
            let is_open = value.contains("$app") || label == "code";
            for wanted in value.split('|').filter(|_| !is_open && operator.starts_with('=')) {
                if !values.contains(wanted) {
                    faults.push(format!("{metric}: {label} is never {wanted}"));
                }
            }
        }
    }
    let shown = pattern(r"\{\{(\w+)\}\}");
    let shown: Vec<_> = shown.captures_iter(legend).map(|found| found[1].to_owned()).collect();
    for label in grouped.iter().chain(&shown) {
        if !labels.contains(label.as_str()) {
            faults.push(format!("no label {label}"));
        }
    }
    let is_aggregated = pattern(r"\b(?:sum|min|max|avg|count)\b").is_match(query);
    for label in shown.iter().filter(|label| is_aggregated && !grouped.contains(*label)) {
        faults.push(format!("the label {label} is gone"));
    }
    faults
}

/// The queries of the dashboard with the legends of their series.
fn queries(dashboard: &Value) -> Vec<(String, String)> {
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().unwrap());
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    targets.map(|target| (text(&target["expr"]), text(&target["legendFormat"]))).collect()
}

#[tokio::test]
async fn every_query_of_the_dashboard_finds_a_metric_and_labels_that_exist() {
    let port = free_port();
    let fixture = Fixture::beside(
        &format!("metrics = \"127.0.0.1:{port}\""),
        "[apps.child]\ncommand = [\"sleep\", \"1000\"]\n",
    )
    .await;
    let _alice = fixture.signed_in("alice").await;
    fixture.appliance.wait_for_state("child", "ready").await;
    let page = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await.unwrap();
    let all = exported(&page.text().await.unwrap());
    assert!(!all.contains_key(OF_TLS.0), "the exception is not needed");

    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    assert_eq!(panels.len(), 10);
    let queries = queries(&dashboard);
    assert!(queries.len() >= panels.len(), "{queries:?}");
    for (query, legend) in &queries {
        assert_eq!(faults(query, legend, &all), Vec::<String>::new(), "{query}");
    }
    for variable in dashboard["templating"]["list"].as_array().unwrap() {
        let query = variable["query"].as_str().unwrap();
        if let Some(of) = query.strip_prefix("label_values(") {
            let (metric, label) = of.trim_end_matches(')').split_once(", ").unwrap();
            assert!(all[metric].contains_key(label), "{query}");
        }
    }
    // Every metric of a panel is in the documentation.
    for (query, _) in &queries {
        for Selector { metric, .. } in parse(query).selectors {
            let name = metric.trim_end_matches("_bucket");
            let documented = PAGE.contains(name) || name.starts_with("process_");
            assert!(documented, "docs/metrics.md does not name {name}");
        }
    }
}

#[test]
fn a_wrong_name_would_be_found() {
    let page = "# HELP x\nm_total{app=\"a\",state=\"up\"} 1\nn 2\n";
    let all = exported(page);
    for (query, legend, fault) in [
        ("m", "", "no metric m"),
        ("rate(m_total{nope=\"x\"}[5m])", "", "m_total has no label nope"),
        ("m_total{state=~\"up|down\"}", "", "m_total: state is never down"),
        ("sum by (host) (m_total)", "", "no label host"),
        ("sum by (app) (m_total) / on (app) x", "", "no metric x"),
        ("sum by (app) (m_total)", "{{state}}", "the label state is gone"),
        ("n", "{{app}}", "no label app"),
        ("time()", "", "no metric"),
    ] {
        assert_eq!(faults(query, legend, &all), [fault], "{query}");
    }
    for (query, legend) in [
        (
            "sum by (app) (rate(m_total{app=~\"$app\",state=\"up\"}[$__rate_interval])) > 0",
            "{{app}}",
        ),
        ("n and on (instance, job) m_total", "n"),
        ("min by (host) (appliance_certificate_expiry_seconds) - time()", "{{host}}"),
    ] {
        assert_eq!(faults(query, legend, &all), Vec::<String>::new(), "{query}");
    }
}
