//! The page with all apps of an operator.

use askama::Template;
use jiff::Timestamp;

use super::words::{Denial, Process};
use crate::config::Config;
use crate::control::protocol::Status;
use crate::proxy::{Frame, Refused};

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
    let now = Timestamp::now();
    let mut rows: Vec<Row<'_>> = Vec::with_capacity(status.apps.len());
    for state in &status.apps {
        let process = Process::new(state, now);
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
