//! The folders of the apps: the appliance creates them for the users of the apps before any app is
//! set up or started. A folder that belongs to another user is an error of the start.

use std::path::Path;

use super::refused::Refused;
use super::users::trusted;
use crate::config::ownership::account::Account;
use crate::config::ownership::folder::{self, FolderError, alone_in_its_parent, make};
use crate::config::ownership::owner::Owner;
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
        let refused = made.filter_map(|(path, mode)| make(path, owner, mode, &trusted).err());
        alone.into_iter().chain(refused).collect()
    })
}

/// Whether [`prepare`] can create the folders. Changes nothing.
pub(super) fn check(config: &Config) -> Result<(), Refused> {
    let trusted = trusted(config);
    refuse(config, |run, account| {
        let owner = owner_of(account);
        let wanted = wanted(run, account).into_iter();
        let refused = wanted.filter_map(|(path, _)| folder::check(path, owner, &trusted).err());
        not_alone(run, account).into_iter().chain(refused).collect()
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

/// The folders of an app with their modes.
fn wanted<'r>(run: &'r Run, account: Option<&Account>) -> Vec<(&'r Path, u32)> {
    let folders = &run.folders;
    let kept = [folders.data.as_deref(), run.home.as_deref()];
    // A setup that runs as the appliance's user creates these folders itself.
    let is_due = account.is_some() && run.setup.iter().any(|step| !step.creates.exists());
    let installed = folders.installed.as_deref().filter(|_| is_due);
    let downloads = folders.downloads.as_deref().filter(|_| is_due);
    let all = kept.into_iter().flatten().map(|path| (path, PRIVATE));
    all.chain(installed.map(|path| (path, READABLE)))
        .chain(downloads.map(|path| (path, PRIVATE)))
        .collect()
}
