//! The files that the table of an app names for this app: what it gets as its environment, what it runs, and
//! the realm that it serves.

use std::path::Path;

use crate::config::model::{App, Config, EnvValue, SecretSource};

/// A file that an app is given.
pub(super) struct GivenFile<'c> {
    /// Where the configuration names it.
    pub(super) key: Vec<&'c str>,
    pub(super) path: &'c Path,
    /// Whether its content is for this app alone. A script may be read by everybody.
    pub(super) is_secret: bool,
}

impl Config {
    /// `env_file`, the secrets in `env`, what a preset runs, and the realm of Keycloak.
    pub(super) fn given_files<'c>(&'c self, app: &'c App) -> Vec<GivenFile<'c>> {
        let name = app.name.as_str();
        let run = app.run.as_ref();
        // A name without a folder is looked up in `PATH`.
        let named = |path: &Path| path.is_absolute() || path.components().nth(1).is_some();
        let needs =
            run.into_iter().flat_map(|run| &run.needs).filter(move |need| named(&need.path));
        let runs = needs.map(|need| {
            let [preset, key] = need.key;
            GivenFile { key: vec!["apps", name, preset, key], path: &need.path, is_secret: false }
        });
        let oidc = self.oidc.as_ref().filter(|oidc| oidc.served_by.as_ref() == Some(&app.name));
        let realm = oidc.and_then(|oidc| oidc.own_realm.as_ref()).map(|realm| GivenFile {
            key: vec!["apps", name, "keycloak", "realm"],
            path: &realm.file,
            is_secret: false,
        });
        environment(app).into_iter().chain(runs).chain(realm).collect()
    }
}

impl App {
    /// The files that its variables come from: `env_file` and the secrets in `env`.
    pub(crate) fn environment_files(&self) -> Vec<&Path> {
        environment(self).into_iter().map(|file| file.path).collect()
    }
}

/// `env_file` and the secrets in `env`.
pub(super) fn environment(app: &App) -> Vec<GivenFile<'_>> {
    let name = app.name.as_str();
    let run = app.run.iter();
    let secrets = run.clone().flat_map(|run| &run.env).filter_map(|(variable, value)| {
        let EnvValue::Secret(SecretSource::File(path)) = value else { return None };
        Some((vec!["apps", name, "env", variable.as_str()], path.as_path()))
    });
    let env_file = run.filter_map(|run| run.env_file.as_deref());
    let all = secrets.chain(env_file.map(|path| (vec!["apps", name, "env_file"], path)));
    all.map(|(key, path)| GivenFile { key, path, is_secret: true }).collect()
}
