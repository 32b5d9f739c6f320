//! Whether the appliance runs, and its apps.

use std::path::Path;

use serde_json::Value;

use super::finding::Finding;
use crate::control::client;
use crate::control::protocol::Request;
use crate::telemetry::Viewer;

const QUESTION: &str = "apps";

pub(super) fn finding(is_running: bool, socket: &Path) -> Finding {
    if !is_running {
        return Finding::skipped(QUESTION, "the appliance does not run; start it, then ask again");
    }
    let mut answer = Vec::new();
    let viewer = Viewer::new(crate::config::Color::Never, false);
    let view = client::View { style: client::Style::Json, only: None, viewer };
    client::ask(socket, &Request::Status, view, &mut answer);
    match serde_json::from_slice(&answer) {
        Ok(status) => of_status(&status),
        Err(_) => Finding::skipped(QUESTION, "the appliance does not say how its apps are"),
    }
}

/// The finding about the JSON of `appliance status`.
fn of_status(status: &Value) -> Finding {
    let apps = status["apps"].as_array().map(Vec::as_slice).unwrap_or_default();
    let word = |app: &Value, key: &str| app[key].as_str().unwrap_or_default().to_owned();
    let in_state = |states: &[&str]| -> Vec<String> {
        let found = apps.iter().filter(|app| states.contains(&word(app, "state").as_str()));
        found.map(|app| format!("{} is {}", word(app, "name"), word(app, "state"))).collect()
    };
    let bad = in_state(&["failed", "backoff"]);
    let busy = in_state(&["waiting", "setup", "starting", "unready"]);
    if let Some(first) = bad.first() {
        let name = first.split(' ').next().unwrap_or_default();
        let advice = format!("run `appliance logs {name}`; its last lines say why");
        return Finding::failed(QUESTION, bad.join(", "), advice);
    }
    if !busy.is_empty() {
        return Finding::warning(QUESTION, busy.join(", "), "wait, or run `appliance status`");
    }
    Finding::ok(QUESTION, "all run, or are stopped as intended")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::Verdict;
    use super::*;

    #[test]
    fn the_worst_state_decides() {
        for (states, verdict) in [
            (&["ready", "stopped", "idle"][..], Verdict::Ok),
            (&["ready", "starting"], Verdict::Warning),
            (&["starting", "backoff"], Verdict::Failed),
            (&["failed"], Verdict::Failed),
            (&[], Verdict::Ok),
        ] {
            let apps: Vec<_> =
                states.iter().map(|state| json!({ "name": "a", "state": state })).collect();
            let finding = of_status(&json!({ "apps": apps }));
            assert_eq!(finding.verdict, verdict, "{states:?}: {finding:?}");
        }
    }
}
