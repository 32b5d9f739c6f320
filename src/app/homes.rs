//! `HOME` of apps whose user has no home that it can use: an arbitrary uid has no entry in the user
//! database, and its home is `/`. Many programs do not start if they cannot write to their home.

use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};
use tracing::info;

use crate::config::ownership::account::Account;
use crate::config::{Config, EnvValue, Run};
use crate::supervisor::own_home;

/// Gives these apps a home of their own, which [`super::app_folders`] creates.
pub(super) fn choose(config: &mut Config) {
    let own_home = own_home();
    for app in &mut config.apps {
        let Some(run) = &mut app.run else { continue };
        // The supervisor reports a missing user.
        let Ok(account) = run.account() else { continue };
        run.home = spare_home(run, account.as_ref(), &own_home);
    }
}

/// Logs which apps have one.
pub(super) fn log_homes(config: &Config) {
    let apps = config.apps.iter().filter_map(|app| Some((app, app.run.as_ref()?.home.as_ref()?)));
    let homes: Vec<_> =
        apps.map(|(app, home)| format!("{}={}", app.name, home.display())).collect();
    if !homes.is_empty() {
        let (homes, uid) = (homes.join(", "), geteuid().as_raw());
        info!(
            homes,
            uid, "the home of the user cannot be written: these apps have a HOME of their own"
        );
    }
}

/// `None` if the home of the user can be used, or if the app's table has another `HOME`.
fn spare_home(run: &Run, account: Option<&Account>, own_home: &Path) -> Option<PathBuf> {
    let is_plain_home =
        |(name, value): &(String, EnvValue)| name == "HOME" && matches!(value, EnvValue::Plain(_));
    if run.own_user.is_some() || run.env.iter().any(is_plain_home) {
        return None;
    }
    let is_usable = match account {
        // The folder of a user is the user's business; `/` is nobody's home.
        Some(account) => account.home != Path::new("/"),
        None => is_writable_home(own_home),
    };
    run.folders.spare_home.clone().filter(|_| !is_usable)
}

fn is_writable_home(home: &Path) -> bool {
    home != Path::new("/")
        && home.is_dir()
        && access(home, AccessFlags::W_OK | AccessFlags::X_OK).is_ok()
}

#[cfg(test)]
mod tests {
    use nix::unistd::{Gid, Uid};

    use super::*;

    #[test]
    fn an_app_gets_a_home_if_its_user_has_none_that_can_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("appliance.toml");
        let given = "[apps.given]\ncommand = [\"true\"]\nenv = { HOME = \"/h\" }\n";
        std::fs::write(&path, format!("[apps.app]\ncommand = [\"true\"]\n{given}")).unwrap();
        let config = Config::load(&path, |_| None).unwrap();
        let run = |at: usize| config.apps[at].run.as_ref().unwrap();
        let spare = Some(folder.path().canonicalize().unwrap().join(".appliance/data/app"));
        let no_folder = folder.path().join("file");
        std::fs::write(&no_folder, "").unwrap();
        for (home, wanted) in [
            (folder.path(), None),
            (Path::new("/"), spare.clone()),
            (Path::new("/nonexistent"), spare.clone()),
            (&no_folder, spare.clone()),
        ] {
            assert_eq!(spare_home(run(0), None, home), wanted, "{}", home.display());
            assert_eq!(spare_home(run(1), None, home), None, "its table names a HOME");
        }
        let account = |home: &str| Account {
            uid: Uid::from_raw(41_234),
            gid: Gid::from_raw(41_234),
            groups: Vec::new(),
            name: "x".into(),
            home: home.into(),
        };
        assert_eq!(spare_home(run(0), Some(&account("/nonexistent")), Path::new("/")), None);
        assert_eq!(spare_home(run(0), Some(&account("/")), folder.path()), spare);
    }

    #[test]
    fn the_home_is_the_data_folder_and_an_earlier_home_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("appliance.toml");
        let app = |name| format!("[apps.{name}]\ncommand = [\"true\", \"{{data}}\"]\n");
        std::fs::write(&path, [app("new"), app("old")].concat()).unwrap();
        let state = folder.path().canonicalize().unwrap().join(".appliance");
        std::fs::create_dir_all(state.join("homes/old")).unwrap();
        let config = Config::load(&path, |_| None).unwrap();
        let home = |at: usize| {
            spare_home(config.apps[at].run.as_ref().unwrap(), None, Path::new("/")).unwrap()
        };
        assert_eq!(home(0), state.join("data/new"));
        assert_eq!(config.apps[0].run.as_ref().unwrap().folders.data, Some(home(0)));
        assert_eq!(home(1), state.join("homes/old"));

        // In the image without root, the folders are in the volume beside the state folder.
        let volume = folder.path().join("volume");
        let config = Config::load(&path, |name| {
            (name == "APPLIANCE_DATA").then(|| volume.display().to_string())
        });
        let run = config.unwrap().apps.remove(0).run.unwrap();
        assert_eq!(spare_home(&run, None, Path::new("/")), Some(volume.join("new")));
    }
}
