//! What the configuration takes from elsewhere: secrets, files of variables, certificates. A reload
//! reads all of it again and finds out what has changed; the values are not kept.

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};

use secrecy::ExposeSecret as _;

use super::refused::{Refused, setting};
use crate::config::ownership::operator_file;
use crate::config::{AppName, Config, Missing};
use crate::supervisor::{Fingerprints, differing, fingerprints};

/// Fingerprints of what the configuration takes from elsewhere.
#[derive(Debug, Default)]
pub(super) struct Sources {
    keys: RandomState,
    apps: BTreeMap<AppName, Fingerprints>,
    /// By section and key.
    own: BTreeMap<(&'static str, &'static str), Option<u64>>,
}

impl Sources {
    /// Reads everything as the starts of the apps would.
    ///
    /// # Errors
    /// A user, or a secret or file of an app, is missing: every start of the app would fail. A file that
    /// the app's own user can change is none.
    pub(super) fn read(&self, config: &Config, missing: Missing) -> Result<Self, Refused> {
        let state_dir = &config.server.state_dir;
        let mut apps = BTreeMap::new();
        for app in &config.apps {
            let found = fingerprints(app, state_dir, &self.keys, missing).map_err(|error| {
                let why = format!("`{}`: {error}", app.name);
                setting(config, &["apps", app.name.as_str()], &why)
            })?;
            // Nothing is restarted for a file that cannot be read now.
            let found = found.or_else(|| self.apps.get(&app.name).cloned());
            apps.extend(found.map(|found| (app.name.clone(), found)));
        }
        let keys = self.keys.clone();
        Ok(Self { own: own(config, &keys, missing), keys, apps })
    }

    /// Takes from `made` what was missing here.
    pub(super) fn filled_by(mut self, made: Self) -> Self {
        for (app, found) in made.apps {
            let known = self.apps.entry(app).or_default();
            for (name, value) in found {
                known.entry(name).or_insert(value);
            }
        }
        for (key, value) in made.own {
            let known = self.own.entry(key).or_default();
            *known = known.or(value);
        }
        self
    }

    /// The variables that differ, for each app that both have.
    pub(super) fn changed_variables(&self, after: &Self) -> Vec<(AppName, Vec<String>)> {
        let both = self.apps.iter().filter_map(|(app, before)| {
            let names = differing(before, after.apps.get(app)?).into_iter();
            Some((app.clone(), names.map(|name| format!("env.{name}")).collect()))
        });
        both.collect()
    }

    /// The settings of the appliance whose files or variables have another content.
    pub(super) fn changed_settings(&self, after: &Self) -> Vec<(&'static str, &'static str)> {
        let changed = self.own.iter().filter(|(key, before)| after.own.get(*key) != Some(before));
        changed.map(|(key, _)| *key).collect()
    }
}

/// What the appliance itself reads. A source that cannot be read is an error of its user.
fn own(
    config: &Config,
    keys: &RandomState,
    missing: Missing,
) -> BTreeMap<(&'static str, &'static str), Option<u64>> {
    let state_dir = &config.server.state_dir;
    let secret = |source: &crate::config::SecretSource| {
        let found = source.find(state_dir, missing).ok().flatten();
        found.map(|secret| keys.hash_one(secret.expose_secret()))
    };
    let mut found = BTreeMap::from([(("session", "keys"), secret(&config.session.keys))]);
    if let Some(alerts) = &config.alerts {
        found.insert(("alerts", "webhook"), secret(&alerts.webhook));
    }
    let certificates = config.server.certificate_files();
    if !certificates.is_empty() {
        let files = certificates.iter().flat_map(|one| [&one.cert, &one.key]);
        let content: Vec<_> = files.map(|file| operator_file::read(file).ok()).collect();
        found.insert(("server", "tls"), Some(keys.hash_one(content)));
    }
    if let Some(oidc) = &config.oidc {
        found.insert(("oidc", "client_secret"), secret(&oidc.client_secret));
        let bundle = oidc.ca_file.as_ref().and_then(|path| operator_file::read(path).ok());
        found.insert(("oidc", "ca_file"), bundle.map(|bytes| keys.hash_one(bytes)));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sources(variables: &[(&str, u64)], webhook: Option<u64>) -> Sources {
        let found = variables.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        Sources {
            keys: RandomState::new(),
            apps: BTreeMap::from([(AppName::new("a").unwrap(), found)]),
            own: BTreeMap::from([(("alerts", "webhook"), webhook)]),
        }
    }

    #[test]
    fn a_file_that_changes_during_a_reload_is_a_change_for_the_next_one() {
        let read = sources(&[("OLD", 1)], None);
        let made = sources(&[("OLD", 2), ("NEW", 3)], Some(4));
        let filled = read.filled_by(made);
        let next = sources(&[("OLD", 2), ("NEW", 3)], Some(4));
        let app = AppName::new("a").unwrap();
        assert_eq!(filled.changed_variables(&next), [(app, vec!["env.OLD".to_owned()])]);
        assert_eq!(filled.changed_settings(&next), []);
    }
}
