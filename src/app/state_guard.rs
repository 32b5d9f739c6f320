//! Which apps run as the appliance's own user, and whether the secrets are hidden from them.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};
use tracing::{info, warn};

use super::shared_files;
use crate::config::{App, Config};
use crate::supervisor::{
    Guarded, Means, Reaper, check_secrets_place, guard_more as guard_more_files, guard_state,
};

/// Hides the secrets in `state_dir` from processes of the appliance's own user, as far as this machine
/// allows, and logs what that means.
pub(super) fn guard(config: &Config, reaper: &Reaper) {
    let (files, state_dir) = (config.own_secret_files(), &config.server.state_dir);
    // Also without such an app: a reload may add one.
    let guarded = guard_state(reaper, state_dir, &files);
    let Some(apps) = own_apps(config) else { return };
    let state_dir = state_dir.display();
    warn_of_open_folders(config, &apps);
    if !geteuid().is_root() {
        shared_files::warn_of(config, &apps_of_own_user(config));
    }
    match guarded {
        Some(Guarded { means: Means::Namespace, shown_if_replaced }) => {
            if geteuid().is_root() {
                info!(
                    apps,
                    "the appliance's keys are hidden from apps of the user root, but root can undo that"
                );
            } else {
                info!(apps, "apps run as the appliance's user and cannot read its keys");
            }
            warn_of_shown(&shown_if_replaced);
        }
        Some(Guarded { means: Means::Landlock, .. }) => {
            warn_of_closed_folders(config, &files);
            info!(
            apps,
            %state_dir,
            "apps run as the appliance's user and cannot read its keys (Landlock); nor can they create, \
             rename or remove files directly in a folder above state_dir or another secret, or open \
             those that are created there later; files in folders beside it they can"
            );
        }
        None => warn!(
            apps,
            %state_dir,
            "apps run as the appliance's user and can read its keys: there are neither namespaces \
             nor Landlock here; start as root and give each app a `user`"
        ),
    }
}

/// Fails if apps without users of their own may have put other secrets into the place of those of the
/// start: a reload must not read them. With root, no app can move them.
///
/// # Errors
/// The folder of a secret was moved away.
pub(super) fn check_place() -> io::Result<()> {
    if geteuid().is_root() { Ok(()) } else { check_secrets_place() }
}

/// Hides the secrets of a changed configuration as well, before its apps are started.
///
/// # Errors
/// The folder of a secret is not there.
pub(super) fn guard_more(before: &Config, after: &Config) -> io::Result<()> {
    let shown = guard_more_files(&after.own_secret_files())?;
    let Some(apps) = own_apps(after) else { return Ok(()) };
    if Some(&apps) != own_apps(before).as_ref() {
        warn_of_open_folders(after, &apps);
        info!(apps, "apps run as the appliance's user");
    }
    let shared = |config: &Config| shared_files::files(config, &apps_of_own_user(config));
    if !geteuid().is_root() && shared(before) != shared(after) {
        shared_files::warn_of(after, &apps_of_own_user(after));
    }
    if before.own_secret_files() != after.own_secret_files() {
        warn!(
            apps,
            "apps that were started before this reload can read the secrets that it names: restart \
             them"
        );
        warn_of_shown(&shown);
    }
    Ok(())
}

fn warn_of_shown(files: &[String]) {
    if !files.is_empty() {
        warn!(
            files = files.join(", "),
            "apps that run cannot read these secrets of the appliance until a file is replaced by \
             another one: restart the apps then, or put the secrets into a folder that contains \
             nothing else"
        );
    }
}

/// The apps that run as the appliance's own user.
fn own_apps(config: &Config) -> Option<String> {
    let apps: Vec<&str> = apps_of_own_user(config).iter().map(|app| app.name.as_str()).collect();
    (!apps.is_empty()).then(|| apps.join(", "))
}

fn apps_of_own_user(config: &Config) -> Vec<&App> {
    config.apps.iter().filter(|app| is_own(app)).collect()
}

