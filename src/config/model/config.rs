//! The whole configuration, checked.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::app::App;
use super::apps_folder::AppsFolder;
use super::life::After;
use super::name::AppName;
use super::oidc::{Oidc, Session};
use super::run::EnvValue;
use super::secret::{Secret, SecretSource};
use super::server::{Alerts, Log, Server};

/// The whole configuration, checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// Path of the file, or of the folder with apps that is in place of a file, as it was given.
    pub path: PathBuf,
    /// The folder with apps that is in place of a file.
    pub apps_folder: Option<Arc<AppsFolder>>,
    /// Absolute path of the file's folder, where relative paths start.
    pub dir: PathBuf,
    /// `[server]`
    pub server: Server,
    /// `[log]`
    pub log: Log,
    /// `[oidc]`; `None` if every routed app is public.
    pub oidc: Option<Oidc>,
    /// `[session]`
    pub session: Session,
    /// `[alerts]`; `None` without the section.
    pub alerts: Option<Alerts>,
    /// The enabled apps, in the order of the file.
    pub apps: Vec<App>,
    /// Values of `${X}` from variables whose names look like secrets. Never shown.
    pub secrets: Vec<Secret>,
    /// SHA-256 of the file.
    pub digest: [u8; 32],
}

impl Config {
    /// The app of that name.
    pub fn app(&self, name: &str) -> Option<&App> {
        self.apps.iter().find(|app| app.name.as_str() == name)
    }

    /// All processes: an app with one is its own process. Complete when the ports are assigned.
    pub fn processes(&self) -> impl Iterator<Item = &App> {
        self.apps.iter().flat_map(App::each_process)
    }

    /// The processes as the supervisor runs them: what waits for an app waits for each of its
    /// processes.
    pub fn supervised(&self) -> Vec<App> {
        let each = |after: &After| {
            let need = self.app(after.app.as_str());
            let names: Vec<_> = match need {
                Some(need) => need.each_process().iter().map(|one| one.name.clone()).collect(),
                None => vec![after.app.clone()],
            };
            names.into_iter().map(|app| After { app, ..after.clone() }).collect::<Vec<_>>()
        };
        let processes = self.processes().map(|one| {
            let after = one.after.iter().flat_map(each).collect();
            App { after, ..one.clone() }
        });
        processes.collect()
    }

    /// Takes over what is known of the addresses of apps under the configuration that is replaced. Both
    /// have their ports and their TLS.
    pub(crate) fn continue_from(&mut self, before: &Self) {
        for app in &mut self.apps {
            let known = |name: &AppName| before.processes().find(|one| one.name == *name);
            for process in &mut app.processes {
                if let Some(known) = known(&process.name) {
                    process.continue_from(known);
                }
            }
            if let Some(known) = before.app(app.name.as_str()) {
                app.continue_from(known);
            }
        }
    }

    /// The hosts that browsers use, each once: that of `public_url`, then those of apps. Names are in
    /// lower case, and addresses are without brackets.
    pub fn hosts(&self) -> Vec<String> {
        let routes = self.apps.iter().filter_map(|app| app.route.as_ref());
        let all = [self.server.public_url.host.as_str()].into_iter();
        let mut hosts: Vec<String> = Vec::new();
        for host in all.chain(routes.filter_map(|route| route.host.as_deref())) {
            let host = host.trim_start_matches('[').trim_end_matches(']').trim_end_matches('.');
            if !hosts.iter().any(|known| known == host) {
                hosts.push(host.to_owned());
            }
        }
        hosts
    }

    /// The files and folders that no app may serve: `state_dir`, the configuration, and all secrets.
    pub(crate) fn private_paths(&self) -> Vec<PathBuf> {
        let own = self.path.file_name().map(|name| self.dir.join(name));
        let runs = self.apps.iter().filter_map(|app| app.run.as_ref());
        let of_apps = runs.flat_map(|run| {
            let secrets = run.env.iter().filter_map(|(_, value)| match value {
                EnvValue::Secret(SecretSource::File(path)) => Some(path.clone()),
                EnvValue::Secret(_) | EnvValue::Plain(_) => None,
            });
            secrets.chain(run.env_file.clone())
        });
        let state_dir = [self.server.state_dir.clone()].into_iter();
        state_dir.chain(own).chain(self.own_secret_files()).chain(of_apps).collect()
    }

    /// The files with secrets of the appliance itself, outside of `state_dir` or in it.
    pub(crate) fn own_secret_files(&self) -> Vec<PathBuf> {
        self.own_secrets().into_iter().map(|own| own.path.to_owned()).collect()
    }

    /// The same with the settings that name them.
    pub(crate) fn own_secrets(&self) -> Vec<OwnSecret<'_>> {
        let client =
            self.oidc.as_ref().map(|oidc| (["oidc", "client_secret"], &oidc.client_secret));
        let keys = [(["session", "keys"], &self.session.keys)];
        let webhook = self.alerts.as_ref().map(|alerts| (["alerts", "webhook"], &alerts.webhook));
        let files = client.into_iter().chain(keys).chain(webhook).filter_map(|(key, source)| {
            let SecretSource::File(path) = source else { return None };
            Some(OwnSecret { key: key.to_vec(), path })
        });
        let own = self.server.certificate_files().iter();
        let own = own.map(|one| OwnSecret { key: vec!["server", "tls"], path: &one.key });
        let shown = self.apps.iter().filter_map(|app| {
            let path = &app.tls()?.client.as_ref()?.key;
            Some(OwnSecret { key: vec!["apps", app.name.as_str(), "client_key"], path })
        });
        files.chain(own).chain(shown).collect()
    }
}

/// A file with a secret of the appliance itself.
#[derive(Debug)]
pub(crate) struct OwnSecret<'c> {
    /// Where the configuration names it.
    pub(crate) key: Vec<&'c str>,
    pub(crate) path: &'c Path,
}
