//! The folders of an app: its data, what its setup installs, and what its setup downloads.
//!
//! Only the appliance may enter the state folder. The folders of apps with a user lie in
//! `<state_dir>-apps`, or where the variables `APPLIANCE_DATA` and `CACHE_DIRECTORY` say.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::file;
use crate::config::model::reserved::HOMES;
use crate::config::model::{AppName, Users};
use crate::config::ownership::account::{Account, AccountError, OwnUser, resolve};
use crate::config::ownership::app_file;
use crate::config::ownership::user_number::user_number;

/// Folder in the state folder for the data of apps that run as the appliance's user.
const DATA: &str = "data";

/// The variables and settings that the folders of an app follow from.
#[derive(Debug)]
pub(crate) struct Places<'p> {
    pub(crate) users: Users,
    pub(crate) state_dir: &'p Path,
    /// `APPLIANCE_DATA`
    pub(crate) data: Option<PathBuf>,
    /// `CACHE_DIRECTORY`: for what a setup can create again.
    pub(crate) cache: Option<PathBuf>,
    /// `appliance setup`, as in an image build, fills `CACHE_DIRECTORY`. `appliance run` puts new
    /// environments into `APPLIANCE_DATA` if there is one, because a container loses its own files.
    pub(crate) builds_image: bool,
    /// `KEYCLOAK_DATA`
    pub(crate) keycloak_data: Option<PathBuf>,
}

impl Places<'_> {
    /// Name of the folders for what the setup of the app's user installs and downloads; `None` if the app
    /// runs as the appliance's user. Two users never have the same: the name of an app has no dot, and does
    /// not begin with a digit. The name does not depend on the user of the appliance, because root builds an
    /// image that another user may run.
    pub(crate) fn owner(&self, name: &AppName, table: &file::App) -> Option<String> {
        let user = table.user.as_ref().map(|user| user.to_string());
        let is_number = |user: &str| user.bytes().all(|byte| byte.is_ascii_digit());
        match (user, self.users) {
            (Some(user), _) if is_number(&user) => Some(user),
            (Some(user), _) => Some(format!("user.{user}")),
            (None, Users::PerApp) => Some(name.to_string()),
            (None, Users::Same) => None,
        }
    }

    /// The Python environment of apps with this owner: one that was made for the image, otherwise the
    /// place of a new one.
    pub(crate) fn environment(&self, owner: Option<&str>, fingerprint: &str) -> PathBuf {
        let built = self.cache.as_deref().map(|cache| venvs(cache, owner).join(fingerprint));
        let built = built.filter(|built| built.join(".complete").exists());
        built.unwrap_or_else(|| self.installed(owner).join(fingerprint))
    }

    /// The folders in which an environment of apps with this owner may be.
    pub(crate) fn with_environments(&self, owner: Option<&str>) -> Vec<PathBuf> {
        let built = self.cache.as_deref().map(|cache| venvs(cache, owner));
        built.into_iter().chain([self.installed(owner)]).collect()
    }

    /// Folder for the new Python environments of apps with this owner.
    pub(crate) fn installed(&self, owner: Option<&str>) -> PathBuf {
        match (owner, self.kept_cache()) {
            (None, None) => venvs(self.state_dir, owner),
            (_, Some(cache)) => venvs(&cache, owner),
            (Some(_), None) => venvs(&self.beside().join(".cache"), owner),
        }
    }

    pub(crate) fn downloads(&self, owner: &str) -> PathBuf {
        let cache = self.kept_cache().unwrap_or_else(|| self.beside().join(".cache"));
        cache.join("downloads").join(owner)
    }

    pub(crate) fn data(&self, name: &AppName) -> PathBuf {
        self.beside().join(name.as_str())
    }

    /// Home of an app whose user has none: the folder that `{data}` names. Earlier versions made
    /// another folder for apps that run as the appliance's user; an app that has one keeps it.
    pub(crate) fn spare_home(&self, name: &AppName, data: PathBuf) -> PathBuf {
        let earlier = self.state_dir.join(HOMES).join(name.as_str());
        if earlier.is_dir() { earlier } else { data }
    }

    /// The folder that `{data}` names.
    pub(crate) fn own_data(&self, name: &AppName, owner: Option<&str>) -> PathBuf {
        if owner.is_some() || self.data.is_some() {
            return self.data(name);
        }
        self.state_dir.join(DATA).join(name.as_str())
    }

    /// Keycloak's database.
    pub(crate) fn keycloak_data(&self, name: &AppName, owner: Option<&str>) -> PathBuf {
        match &self.keycloak_data {
            Some(given) => given.clone(),
            None if owner.is_some() || self.data.is_some() => self.data(name),
            None => self.state_dir.join("keycloak-data"),
        }
    }

    /// Reads a small file for the app while the file is checked, as the app's user if this user exists.
    pub(crate) fn read(
        &self,
        path: &Path,
        name: &AppName,
        table: &file::App,
    ) -> io::Result<String> {
        app_file::read(path, self.account(name, table).ok().flatten().as_ref(), None)
    }

    /// The same for a realm.
    pub(crate) fn read_realm(
        &self,
        path: &Path,
        name: &AppName,
        table: &file::App,
    ) -> io::Result<String> {
        app_file::read_realm(path, self.account(name, table).ok().flatten().as_ref())
    }

    /// The account that the app will run with; `None` for the appliance's own.
    pub(crate) fn account(
        &self,
        name: &AppName,
        table: &file::App,
    ) -> Result<Option<Account>, AccountError> {
        let user = table.user.as_ref().map(|user| user.to_string());
        let group = table.group.as_ref().map(|group| group.to_string());
        let own = (self.users == Users::PerApp).then(|| OwnUser {
            number: user_number(name.as_str()),
            name: name.to_string(),
            home: PathBuf::new(),
        });
        resolve(user.as_deref(), group.as_deref(), own.as_ref())
    }

    fn beside(&self) -> PathBuf {
        self.data.clone().unwrap_or_else(|| {
            let mut name = self.state_dir.file_name().map_or_else(OsString::new, OsString::from);
            name.push("-apps");
            self.state_dir.with_file_name(name)
        })
    }

    /// Where a variable puts what a setup installs; `None` if neither variable is set.
    fn kept_cache(&self) -> Option<PathBuf> {
        // Not the data folder of an app: the name of an app begins with a letter.
        let in_data = self.data.as_ref().map(|data| data.join(".cache"));
        let in_data = in_data.filter(|_| !self.builds_image || self.cache.is_none());
        in_data.or_else(|| self.cache.clone())
    }
}

fn venvs(folder: &Path, owner: Option<&str>) -> PathBuf {
    let venvs = folder.join("venvs");
    owner.map_or_else(|| venvs.clone(), |owner| venvs.join(owner))
}
