//! How long the apps waited, started and became ready: `status --timeline`, `status --json`, and the
//! last line of the start in the log.

use std::fmt::Write as _;
use std::time::Duration;

use super::protocol::{AppState, Link, Start, Status, Timeline};
use crate::config::AppName;
use crate::supervisor::{self, brief};

const HEADINGS: [&str; 5] = ["NAME", "STATE", "WAITED", "STARTED", "READY"];

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn describe(times: &supervisor::Timeline) -> Timeline {
    Timeline {
        waited_ms: ms(times.waited),
        started_ms: times.started.map(ms),
        ready_ms: times.ready.map(ms),
    }
}

pub(super) fn describe_start(report: &supervisor::StartReport) -> Start {
    let links = report.path.iter();
    let links = links.map(|(app, time)| Link { name: app.to_string(), ms: ms(*time) });
    Start { took_ms: ms(report.took), waited_for: links.collect() }
}

/// The times of one app in the log.
pub(crate) fn in_words(app: &AppName, times: &supervisor::Timeline) -> String {
    let mut text = format!("{app} waited {}", brief(times.waited));
    for (word, at) in [("started", times.started), ("ready", times.ready)] {
        if let Some(at) = at {
            let _ = write!(text, ", {word} {}", brief(at));
        }
    }
    text
}

/// What the whole waited for, in one line.
pub(crate) fn critical_path(report: &supervisor::StartReport) -> String {
    chain(&describe_start(report))
}

fn chain(start: &Start) -> String {
    let links = start.waited_for.iter();
    let links = links.map(|link| format!("{} ({})", link.name, shown(link.ms)));
    links.collect::<Vec<_>>().join(" → ")
}

fn shown(ms: u64) -> String {
    brief(Duration::from_millis(ms)).to_string()
}

/// The table of `status --timeline`, and a line about what the whole waited for.
pub(super) fn timeline(status: &Status) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(status.apps.iter().map(row));
    let widths: [usize; HEADINGS.len()] =
        std::array::from_fn(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    let _ = match &status.start {
        None => writeln!(text, "\nthe start is not complete"),
        Some(start) if start.waited_for.is_empty() => writeln!(text, "\nnothing was started"),
        Some(start) => {
            let took = shown(start.took_ms);
            writeln!(text, "\nthe start took {took} and waited for {}", chain(start))
        }
    };
    text
}

fn row(app: &AppState) -> [String; HEADINGS.len()] {
    let times = app.timeline.as_ref();
    let cell = |ms: Option<u64>| ms.map_or_else(|| "-".to_owned(), shown);
    [
        app.name.clone(),
        app.state.clone(),
        cell(times.map(|times| times.waited_ms)),
        cell(times.and_then(|times| times.started_ms)),
        cell(times.and_then(|times| times.ready_ms)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_and_its_last_line_name_the_times_and_the_critical_path() {
        let app = |name: &str, waited_ms, started_ms, ready_ms| AppState {
            name: name.into(),
            state: "ready".into(),
            pid: None,
            since: String::new(),
            restarts: 0,
            last_exit: None,
            ready: true,
            reason: None,
            next_run: None,
            timeline: Some(Timeline { waited_ms, started_ms, ready_ms }),
            port: None,
            path: None,
            memory_bytes: None,
            cpu_percent: None,
            users: None,
        };
        let mut status = Status {
            state: "running".into(),
            apps: vec![app("db", 0, Some(2), Some(210)), app("app1", 210, Some(212), None)],
            issuer: None,
            start: None,
            file_differs_since: None,
        };
        let table = "NAME  STATE  WAITED  STARTED  READY\n\
                     db    ready  0s      2ms      210ms\n\
                     app1  ready  210ms   212ms    -\n";
        assert_eq!(timeline(&status), format!("{table}\nthe start is not complete\n"));
        let link = |name: &str, ms| Link { name: name.into(), ms };
        let waited_for = vec![link("db", 210), link("app1", 1550)];
        status.start = Some(Start { took_ms: 1760, waited_for });
        let last = "the start took 1s 700ms and waited for db (210ms) → app1 (1s 500ms)";
        assert_eq!(timeline(&status), format!("{table}\n{last}\n"));
    }
}
