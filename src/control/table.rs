//! The table that `status` prints.

use std::fmt::Write as _;

use super::protocol::{AppState, LastExit, Status};
use crate::supervisor::amount;

const HEADINGS: [&str; 11] = [
    "NAME",
    "STATE",
    "PID",
    "SINCE",
    "RESTARTS",
    "MEMORY",
    "CPU",
    "LAST EXIT",
    "PORT",
    "PATH",
    "REASON",
];

/// The table, and a line about the issuer if it is not ready.
pub(super) fn table(status: &Status) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(status.apps.iter().map(row));
    let widths: [usize; HEADINGS.len()] =
        std::array::from_fn(|i| rows.iter().map(|r| r[i].chars().count()).max().unwrap_or(0));
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    if status.state != "running" {
        let _ = writeln!(text, "\nthe appliance is {}", status.state);
    }
    if let Some(since) = &status.file_differs_since {
        let _ = writeln!(
            text,
            "\nthe configuration file has changed since {since}: `appliance reload` puts it in force"
        );
    }
    if let Some(issuer) = &status.issuer
        && let Some(reason) = &issuer.reason
    {
        let _ = writeln!(text, "\nthe issuer is {}: {reason}", issuer.state);
    }
    text
}

fn row(app: &AppState) -> [String; HEADINGS.len()] {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".into());
    let exit = app.last_exit.as_ref().map(|exit| match exit {
        LastExit::Code(code) => format!("exit {code}"),
        LastExit::Signal(name) => format!("SIG{name}"),
    });
    [
        app.name.clone(),
        app.state.clone(),
        or_dash(app.pid.map(|pid| pid.to_string())),
        app.since.clone(),
        app.restarts.to_string(),
        or_dash(app.memory_bytes.map(amount)),
        or_dash(app.cpu_percent.map(|percent| format!("{percent:.0} %"))),
        or_dash(exit),
        or_dash(app.port.map(|port| port.to_string())),
        or_dash(app.path.clone()),
        // On one line, because the reason may contain text of the app.
        or_dash(
            app.reason.as_deref().map(|text| text.split_whitespace().collect::<Vec<_>>().join(" ")),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::IssuerStatus;

    #[test]
    fn columns_line_up_and_the_issuer_says_why() {
        let app = AppState {
            name: "app1".into(),
            state: "backoff".into(),
            pid: None,
            since: "2026-11-24T10:00:00Z".into(),
            restarts: 3,
            last_exit: Some(LastExit::Signal("KILL".into())),
            ready: false,
            reason: Some("its process ended (SIGKILL):\nno more".into()),
            next_run: None,
            port: Some(8501),
            path: Some("/app1".into()),
            memory_bytes: Some(41_900_000),
            cpu_percent: Some(3.4),
        };
        let issuer =
            IssuerStatus { state: "waiting".into(), reason: Some("it answers 503".into()) };
        let shown = table(&Status {
            state: "running".into(),
            apps: vec![app],
            issuer: Some(issuer),
            file_differs_since: None,
        });
        assert_eq!(
            shown,
            "NAME  STATE    PID  SINCE                 RESTARTS  MEMORY  CPU  LAST EXIT  PORT  PATH   REASON\n\
             app1  backoff  -    2026-11-24T10:00:00Z  3         41 MB   3 %  SIGKILL    8501  /app1  its process ended (SIGKILL): no more\n\
             \nthe issuer is waiting: it answers 503\n"
        );
    }
}
