//! The plan of a reload: what happens to each app, and which settings change.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;
use toml::Value;

use super::effect::{self, Effect};
use crate::config::model::{App, AppName, Config, Upstream};

/// What a reload does. A value: it is decided before anything changes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The steps: sections first, then the apps in the order of the file, then what is gone.
    pub steps: Vec<Step>,
}

/// One step of a plan. Its text is one line of `appliance reload --dry-run`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", rename_all = "kebab-case")]
pub enum Step {
    /// The process of the app is replaced, because these keys differ.
    Restart {
        /// Name of the app.
        app: AppName,
        /// The keys of its table.
        keys: Vec<String>,
    },
    /// The app is new.
    Start {
        /// Name of the app.
        app: AppName,
    },
    /// The app is gone from the file, or was disabled.
    Stop {
        /// Name of the app.
        app: AppName,
    },
    /// New values are in force at once, without a restart.
    Update {
        /// `server`, `log`, `oidc`, `session`, `alerts`, or the name of an app.
        subject: String,
        /// The keys of the table.
        keys: Vec<String>,
    },
    /// These settings cannot change while the appliance runs; the old values stay in force.
    NeedsNewStart {
        /// The settings as `section.key`.
        keys: Vec<String>,
    },
    /// Nothing changes for this app.
    Keep {
        /// Name of the app.
        app: AppName,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restart { app, keys } => write!(f, "restart {app}: {}", keys.join(", ")),
            Self::Start { app } => write!(f, "start {app}"),
            Self::Stop { app } => write!(f, "stop {app}"),
            Self::Update { subject, keys } => write!(f, "update {subject}: {}", keys.join(", ")),
            Self::NeedsNewStart { keys } => write!(f, "needs a new start: {}", keys.join(", ")),
            Self::Keep { app } => write!(f, "keep {app}"),
        }
    }
}

/// The settings of a table by key.
type Settings = BTreeMap<String, Value>;

impl Plan {
    /// What changes from one configuration to another. Both have their ports.
    pub fn between(old: &Config, new: &Config) -> Self {
        let (before, after) = (tables(old), tables(new));
        let none = Settings::new();
        let mut plan = Self::default();
        let mut needs = Vec::new();
        for section in ["server", "log", "oidc", "session", "alerts"] {
            let [before, after] =
                [&before, &after].map(|tables| tables.get(section).unwrap_or(&none));
            let changed = differing(before, after);
            let keys = |effect| with_effect("", section, &changed, effect);
            plan.update(section, keys(Effect::InForce));
            needs.extend(with_effect(&format!("{section}."), section, &changed, Effect::NewStart));
        }
        let issuers = old.oidc.as_ref().zip(new.oidc.as_ref());
        if issuers.is_some_and(|(old, new)| old.protocol != new.protocol) {
            needs.push("oidc.provider".to_owned());
        }
        for app in &new.apps {
            let table = format!("apps.{}", app.name);
            match (before.get(&table), after.get(&table)) {
                (Some(before), Some(after)) => {
                    let changed = differing(before, after);
                    plan.change(app, &changed, moved_needs(app, old, new));
                }
                // A new app that stays stopped: the line names the key that says so.
                _ if app.autostart && app.idle_stop.is_some() => {
                    plan.update(app.name.as_str(), vec!["idle_stop".to_owned()]);
                }
                _ if app.autostart => plan.steps.push(Step::Start { app: app.name.clone() }),
                _ => plan.update(app.name.as_str(), vec!["autostart".to_owned()]),
            }
        }
        let gone = old.apps.iter().filter(|app| new.app(app.name.as_str()).is_none());
        plan.steps.extend(gone.map(|app| Step::Stop { app: app.name.clone() }));
        plan.needs_new_start(needs);
        plan
    }

    /// Adds settings that cannot change while the appliance runs.
    pub fn needs_new_start(&mut self, keys: Vec<String>) {
        if !keys.is_empty() {
            self.steps.push(Step::NeedsNewStart { keys });
        }
    }

    /// Adds the reasons for which the process of an app is replaced.
    pub fn restart_for(&mut self, app: &AppName, more: Vec<String>) {
        let known = self.steps.iter_mut().find_map(|step| match step {
            Step::Restart { app: known, keys } if known == app => Some(keys),
            _ => None,
        });
        match known {
            Some(keys) => {
                let new: Vec<_> = more.into_iter().filter(|key| !keys.contains(key)).collect();
                keys.extend(new);
            }
            None if more.is_empty() => {}
            None => {
                let at = self.steps.iter().position(|step| match step {
                    Step::Keep { app: kept } => kept == app,
                    Step::Update { subject, .. } => subject == app.as_str(),
                    _ => false,
                });
                let restart = Step::Restart { app: app.clone(), keys: more };
                match at {
                    Some(at) if matches!(self.steps[at], Step::Keep { .. }) => {
                        self.steps[at] = restart;
                    }
                    Some(at) => self.steps.insert(at, restart),
                    None => {}
                }
            }
        }
    }

    /// The apps whose process is replaced.
    pub fn restarted(&self) -> Vec<AppName> {
        let restarted = self.steps.iter().filter_map(|step| match step {
            Step::Restart { app, .. } => Some(app.clone()),
            _ => None,
        });
        restarted.collect()
    }

