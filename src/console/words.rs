//! The values of the pages, for people.

use jiff::Timestamp;

use crate::config::{Access, Config, Route, app_of};
use crate::control::age;
use crate::control::protocol::{AppState, LastExit};
use crate::proxy::Refused;
use crate::supervisor::amount;
use crate::telemetry::to_the_minute;

const NONE: &str = "–";

/// The state of one process of an app.
#[derive(Debug)]
pub(super) struct Process<'a> {
    pub(super) name: &'a str,
    /// The app that the process belongs to.
    pub(super) app: &'a str,
    pub(super) state: &'a str,
    /// How long it has been in this state, and since when.
    pub(super) age: String,
    pub(super) since: String,
    pub(super) restarts: u64,
    pub(super) memory: String,
    pub(super) processor: String,
    pub(super) people: String,
    pub(super) last_exit: String,
    pub(super) reason: &'a str,
    pub(super) next_run: Option<String>,
    /// It can be started; otherwise it can be stopped and restarted.
    pub(super) rests: bool,
}

impl<'a> Process<'a> {
    pub(super) fn new(state: &'a AppState, now: Timestamp) -> Self {
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        Self {
            name: &state.name,
            app: app_of(&state.name),
            state: &state.state,
            age: age(&state.since, now),
            since: to_the_minute(&state.since),
            restarts: state.restarts,
            memory: or_none(state.memory_bytes.map(amount)),
            processor: or_none(state.cpu_percent.map(|percent| format!("{percent:.0} %"))),
            people: or_none(state.users.map(|users| users.to_string())),
            last_exit: or_none(state.last_exit.as_ref().map(LastExit::to_string)),
            reason: state.reason.as_deref().filter(|text| !is_next_run(text)).unwrap_or_default(),
            next_run: state.next_run.as_deref().map(to_the_minute),
            rests: matches!(&*state.state, "stopped" | "failed" | "backoff"),
        }
    }
}

/// A refused request.
#[derive(Debug)]
pub(super) struct Denial<'a> {
    pub(super) time: String,
    pub(super) user: &'a str,
    pub(super) app: &'a str,
    pub(super) path: &'a str,
    pub(super) reason: &'a str,
    pub(super) request_id: &'a str,
}

impl<'a> Denial<'a> {
    pub(super) fn new(refused: &'a Refused) -> Self {
        Self {
            time: refused.ts.get(..19).unwrap_or(&refused.ts).replace('T', " "),
            user: refused.user.as_deref().unwrap_or(NONE),
            app: refused.app.as_deref().unwrap_or(NONE),
            path: &refused.path,
            reason: &refused.reason,
            request_id: &refused.request_id,
        }
    }
}

/// Who may open an app, one sentence for the app and one for each rule.
pub(super) fn policy(config: &Config, route: &Route) -> Vec<String> {
    let mut sentences = vec![format!("Open to {}.", who(config, &route.access))];
    if !route.deny.is_empty() {
        sentences.push(format!("Shut to {}.", config.deny_text(&route.deny)));
    }
    sentences.extend(route.rules.iter().map(|rule| {
        let methods = match &rule.methods[..] {
            [] => String::new(),
            methods => format!(" ({})", methods.join(", ")),
        };
        let path = rule.path.text();
        format!("{path}{methods}: open to {}.", who(config, &rule.access))
    }));
    sentences
}

fn who(config: &Config, access: &Access) -> String {
    match access {
        Access::Public => "everybody, without signing in".to_owned(),
        Access::SignedIn => "everybody who is signed in".to_owned(),
        Access::Only(_) | Access::AnyOf(_) => {
            format!("people who meet {}", config.access_text(access))
        }
    }
}

/// Whether a reason only tells the next run, which has a place of its own.
fn is_next_run(reason: &str) -> bool {
    reason.starts_with("next run at ")
}
