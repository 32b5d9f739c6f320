//! Fingerprints of the variables whose values are not in the configuration file: a reload finds out
//! which of them have changed, and the values are not kept.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;

use super::environment;
use super::spawn_error::SpawnError;
use crate::config::ownership::account::Account;
use crate::config::ownership::app_file;
use crate::config::{App, EnvValue, Missing};

/// Fingerprints of an app's variables by name. Only those made with the same keys compare.
pub type Fingerprints = BTreeMap<String, u64>;

/// The fingerprints of the secrets and of the variables of `env_file` and `pass_env`, as a start of
/// the app would read them now; `None` if a file is wrong that the app's own user can change: the start
/// of this app fails, and nothing else does.
///
/// # Errors
/// The app could not be started: its user, or a secret or file of its environment, is missing.
pub fn fingerprints(
    app: &App,
    state_dir: &Path,
    keys: &RandomState,
    missing: Missing,
) -> Result<Option<Fingerprints>, SpawnError> {
    let Some(run) = &app.run else { return Ok(Some(Fingerprints::new())) };
    let account = run.account()?;
    let environment = environment::of_app(app, run, account.as_ref(), state_dir, missing);
    let environment = match environment {
        Err(error) if is_of_app(error.file(run), account.as_ref()) => {
            tracing::warn!(app = %app.name, "the app cannot start: {error}");
            return Ok(None);
        }
        environment => environment?,
    };
    let is_written = |name: &str| {
        let mut written = run.env.iter();
        written.any(|(known, value)| known == name && matches!(value, EnvValue::Plain(_)))
    };
    let own = ["PATH", "HOME", "LANG", "TZ", "USER", "PORT", "PYTHONUNBUFFERED"];
    let found = environment.iter().filter_map(|(name, value)| {
        let name = name.to_string_lossy();
        let counts = !is_written(&name) && !own.contains(&name.as_ref());
        counts.then(|| (name.into_owned(), keys.hash_one(value)))
    });
    Ok(Some(found.collect()))
}

fn is_of_app(file: Option<&Path>, account: Option<&Account>) -> bool {
    file.is_some_and(|file| app_file::belongs_to_app(file, account))
}

/// The names of the variables that differ, or that only one of the two has.
pub fn differing(before: &Fingerprints, after: &Fingerprints) -> Vec<String> {
    let gone = before.keys().filter(|name| !after.contains_key(*name));
    let new = after.iter().filter(|(name, value)| before.get(*name) != Some(value));
    gone.chain(new.map(|(name, _)| name)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SecretSource;
    use crate::supervisor::sample_apps as samples;

    #[test]
    fn only_values_from_elsewhere_count_and_a_changed_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("secret");
        std::fs::write(&secret, "one").unwrap();
        let mut app = samples::app("a", &["true"]);
        app.run.as_mut().unwrap().env = vec![
            ("TOKEN".into(), EnvValue::Secret(SecretSource::File(secret.clone()))),
            ("MODE".into(), EnvValue::Plain("x".into())),
        ];
        let keys = RandomState::new();
        let read = |app: &App| {
            fingerprints(app, &folder.path().join("state"), &keys, Missing::Make).unwrap().unwrap()
        };
        let before = read(&app);
        assert_eq!(before.keys().collect::<Vec<_>>(), ["TOKEN"]);
        assert!(differing(&before, &read(&app)).is_empty());
        std::fs::write(&secret, "two").unwrap();
        assert_eq!(differing(&before, &read(&app)), ["TOKEN"]);
        assert_eq!(differing(&before, &Fingerprints::new()), ["TOKEN"]);
        std::fs::remove_file(&secret).unwrap();
        assert!(fingerprints(&app, folder.path(), &keys, Missing::Make).is_err());
    }

    #[test]
    fn a_file_that_the_app_itself_can_change_is_no_error_of_the_configuration() {
        if !nix::unistd::geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(
            folder.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o755),
        )
        .unwrap();
        let own = folder.path().join("own");
        std::fs::create_dir(&own).unwrap();
        std::os::unix::fs::chown(&own, Some(41_234), Some(41_234)).unwrap();
        let keys = RandomState::new();
        let read = |env_file: &Path| {
            let mut app = samples::app("a", &["true"]);
            let run = app.run.as_mut().unwrap();
            (run.user, run.group) = (Some("41234".into()), Some("41234".into()));
            run.env_file = Some(env_file.to_owned());
            fingerprints(&app, &folder.path().join("state"), &keys, Missing::Make)
        };
        std::fs::write(own.join("good"), "A=1\n").unwrap();
        assert_eq!(read(&own.join("good")).unwrap().unwrap().len(), 1);
        std::fs::write(own.join("broken"), "broken\n").unwrap();
        for name in ["broken", "missing", "."] {
            assert!(read(&own.join(name)).unwrap().is_none(), "{name}");
        }
        std::fs::write(folder.path().join("broken"), "broken\n").unwrap();
        for name in ["broken", "missing"] {
            assert!(read(&folder.path().join(name)).is_err(), "{name}");
        }
    }
}
