//! The apps that have other rights than the appliance, and what they can change.

use nix::unistd::geteuid;

use crate::config::model::{App, Config};
use crate::config::ownership::account::Account;
use crate::config::ownership::reach::{Changeable, Way};

/// More names make a message unreadable.
const NAMED: usize = 5;

/// An app with a user that is neither root nor that of the appliance.
pub(super) struct Tenant<'c> {
    pub(super) app: &'c App,
    pub(super) account: Account,
}

/// The app whose user can change a file or its place, and the part that it can change.
pub(crate) struct Changer<'c> {
    pub(crate) app: &'c App,
    pub(crate) what: Changeable,
}

/// The apps whose users can read a file.
pub(super) struct Readers {
    /// The names of the apps.
    pub(super) names: String,
    /// The mode of the file.
    pub(super) mode: u32,
}

impl Config {
    /// An app whose user can replace this configuration: it could start programs as root.
    pub(crate) fn changer(&self) -> Option<Changer<'_>> {
        changer(&Way::to(&self.path), &self.tenants())
    }

    /// None without root.
    pub(super) fn tenants(&self) -> Vec<Tenant<'_>> {
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

pub(super) fn changer<'t, 'c: 't>(
    way: &Way,
    tenants: impl IntoIterator<Item = &'t Tenant<'c>>,
) -> Option<Changer<'c>> {
    tenants.into_iter().find_map(|tenant| {
        let what = way.changeable_by(&tenant.account)?;
        Some(Changer { app: tenant.app, what })
    })
}

pub(super) fn readers<'t, 'c: 't>(
    way: &Way,
    tenants: impl IntoIterator<Item = &'t Tenant<'c>>,
) -> Option<Readers> {
    let readers = tenants
        .into_iter()
        .filter_map(|tenant| Some((tenant.app.name.as_str(), way.readable_by(&tenant.account)?)));
    let (names, modes): (Vec<_>, Vec<_>) = readers.unzip();
    let mode = *modes.first()?;
    let unnamed = names.len().saturating_sub(NAMED);
    let others = if unnamed == 0 { String::new() } else { format!(" and {unnamed} more") };
    let names = names.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
    Some(Readers { names: format!("{names}{others}"), mode })
}
