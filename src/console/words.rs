//! The values of the pages, for people.

use jiff::Timestamp;

use crate::config::{Access, Config, Route, app_of};
use crate::control::age;
use crate::control::protocol::{AppState, LastExit};
use crate::proxy::Refused;
use crate::supervisor::amount;
use crate::telemetry::to_the_minute;
use crate::texts::{Language, Message, Text};

const NONE: &str = "–";

/// The state of one process of an app.
#[derive(Debug)]
pub(super) struct Process<'a> {
    pub(super) name: &'a str,
    /// The app that the process belongs to.
    pub(super) app: &'a str,
    pub(super) state: &'a str,
    /// How long it has been in this state, since when, and both.
    pub(super) age: String,
    pub(super) since: String,
    pub(super) age_and_since: String,
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
    pub(super) fn new(state: &'a AppState, now: Timestamp, language: Language) -> Self {
        let (age, since) = (age(&state.since, now), to_the_minute(&state.since));
        let both = Text::ForTimeSince.with("age", age.as_str()).with("since", since.as_str());
        let or_none = |text: Option<String>| text.unwrap_or_else(|| NONE.to_owned());
        Self {
            name: &state.name,
            app: app_of(&state.name),
            state: &state.state,
            age: Text::ForTime.with("age", age).to(language),
            since: Text::Since.with("since", since).to(language),
            age_and_since: both.to(language),
            restarts: state.restarts,
            memory: or_none(state.memory_bytes.map(amount)),
            processor: or_none(state.cpu_percent.map(|percent| format!("{percent:.0} %"))),
            people: or_none(state.users.map(|users| users.to_string())),
            last_exit: or_none(state.last_exit.as_ref().map(|last| exit(last).to(language))),
            reason: state.reason.as_deref().filter(|text| !is_next_run(text)).unwrap_or_default(),
            next_run: state.next_run.as_deref().map(to_the_minute),
            rests: matches!(&*state.state, "stopped" | "failed" | "backoff"),
        }
    }
}

fn exit(last: &LastExit) -> Message {
    match last {
        LastExit::Code(code) => Text::ExitCode.with("code", code.to_string()),
        LastExit::Signal(_) => Message::plain(last.to_string()),
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
pub(super) fn policy(config: &Config, route: &Route, language: Language) -> Vec<String> {
    let mut sentences = vec![Text::OpenTo.with("who", who(config, &route.access))];
    if !route.deny.is_empty() {
        sentences.push(Text::ShutTo.with("who", config.deny_text(&route.deny)));
    }
    sentences.extend(route.rules.iter().map(|rule| {
        let methods = match &rule.methods[..] {
            [] => String::new(),
            methods => format!(" ({})", methods.join(", ")),
        };
        let path = rule.path.text();
        let who = who(config, &rule.access);
        Text::RuleOpenTo.with("path", format!("{path}{methods}")).with("who", who)
    }));
    sentences.iter().map(|sentence| sentence.to(language)).collect()
}

fn who(config: &Config, access: &Access) -> Message {
    match access {
        Access::Public => Text::Anybody.into(),
        Access::SignedIn => Text::EverybodySignedIn.into(),
        Access::Only(_) | Access::AnyOf(_) => {
            Text::PeopleWhoMeet.with("policy", config.access_text(access))
        }
    }
}

/// Whether a reason only tells the next run, which has a place of its own.
fn is_next_run(reason: &str) -> bool {
    reason.starts_with("next run at ")
}

/// States and refusals without a letter that a reader sees.
#[cfg(test)]
pub(super) mod fixture {
    use super::*;

    pub(in crate::console) fn process(state: &str) -> AppState {
        let json = serde_json::json!({
            "name": "1", "state": state, "pid": 1, "since": "2026-11-24T10:00:00Z", "restarts": 2,
            "last_exit": { "code": 3 }, "ready": false, "reason": "4", "users": 5, "port": null,
            "next_run": "2026-11-24T11:00:00Z", "path": null, "cpu_percent": 6.0,
        });
        serde_json::from_value(json).unwrap()
    }

    pub(in crate::console) fn denials() -> [Refused; 1] {
        let one = || "1".to_owned();
        let ts = "2026-11-24T10:00:00Z".to_owned();
        let (path, reason, request_id) = (one(), one(), one());
        [Refused { ts, user: Some(one()), app: None, path, reason, request_id }]
    }
}
