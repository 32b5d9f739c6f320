//! The sessions of people over the control socket: who is signed in, and the end of sessions.

use std::fmt::Write as _;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::age::age;
use super::protocol::{Answer, Request};
use crate::auth::{Auth, EndOrder, SessionRow};

/// Who has ended a session, for the log.
const BY: &str = "the command line";
const NO_LOGIN: &str = "nobody signs in: the configuration has no [oidc]";
const HEADING: [&str; 7] =
    ["ID", "USER", "SIGNED IN", "LAST USED", "ADDRESS", "CONNECTIONS", "BROWSER"];

/// The answers to a request about sessions; `None` for any other request. `auth` is `None` if no app
/// needs a login.
pub(super) async fn answer(
    auth: Option<&watch::Receiver<Arc<Auth>>>,
    request: &Request,
) -> Option<Vec<Answer>> {
    let order = match request {
        Request::Sessions => None,
        Request::EndSession { id } => Some(EndOrder::One { id, by: BY }),
        Request::EndSessions { user } => Some(EndOrder::OfUser { user, by: BY }),
        _ => return None,
    };
    let Some(auth) = auth.map(|auth| auth.borrow().clone()) else {
        return Some(vec![done(1, NO_LOGIN.to_owned())]);
    };
    let Some(order) = order else {
        let rows = auth.all_sessions(None).await;
        return Some(vec![Answer::Sessions(rows), Answer::Done { code: 0, message: None }]);
    };
    let ended = auth.end_sessions(order).await;
    let last = match (order, ended) {
        (EndOrder::OfUser { user, .. }, 0) => {
            // The end also holds for sessions from before a restart, which are not in the list.
            done(0, format!("{user} has no session in the list; what a browser still has is over"))
        }
        (_, 0) => {
            let text =
                "there is no session with this id; `appliance sessions` shows those in force";
            done(1, text.to_owned())
        }
        (_, 1) => done(0, "1 session ended".to_owned()),
        (_, ended) => done(0, format!("{ended} sessions ended")),
    };
    Some(vec![last])
}

fn done(code: u8, message: String) -> Answer {
    Answer::Done { code, message: Some(message) }
}

/// One line for each session. `clean` makes text of the issuer or of a browser safe for the output.
pub(super) fn table(rows: &[SessionRow], now: Timestamp, clean: impl Fn(&str) -> String) -> String {
    let cells = |row: &SessionRow| {
        [
            row.id.clone(),
            clean(&row.user),
            age(&row.since, now),
            age(&row.last_used, now),
            row.client_ip.clone().unwrap_or_default(),
            row.sockets.to_string(),
            clean(row.user_agent.as_deref().unwrap_or_default()),
        ]
    };
    let lines: Vec<[String; 7]> =
        std::iter::once(HEADING.map(str::to_owned)).chain(rows.iter().map(cells)).collect();
    let width = |at: usize| lines.iter().map(|line| line[at].chars().count()).max().unwrap_or(0);
    let widths: [usize; 7] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let mut shown = String::new();
        for (cell, width) in line.iter().zip(widths) {
            let _ = write!(shown, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", shown.trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_session_is_one_aligned_line() {
        let row = SessionRow {
            id: "0af".into(),
            user: "alice\u{1b}[31m".into(),
            since: "2026-11-24T09:00:00Z".into(),
            last_used: "2026-11-24T09:58:00Z".into(),
            client_ip: None,
            user_agent: Some("Mozilla/5.0".into()),
            sockets: 2,
            current: false,
        };
        let now = "2026-11-24T10:00:00Z".parse().unwrap();
        let shown = table(&[row], now, |text| text.replace('\u{1b}', "?"));
        let lines: Vec<_> = shown.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].find("LAST USED"), lines[1].find("2 min"));
        assert!(lines[1].ends_with("Mozilla/5.0") && lines[1].contains("alice?[31m"), "{shown}");
    }
}
