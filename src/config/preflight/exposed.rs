//! Files that root reads for itself or for apps that run as root, and that the user of another app can
//! change or read. Such an app would choose what root does or whom the appliance trusts, or have a secret of
//! the appliance.

use std::path::Path;

use nix::unistd::geteuid;

use super::findings::Findings;
use crate::config::model::config::OwnSecret;
use crate::config::model::{App, Config, EnvValue, SecretSource};
use crate::config::ownership::account::Account;
use crate::config::ownership::reach::{Changeable, Way};
use crate::config::report::problem::Severity;

/// More names make a message unreadable.
const NAMED: usize = 5;

/// An app with a user that is neither root nor that of the appliance.
struct Tenant<'c> {
    app: &'c App,
    account: Account,
}

/// The app whose user can change the configuration file or its place, and the part that it can change.
pub(crate) struct Changer<'c> {
    pub(crate) app: &'c App,
    pub(crate) what: Changeable,
}

impl Config {
    /// An app whose user can replace this configuration: it could start programs as root.
    pub(crate) fn changer(&self) -> Option<Changer<'_>> {
        changer(&Way::to(&self.path), &self.tenants())
    }

    /// The apps that have other rights than the appliance. None without root.
    fn tenants(&self) -> Vec<Tenant<'_>> {
        if !geteuid().is_root() {
            return Vec::new();
        }
        let tenants = self.apps.iter().filter_map(|app| {
            // An account that does not exist is an error of the app.
            let account = app.run.as_ref()?.account().ok().flatten()?;
            (!account.uid.is_root()).then_some(Tenant { app, account })
        });
        tenants.collect()
    }
}

fn changer<'c>(way: &Way, tenants: &[Tenant<'c>]) -> Option<Changer<'c>> {
    tenants.iter().find_map(|tenant| {
        let what = way.changeable_by(&tenant.account)?;
        Some(Changer { app: tenant.app, what })
    })
}

impl Findings<'_> {
    /// Own secrets and trusted files that apps can change are errors. Own secrets that apps can read are
    /// warnings, and so is what apps can change of the files of an app that runs as root.
    pub(super) fn exposed(&mut self, config: &Config) {
        let tenants = config.tenants();
        if tenants.is_empty() {
            return;
        }
        for own in config.own_secrets() {
            let way = Way::to(own.path);
            if let Some(changer) = changer(&way, &tenants) {
                self.changed(Severity::Error, &own.key, own.path, &changer);
            } else {
                self.shown(config, &own, &way, &tenants);
            }
        }
        for trusted in config.trusted_files() {
            if let Some(changer) = changer(&Way::to(trusted.path), &tenants) {
                self.changed(Severity::Error, &trusted.key, trusted.path, &changer);
            }
        }
        for app in config.apps.iter().filter(|app| runs_as_root(app)) {
            for (key, path) in files_of(app) {
                if let Some(changer) = changer(&Way::to(path), &tenants) {
                    self.changed(Severity::Warning, &key, path, &changer);
                }
            }
        }
    }

    fn changed(&mut self, severity: Severity, key: &[&str], path: &Path, changer: &Changer<'_>) {
        let Changer { app, what } = changer;
        let message = format!(
            "the user of `{}` can choose what root reads as {}: {what}",
            app.name,
            path.display()
        );
        let help = format!("run `{}`, or move the file", what.command());
        self.add(severity, key, &message, Some(&help));
    }

    fn shown(&mut self, config: &Config, own: &OwnSecret<'_>, way: &Way, tenants: &[Tenant<'_>]) {
        let readers = tenants.iter().filter(|tenant| !is_given(config, own, tenant.app));
        let readers =
            readers.filter_map(|tenant| Some((tenant, way.readable_by(&tenant.account)?)));
        let (names, modes): (Vec<_>, Vec<_>) =
            readers.map(|(tenant, mode)| (tenant.app.name.as_str(), mode)).unzip();
        let (Some(mode), Some(file)) = (modes.first(), way.file()) else { return };
        let unnamed = names.len().saturating_sub(NAMED);
        let others = if unnamed == 0 { String::new() } else { format!(" and {unnamed} more") };
        let names = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let message = format!(
            "these apps can read {}, a secret of the appliance (mode {mode:04o}): {names}{others}",
            own.path.display()
        );
        let help = format!("run `chmod go-rwx {}`", file.display());
        self.add(Severity::Warning, &own.key, &message, Some(&help));
    }
}

/// Whether the configuration gives the app this secret.
fn is_given(config: &Config, own: &OwnSecret<'_>, app: &App) -> bool {
    let issuer = config.oidc.as_ref().and_then(|oidc| oidc.served_by.as_ref());
    let is_issuers = own.key == ["oidc", "client_secret"] && issuer == Some(&app.name);
    is_issuers || files_of(app).iter().any(|(_, path)| *path == own.path)
}

fn runs_as_root(app: &App) -> bool {
    let Some(run) = &app.run else { return false };
    run.account().is_ok_and(|account| account.is_none_or(|account| account.uid.is_root()))
}

/// `env_file` and the secrets in `env`.
fn files_of(app: &App) -> Vec<(Vec<&str>, &Path)> {
    let name = app.name.as_str();
    let run = app.run.iter();
    let secrets = run.clone().flat_map(|run| &run.env).filter_map(|(variable, value)| {
        let EnvValue::Secret(SecretSource::File(path)) = value else { return None };
        Some((vec!["apps", name, "env", variable.as_str()], path.as_path()))
    });
    let env_file = run.filter_map(|run| run.env_file.as_deref());
    secrets.chain(env_file.map(|path| (vec!["apps", name, "env_file"], path))).collect()
}
