//! The page of one app.

use askama::Template;
use jiff::Timestamp;

use super::log::ShownLine;
use super::shown::Shown;
use super::words::{Denial, Process, policy};
use crate::proxy::Frame;

#[derive(Debug, Template)]
#[template(path = "console/pages/app.html")]
struct Page<'a> {
    frame: Frame<'a>,
    processes: Vec<Process<'a>>,
    /// The appliance runs it.
    takes_orders: bool,
    /// Where people find the app.
    address: Option<String>,
    policy: Vec<String>,
    lines: &'a [ShownLine],
    denials: Vec<Denial<'a>>,
}

/// The page as HTML.
pub(super) fn page(frame: Frame<'_>, shown: &Shown<'_>) -> String {
    let &Shown { config, app, states, lines, refusals } = shown;
    let now = Timestamp::now();
    let page = Page {
        frame,
        takes_orders: app.run.is_some(),
        processes: states.iter().map(|state| Process::new(state, now)).collect(),
        address: app
            .route
            .as_ref()
            .map(|route| format!("{}{}", route.host.as_deref().unwrap_or_default(), route.path)),
        policy: app.route.as_ref().map(|route| policy(config, route)).unwrap_or_default(),
        lines,
        denials: refusals.iter().map(Denial::new).collect(),
    };
    page.render().unwrap_or_default()
}
