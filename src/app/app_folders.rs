//! The folders of the apps: the appliance creates them for the users of the apps before any app is
//! set up or started. A folder that belongs to another user is an error of the start.

use std::path::Path;

use super::refused::Refused;
use super::users::trusted;
use crate::config::ownership::account::Account;
use crate::config::ownership::folder::{
    self, FolderError, alone_in_its_parent, check_installed, make,
};
use crate::config::ownership::owner::Owner;
use crate::config::ownership::trusted_path::Trusted;
use crate::config::{App, Config, Run};

/// For data and downloads: no other user has any right to them.
const PRIVATE: u32 = 0o700;
/// For what a setup installs: in an image that runs without root, another user reads it.
const READABLE: u32 = 0o755;

/// Creates the folders, after all of them are checked: a refusal leaves no folder behind.
pub(super) fn prepare(config: &Config) -> Result<(), Refused> {
    check(config)?;
    let trusted = trusted(config);
    refuse(config, |run, account| {
        let owner = owner_of(account);
        // Again: the folder of an app with the same number may be new.
        let alone = not_alone(run, account);
        let made = wanted(run, account).into_iter();
        let refused = made.filter_map(|folder| {
            make(folder.path, owner, folder.mode, &trusted).err().map(|error| folder.refused(error))
        });
        alone.into_iter().chain(refused).collect()
    })
}

/// Whether [`prepare`] can create the folders. Changes nothing.
pub(super) fn check(config: &Config) -> Result<(), Refused> {
    let trusted = trusted(config);
    refuse(config, |run, account| {
        let owner = owner_of(account);
        let wanted = wanted(run, account).into_iter();
        let refused = wanted.filter_map(|folder| {
            folder::check(folder.path, owner, &trusted).err().map(|error| folder.refused(error))
        });
        let refused: Vec<_> = not_alone(run, account).into_iter().chain(refused).collect();
        if refused.is_empty() {
            return environment(run, account, &trusted).into_iter().collect();
        }
        refused
    })
}

/// Collects the errors of all apps.
fn refuse(
    config: &Config,
    errors: impl Fn(&Run, Option<&Account>) -> Vec<FolderError>,
) -> Result<(), Refused> {
    let mut problems = Vec::new();
    for app in &config.apps {
        let Some(run) = &app.run else { continue };
        // The supervisor reports a missing user.
        let Ok(account) = run.account() else { continue };
        for error in errors(run, account.as_ref()) {
            problems.push(problem(config, app, &error));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Refused::configuration(problems.join("\n\n")))
}

/// Why the home of an app with an own user cannot be used, if another app with this user has one.
fn not_alone(run: &Run, account: Option<&Account>) -> Option<FolderError> {
    let own = run.own_user.as_ref()?;
    alone_in_its_parent(&own.home, account?.owner()).err()
}

fn owner_of(account: Option<&Account>) -> Owner {
    account.map_or_else(Owner::ourselves, Account::owner)
}

fn problem(config: &Config, app: &App, error: &FolderError) -> String {
    let key = ["apps", app.name.as_str(), "user"];
    config.problem_with(&key, &format!("`{}`: {error}", app.name)).to_string()
}

/// Why the app cannot be run in its environment: another user can change it. This is looked at before each
/// start of the appliance, not only before a setup.
fn environment(run: &Run, account: Option<&Account>, trusted: &Trusted) -> Option<FolderError> {
    let environment = run.folders.environment.as_deref()?;
    check_installed(environment.parent()?, environment, account?.owner(), trusted).err()
}

/// A folder of an app.
struct Wanted<'r> {
    path: &'r Path,
    mode: u32,
    /// The setup makes again what is in it.
    is_installed: bool,
}

impl Wanted<'_> {
    fn refused(&self, error: FolderError) -> FolderError {
        if self.is_installed { error.of_installed() } else { error }
    }
}

/// The folders of an app.
fn wanted<'r>(run: &'r Run, account: Option<&Account>) -> Vec<Wanted<'r>> {
    let folders = &run.folders;
    let kept = [folders.data.as_deref(), run.home.as_deref()];
    // A setup that runs as the appliance's user creates these folders itself.
    let is_due = account.is_some() && run.setup.iter().any(|step| !step.creates.exists());
    let installed = folders.installed.as_deref().filter(|_| is_due);
    let downloads = folders.downloads.as_deref().filter(|_| is_due);
    let all = kept.into_iter().flatten().map(|path| (path, PRIVATE, false));
    all.chain(installed.map(|path| (path, READABLE, true)))
        .chain(downloads.map(|path| (path, PRIVATE, true)))
        .map(|(path, mode, is_installed)| Wanted { path, mode, is_installed })
        .collect()
}