    /// The apps that are new.
    pub fn started(&self) -> Vec<AppName> {
        let started = self.steps.iter().filter_map(|step| match step {
            Step::Start { app } => Some(app.clone()),
            _ => None,
        });
        started.collect()
    }

    /// Adds a setting of a section whose file or variable has another content.
    pub fn update_for(&mut self, section: &str, key: &str) {
        let known = self.steps.iter_mut().find_map(|step| match step {
            Step::Update { subject, keys } if subject == section => Some(keys),
            _ => None,
        });
        match known {
            Some(keys) if keys.iter().any(|known| known == key) => {}
            Some(keys) => keys.push(key.to_owned()),
            None => {
                let (subject, keys) = (section.to_owned(), vec![key.to_owned()]);
                self.steps.insert(0, Step::Update { subject, keys });
            }
        }
    }

    /// Adds settings of an app whose files have another content.
    pub fn update_app_for(&mut self, app: &AppName, more: &[&str]) {
        let known = self.steps.iter_mut().find_map(|step| match step {
            Step::Update { subject, keys } if subject == app.as_str() => Some(keys),
            _ => None,
        });
        let more = more.iter().map(|key| (*key).to_owned());
        if let Some(keys) = known {
            let new: Vec<_> = more.filter(|key| !keys.contains(key)).collect();
            return keys.extend(new);
        }
        let (subject, keys) = (app.to_string(), more.collect::<Vec<_>>());
        let is_of = |step: &Step| match step {
            Step::Keep { app: kept } | Step::Restart { app: kept, .. } => kept == app,
            _ => false,
        };
        match self.steps.iter().position(is_of).filter(|_| !keys.is_empty()) {
            Some(at) if matches!(self.steps[at], Step::Keep { .. }) => {
                self.steps[at] = Step::Update { subject, keys };
            }
            Some(at) => self.steps.insert(at + 1, Step::Update { subject, keys }),
            None => {}
        }
    }

    /// Whether the plan changes nothing.
    pub fn is_empty(&self) -> bool {
        self.steps.iter().all(|step| matches!(step, Step::Keep { .. }))
    }

    fn update(&mut self, subject: &str, keys: Vec<String>) {
        if !keys.is_empty() {
            self.steps.push(Step::Update { subject: subject.to_owned(), keys });
        }
    }

    fn change(&mut self, app: &App, changed: &[String], moved: Vec<String>) {
        let name = &app.name;
        let (mut restart, update): (Vec<_>, Vec<_>) = changed
            .iter()
            .filter(|key| effect::of("apps", key) != Some(Effect::Expands))
            .cloned()
            .partition(|key| is_of_process(app, key));
        restart.extend(moved);
        if restart.is_empty() && update.is_empty() {
            return self.steps.push(Step::Keep { app: name.clone() });
        }
        if !restart.is_empty() {
            self.steps.push(Step::Restart { app: name.clone(), keys: restart });
        }
        self.update(name.as_str(), update);
    }
}

/// The settings that differ and need a new start, as `section.key`.
pub(super) fn needing_new_start(old: &Config, new: &Config) -> Vec<String> {
    if old.oidc.is_some() != new.oidc.is_some() {
        return vec!["oidc".to_owned()];
    }
    let steps = Plan::between(old, new).steps.into_iter();
    let needs = steps.filter_map(|step| match step {
        Step::NeedsNewStart { keys } => Some(keys),
        _ => None,
    });
    needs.flatten().collect()
}

/// Whether the process of an app differs if this key does. The probes of a process ask at its
/// `upstream`.
fn is_of_process(app: &App, key: &str) -> bool {
    effect::of("apps", key) == Some(Effect::Restart) || key == "upstream" && app.run.is_some()
}

/// The apps that this app waits for and that have another address now.
fn moved_needs(app: &App, old: &Config, new: &Config) -> Vec<String> {
    let address = |config: &Config, name: &AppName| {
        let need = config.app(name.as_str())?;
        let upstreams = need.route.as_ref().map(|route| route.upstreams.as_slice());
        let dialled = upstreams.map(|all| {
            let one = |upstream: &Upstream| (upstream.dial.clone(), upstream.tls.is_some());
            all.iter().map(one).collect::<Vec<_>>()
        });
        Some((need.port, dialled))
    };
    let moved = app.after.iter().filter(|after| {
        let before = address(old, &after.app);
        before.is_some() && before != address(new, &after.app)
    });
    moved.map(|after| format!("the address of {}", after.app)).collect()
}

fn with_effect(prefix: &str, section: &str, keys: &[String], wanted: Effect) -> Vec<String> {
    let keys = keys.iter().filter(|key| effect::of(section, key) == Some(wanted));
    keys.map(|key| format!("{prefix}{key}")).collect()
}

fn tables(config: &Config) -> BTreeMap<String, Settings> {
    let page = config.page();
    let tables = page.tables().iter();
    tables.map(|table| (table.name.clone(), table.settings().into_iter().collect())).collect()
}

/// The keys whose values differ, or that only one of the two has.
fn differing(before: &Settings, after: &Settings) -> Vec<String> {
    let gone = before.keys().filter(|key| !after.contains_key(*key));
    let new = after.iter().filter(|(key, value)| before.get(*key) != Some(value));
    let mut keys: Vec<_> = gone.chain(new.map(|(key, _)| key)).cloned().collect();
    keys.sort();
    keys
}

#[cfg(test)]
#[path = "../../../tests/unit/config/change/plan.rs"]
mod tests;
