//! Warns of files of one app that all apps of the appliance's own user can read: no means of the kernel that
//! the appliance uses hides them.

use std::collections::BTreeSet;

use nix::unistd::{AccessFlags, access};
use tracing::warn;

use crate::config::{App, Config};

/// More names make a line unreadable.
const NAMED: usize = 5;

/// `own`: the apps that run as the appliance's own user, which is not root.
pub(super) fn warn_of(config: &Config, own: &[&App]) {
    let mut files = files(config, own).into_iter();
    let named: Vec<String> = files.by_ref().take(NAMED).collect();
    if !named.is_empty() {
        warn!(
            files = named.join(", "),
            and_more = files.count(),
            "apps run as the appliance's user: each of them can read these files of the others, and \
             change those that this user can change; start as root with `users = \"per-app\"`"
        );
    }
}

/// The files that variables of an app come from, if there is an app of the same user that is not given them.
pub(super) fn files(config: &Config, own: &[&App]) -> BTreeSet<String> {
    // These are hidden.
    let of_appliance = config.own_secret_files();
    let given: Vec<_> = own.iter().map(|app| app.environment_files()).collect();
    let is_shared = |path: &&std::path::Path| {
        given.iter().any(|files| !files.contains(path))
            && !of_appliance.iter().any(|own| own == path)
            && access(*path, AccessFlags::R_OK).is_ok()
    };
    let all = given.iter().flatten().copied().filter(is_shared);
    all.map(|path| path.display().to_string()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn files_that_another_app_is_not_given_are_shared() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        fs::write(path("a.env"), "MODE=1\n").unwrap();
        fs::write(path("secret"), "s3cret\n").unwrap();
        let (a, secret) = (path("a.env"), path("secret"));
        let one = format!("[apps.one]\ncommand = [\"true\"]\nenv_file = \"{a}\"\n");
        let two = "[apps.two]\ncommand = [\"true\"]\n";
        let same = format!("{two}env_file = \"{a}\"\n");
        let other = format!("{two}env = {{ KEY = {{ file = \"{secret}\" }} }}\n");
        let missing = format!("{two}env_file = \"{}\"\n", path("none"));
        for (text, wanted) in [
            (one.clone(), vec![]),
            ([&one, two].concat(), vec![&a]),
            ([one.clone(), same].concat(), vec![]),
            ([one.clone(), other].concat(), vec![&a, &secret]),
            ([one, missing].concat(), vec![&a]),
        ] {
            let path = folder.path().join("appliance.toml");
            fs::write(&path, &text).unwrap();
            let config = Config::load(&path, |_| None).unwrap();
            let own: Vec<_> = config.apps.iter().collect();
            let found: Vec<_> = files(&config, &own).into_iter().collect();
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted, "{text}");
        }
    }
}
