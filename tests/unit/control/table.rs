//! The table of `status`.

use super::*;
use crate::control::protocol::IssuerStatus;

fn app(name: &str, state: &str) -> AppState {
    AppState {
        name: name.into(),
        state: state.into(),
        pid: None,
        since: "2026-11-24T09:57:00Z".into(),
        restarts: 3,
        last_exit: Some(LastExit::Signal("KILL".into())),
        ready: false,
        reason: None,
        next_run: None,
        timeline: None,
        port: Some(8501),
        path: Some(format!("/{name}")),
        memory_bytes: Some(41_900_000),
        cpu_percent: Some(3.4),
        users: Some(2),
    }
}

fn status(apps: Vec<AppState>) -> Status {
    Status { state: "running".into(), apps, issuer: None, file_differs_since: None, start: None }
}

fn shown(status: &Status, width: Option<usize>, color: bool) -> String {
    let look = Look { width, color, now: "2026-11-24T10:00:00Z".parse().unwrap() };
    table(status, look, |text| text.replace('\x1b', "\\x1b"))
}

fn broken() -> AppState {
    let reason = Some("its process ended (SIGKILL):\nno more \x1b[2J".into());
    AppState { reason, ..app("app1", "backoff") }
}

#[test]
fn columns_line_up_and_the_issuer_says_why() {
    let issuer =
        IssuerStatus { state: "waiting".into(), reason: Some("it answers \x1b503".into()) };
    let status = Status { issuer: Some(issuer), ..status(vec![broken(), app("b", "ready")]) };
    assert_eq!(
        shown(&status, None, false),
        "NAME  STATE    SINCE  RESTARTS  MEMORY  CPU  PEOPLE  LAST EXIT  PID  PORT  PATH   REASON\n\
         app1  backoff  3 min  3         41 MB   3 %  2       SIGKILL    -    8501  /app1  its process ended (SIGKILL): no more \\x1b[2J\n\
         b     ready    3 min  3         41 MB   3 %  2       SIGKILL    -    8501  /b\n\
         \nthe issuer is waiting: it answers \\x1b503\n"
    );
}

#[test]
fn a_narrow_terminal_shows_less_and_the_whole_reason_on_lines_of_its_own() {
    let status = status(vec![broken()]);
    assert_eq!(
        shown(&status, Some(60), false),
        "NAME  STATE    SINCE  RESTARTS  MEMORY  CPU  PEOPLE\n\
         app1  backoff  3 min  3         41 MB   3 %  2\n    \
         its process ended (SIGKILL): no more \\x1b[2J\n"
    );
    assert_eq!(
        shown(&status, Some(30), false),
        "NAME  STATE    SINCE  MEMORY\n\
         app1  backoff  3 min  41 MB\n    \
         its process ended\n    \
         (SIGKILL): no more \\x1b[2J\n"
    );
    for width in 13..140 {
        let text = shown(&status, Some(width), false);
        let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(longest <= width.max(16), "{width}: {text}");
        assert!(text.contains("backoff"), "{width}: {text}");
    }
    assert!(shown(&status, Some(1), false).starts_with("NAME  STATE\napp1  backoff\n"));
}

#[test]
fn colours_do_not_move_columns_and_only_the_table_makes_them() {
    let status = status(vec![broken(), app("b", "ready"), app("c", "failed"), app("d", "stopped")]);
    let painted = shown(&status, None, true);
    for (state, color) in [("backoff", 33), ("ready  ", 32), ("failed ", 31), ("stopped", 2)] {
        assert!(painted.contains(&format!("\x1b[{color}m{state}\x1b[0m")), "{state}: {painted}");
    }
    let mut plain = painted;
    for code in ["1", "2", "31", "32", "33", "0"] {
        plain = plain.replace(&format!("\x1b[{code}m"), "");
    }
    let lines =
        |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    assert_eq!(lines(&plain), lines(&shown(&status, None, false)));
}
