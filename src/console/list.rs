//! The page with all apps of an operator.

use askama::Template;
use jiff::Timestamp;

use super::words::{Denial, Process};
use crate::config::Config;
use crate::control::protocol::Status;
use crate::proxy::{Frame, Refused};
use crate::texts::Text;

#[derive(Debug, Template)]
#[template(path = "console/pages/list.html")]
struct Page<'a> {
    frame: Frame<'a>,
    rows: Vec<Row<'a>>,
    /// The state of sign-in, and the reason if nobody can sign in.
    sign_in: Option<(&'a str, Option<&'a str>)>,
    denials: Vec<Denial<'a>>,
}

#[derive(Debug)]
struct Row<'a> {
    process: Process<'a>,
    /// The row has the buttons of its app, which are for all processes of the app.
    takes_orders: bool,
}

/// The page as HTML.
pub(super) fn page(
    frame: Frame<'_>,
    config: &Config,
    status: &Status,
    refusals: &[Refused],
) -> String {
    let (now, language) = (Timestamp::now(), frame.language);
    let mut rows: Vec<Row<'_>> = Vec::with_capacity(status.apps.len());
    for state in &status.apps {
        let process = Process::new(state, now, language);
        let is_first = rows.last().is_none_or(|row| row.process.app != process.app);
        let is_run = config.app(process.app).is_some_and(|app| app.run.is_some());
        rows.push(Row { process, takes_orders: is_first && is_run });
    }
    let page = Page {
        frame,
        rows,
        sign_in: status.issuer.as_ref().map(|issuer| {
            let state = if issuer.state == "right" { "up" } else { &*issuer.state };
            (state, issuer.reason.as_deref())
        }),
        denials: refusals.iter().map(Denial::new).collect(),
    };
    // Rendering into a string fails only if the `Display` of a value fails. No value here can fail.
    page.render().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::words::fixture::{denials, process};
    use crate::proxy::tests::with_marked_frame;
    use crate::texts::leftovers::leftovers;

    #[test]
    fn no_word_of_the_list_is_outside_of_the_texts() {
        let refused = denials();
        let states = ["ready", "failed", "backoff"].map(process);
        for shown in [&states[..], &[]] {
            let page = with_marked_frame(|frame| {
                let language = frame.language;
                let rows = shown.iter().map(|state| Row {
                    process: Process::new(state, Timestamp::now(), language),
                    takes_orders: true,
                });
                let denials = if shown.is_empty() { &[] } else { &refused[..] };
                let denials = denials.iter().map(Denial::new).collect();
                let page = Page {
                    frame,
                    rows: rows.collect(),
                    sign_in: Some(("down", Some("1"))),
                    denials,
                };
                page.render().unwrap()
            });
            assert_eq!(leftovers(&page), [""; 0], "{page}");
        }
    }
}
