//! The users that the apps run as, and whether one of them can change the configuration.

use std::os::unix::fs::MetadataExt as _;

use nix::unistd::geteuid;
use tracing::{info, warn};

use crate::config::ownership::trusted_path::Trusted;
use crate::config::{App, Changer, Config, Problem, Users};

/// The users whose folders may lie above the state folder and above the folders of the apps. The owner
/// of the configuration's folder is one of them, because it decides which programs root starts; but
/// not if an app runs as this user.
pub(super) fn trusted(config: &Config) -> Trusted {
    let trusted = Trusted::ourselves();
    if owns_configuration(config).is_some() { trusted } else { trusted.and_owner_of(&config.dir) }
}

/// The app whose user could change the configuration, if the appliance runs as root.
fn owns_configuration(config: &Config) -> Option<&App> {
    let owner = |path: &std::path::Path| path.metadata().map(|found| found.uid()).ok();
    let owners = [owner(&config.dir), owner(&config.path)];
    let is_owner = |app: &&App| {
        let account = app.run.as_ref().and_then(|run| run.account().ok().flatten());
        let uid = account.map(|account| account.uid.as_raw());
        uid.is_some_and(|uid| uid != 0 && owners.contains(&Some(uid)))
    };
    config.apps.iter().find(is_owner)
}

/// Logs, after a reload, what it has changed for the worse, and in any case an app that could change the
/// configuration: its rights on the disk may be new.
pub(super) fn log_changed_users(before: &Config, after: &Config) {
    if geteuid().is_root() && without_user(before) != without_user(after) {
        log_users(after);
    } else {
        log_changer(after);
    }
}

/// Logs which apps do not run as users of their own, and an app that could change the configuration.
pub(super) fn log_users(config: &Config) {
    if !geteuid().is_root() {
        if config.server.users == Users::PerApp {
            let uid = geteuid().as_raw();
            info!(
                uid,
                "all apps run as the user of the appliance: only root can give each app a user of its own"
            );
        }
        return;
    }
    if let Some(apps) = without_user(config) {
        warn!(apps, "these apps run as root: {GIVE_USERS}");
    }
    log_changer(config);
}

fn log_changer(config: &Config) {
    if let Some(Changer { app, what }) = config.changer() {
        warn!(
            app = %app.name,
            configuration = %config.path.display(),
            why = %what,
            mend = what.command(),
            "the user of this app can replace the configuration, so that the app can run programs as root"
        );
    }
}

const GIVE_USERS: &str = "write `users = \"per-app\"` in [server], or a `user` for each app (`user = \"root\"` for an app that needs root)";

/// The same warnings for `appliance check`, each at its place in the file.
pub(super) fn warnings(config: &Config) -> Vec<Problem> {
    if !geteuid().is_root() {
        return Vec::new();
    }
    let as_root = without_user(config).map(|apps| {
        let why = format!("these apps run as root: {apps}; {GIVE_USERS}");
        config.warning_about(&["server"], &why)
    });
    let changer = config.changer().map(|Changer { app, what }| {
        let why = format!(
            "the user of `{}` can replace this file, so that the app can run programs as root: {what}; run `{}`",
            app.name,
            what.command()
        );
        config.warning_about(&["apps", app.name.as_str(), "user"], &why)
    });
    as_root.into_iter().chain(changer).collect()
}

/// Names of the apps that run as root, although their tables do not say so.
fn without_user(config: &Config) -> Option<String> {
    let has_no_user = |app: &&App| {
        let run = app.run.as_ref();
        run.is_some_and(|run| run.user.is_none() && run.own_user.is_none())
    };
    let names: Vec<_> =
        config.apps.iter().filter(has_no_user).map(|app| app.name.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}
