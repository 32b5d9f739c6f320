//! The folders of the apps: the appliance creates them for the users of the apps before any app is
//! set up or started. A folder that belongs to another user is an error of the start.

use std::path::Path;

use super::refused::Refused;
use super::users::trusted;
use crate::config::ownership::account::Account;
use crate::config::ownership::folder::{FolderError, alone_in_its_parent, make};
use crate::config::ownership::owner::Owner;
use crate::config::ownership::trusted_path::Trusted;
use crate::config::{App, Config, Run};

/// For data and downloads: no other user has any right to them.
const PRIVATE: u32 = 0o700;
/// For what a setup installs: in an image that runs without root, another user reads it.
const READABLE: u32 = 0o755;

pub(super) fn prepare(config: &Config) -> Result<(), Refused> {
    let trusted = trusted(config);
    let mut problems = Vec::new();
    for app in &config.apps {
        let Some(run) = &app.run else { continue };
        // The supervisor reports a missing user.
        let Ok(account) = run.account() else { continue };
        for error in errors(run, account.as_ref(), &trusted) {
            problems.push(problem(config, app, &error));
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Refused::configuration(problems.join("\n\n")))
}

fn problem(config: &Config, app: &App, error: &FolderError) -> String {
    let key = ["apps", app.name.as_str(), "user"];
    config.problem_with(&key, &format!("`{}`: {error}", app.name)).to_string()
}

fn errors(run: &Run, account: Option<&Account>, trusted: &Trusted) -> Vec<FolderError> {
    let owner = account.map_or_else(Owner::ourselves, Account::owner);
    let folders = &run.folders;
    let mut made = Vec::new();
    if let (Some(_), Some(own)) = (account, &run.own_user) {
        made.push(alone_in_its_parent(&own.home, owner));
    }
    let mut want = |path: Option<&Path>, mode| {
        made.extend(path.map(|path| make(path, owner, mode, trusted)));
    };
    want(folders.data.as_deref(), PRIVATE);
    want(run.home.as_deref(), PRIVATE);
    // A setup that runs as the appliance's user creates these folders itself.
    if account.is_some() && run.setup.iter().any(|step| !step.creates.exists()) {
        want(folders.installed.as_deref(), READABLE);
        want(folders.downloads.as_deref(), PRIVATE);
    }
    made.into_iter().filter_map(Result::err).collect()
}
