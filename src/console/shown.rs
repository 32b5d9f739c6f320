//! What the page of one app is made of.

use super::log::ShownLine;
use crate::config::{App, Config};
use crate::control::protocol::AppState;
use crate::proxy::Refused;

/// What is shown of one app.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    pub(super) config: &'a Config,
    pub(super) app: &'a App,
    /// The state of each of its processes, or of the app itself if it runs elsewhere.
    pub(super) states: &'a [AppState],
    /// The newest lines of its log, the oldest first.
    pub(super) lines: &'a [ShownLine],
    /// The newest refused requests to the app, the newest first.
    pub(super) refusals: &'a [Refused],
}