/// Warns of folders in which programs expect to create files, and cannot under Landlock.
fn warn_of_closed_folders(config: &Config, files: &[PathBuf]) {
    let own = config.apps.iter().filter(|app| is_own(app)).filter_map(|app| app.run.as_ref());
    let used = ["/tmp", "/var/tmp"].map(PathBuf::from).into_iter();
    let used = used.chain(own.map(|run| run.cwd.clone()));
    let folders = closed_folders(&config.server.state_dir, files, used);
    if !folders.is_empty() {
        warn!(
            folders = folders.into_iter().collect::<Vec<_>>().join(", "),
            "apps that run as the appliance's user cannot create files directly in these folders, \
             because state_dir or another secret is below them; move it to a place of its own"
        );
    }
}

/// Those of the used folders that are above `state_dir` or another secret.
fn closed_folders(
    state_dir: &Path,
    files: &[PathBuf],
    used: impl Iterator<Item = PathBuf>,
) -> BTreeSet<String> {
    let secrets: Vec<_> = files.iter().map(PathBuf::as_path).chain([state_dir]).collect();
    let real = |path: &Path| path.canonicalize().ok();
    let secrets: Vec<_> = secrets.into_iter().filter_map(real).collect();
    let is_closed = |folder: &PathBuf| secrets.iter().any(|secret| secret.starts_with(folder));
    let closed = used.filter_map(|folder| real(&folder)).filter(is_closed);
    closed.map(|folder| folder.display().to_string()).collect()
}

/// Warns of folders in which apps could put another configuration or another `state_dir` into the place
/// of the present one, for the next start. Root is warned of in `users.rs`.
fn warn_of_open_folders(config: &Config, apps: &str) {
    if geteuid().is_root() {
        return;
    }
    let state_dir = config.server.state_dir.as_path();
    let secrets = config.own_secret_files().into_iter().filter(|file| !file.starts_with(state_dir));
    let below: Vec<PathBuf> = secrets.chain([state_dir.to_owned()]).collect();
    let folders = open_folders(&config.dir, &below);
    if !folders.is_empty() {
        warn!(
            apps,
            folders = folders.join(", "),
            "apps run as the appliance's user and can write to the folder of the configuration or to a \
             folder above state_dir or another secret: they could replace what the appliance reads at its next start or reload; \
             let another user own these folders, or start as root with `users = \"per-app\"`"
        );
    }
}

/// The folder of the configuration and those above it, and the folders above `below`, as far as this user
/// can write to them.
fn open_folders(dir: &Path, below: &[PathBuf]) -> Vec<String> {
    let above = below.iter().flat_map(|path| path.ancestors().skip(1));
    let folders: BTreeSet<&Path> = dir.ancestors().chain(above).collect();
    let is_open = |folder: &&Path| access(*folder, AccessFlags::W_OK).is_ok();
    folders.into_iter().filter(is_open).map(|folder| folder.display().to_string()).collect()
}

fn is_own(app: &App) -> bool {
    let Some(run) = &app.run else { return false };
    // An account that does not exist is an error of the app's start.
    run.account().is_ok_and(|account| account.is_none_or(|account| account.uid == geteuid()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn used_folders_above_a_secret_are_closed() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().canonicalize().unwrap().join(name);
        for folder in ["project/state", "conf/secrets", "other"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        fs::write(at("conf/secrets/client"), "").unwrap();
        std::os::unix::fs::symlink("project", at("link")).unwrap();
        let closed = |used: &str| {
            let files = [at("conf/secrets/client"), at("none")];
            !closed_folders(&at("project/state"), &files, [at(used)].into_iter()).is_empty()
        };
        for used in ["", "project", "link", "conf", "conf/secrets"] {
            assert!(closed(used), "{used}");
        }
        assert!(!closed("other") && !closed("missing"));
    }

    #[test]
    fn folders_that_the_user_can_write_to_are_found() {
        if geteuid().is_root() {
            return;
        }
        let top = tempfile::tempdir().unwrap();
        let (conf, state) = (top.path().join("conf"), top.path().join("var/state"));
        for folder in [&conf, &state] {
            fs::create_dir_all(folder).unwrap();
        }
        let shut =
            |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o500)).unwrap();
        let found = || open_folders(&conf, std::slice::from_ref(&state));
        let has = |name: &str| found().contains(&top.path().join(name).display().to_string());
        assert!(has("conf") && has("var") && has("") && !has("var/state"));
        shut(&conf);
        assert!(!has("conf") && has("var"));
        shut(&top.path().join("var"));
        assert!(!has("var"));
        fs::set_permissions(top.path().join("var"), fs::Permissions::from_mode(0o700)).unwrap();
    }
}
