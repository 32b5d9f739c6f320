//! The user and groups that a child runs as: `user` and `group` of its app, the app's own number with
//! `users = "per-app"`, otherwise those of the appliance.
//!
//! Names are resolved before the fork, because the lookup may allocate and take locks. The child
//! gets the supplementary groups of its user, or only `group` if one is given. A child with a
//! `user` never keeps the appliance's own group. An own number needs no entry in the user database.

use std::ffi::CString;
use std::path::PathBuf;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use super::owner::Owner;

/// A user and its groups, resolved to numbers.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Account {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
    pub(crate) groups: Vec<Gid>,
    /// Value of `USER`.
    pub(crate) name: String,
    /// Value of `HOME`.
    pub(crate) home: PathBuf,
}

/// Why a user or a group cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountError {
    /// The user database has no such user.
    #[error("there is no user {0}: create it, or set another `user`")]
    NoUser(String),
    /// The group database has no such group.
    #[error("there is no group {0}: create it, or set another `group`")]
    NoGroup(String),
    /// A numeric user without an entry has no group of its own.
    #[error("the user {0} has no entry in the user database: set `group` as well")]
    NoOwnGroup(u32),
    /// Only root may change users.
    #[error(
        "only root can run the app as {0}: start the appliance as root, or remove `user` and `group`"
    )]
    NotRoot(String),
}

impl Account {
    /// The owner that the user's files have.
    pub(crate) fn owner(&self) -> Owner {
        Owner { uid: self.uid, gid: self.gid }
    }
}

/// The user that only one app has, by `users = "per-app"`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnUser {
    /// The uid and the gid.
    pub number: u32,
    /// The app's name: `USER`.
    pub name: String,
    /// The app's data folder: `HOME`.
    pub home: PathBuf,
}

/// The account that the app's `user` and `group` name, or that of its own user; `None` if the app
/// keeps the appliance's user.
pub(crate) fn resolve(
    user: Option<&str>,
    group: Option<&str>,
    own: Option<&OwnUser>,
) -> Result<Option<Account>, AccountError> {
    let own_group = group.map(find_group).transpose()?;
    if let Some(own) = own.filter(|_| user.is_none() && Uid::effective().is_root()) {
        let gid = own_group.unwrap_or(Gid::from_raw(own.number));
        let (uid, name, home) = (Uid::from_raw(own.number), own.name.clone(), own.home.clone());
        return Ok(Some(Account { uid, gid, groups: vec![gid], name, home }));
    }
    let account = match (user.map(find_user).transpose()?, own_group) {
        (None, None) => return Ok(None),
        (None, Some(gid)) => with_group(find_uid(Uid::effective()), gid),
        (Some(found), Some(gid)) => with_group(found, gid),
        (Some(Found::Bare(uid)), None) => return Err(AccountError::NoOwnGroup(uid.as_raw())),
        (Some(Found::Entry(entry)), None) => {
            let name = CString::new(entry.name.as_str()).unwrap_or_default();
            let groups = getgrouplist(&name, entry.gid).unwrap_or_else(|_| vec![entry.gid]);
            let User { name, uid, gid, dir: home, .. } = *entry;
            Account { uid, gid, groups, name, home }
        }
    };
    if Uid::effective().is_root() {
        Ok(Some(account))
    } else if account.uid == Uid::effective() && account.gid == Gid::effective() {
        Ok(None)
    } else {
        Err(AccountError::NotRoot(account.name))
    }
}

enum Found {
    Entry(Box<User>),
    /// A number without an entry in the user database.
    Bare(Uid),
}

fn find_user(user: &str) -> Result<Found, AccountError> {
    if let Ok(Some(entry)) = User::from_name(user) {
        return Ok(Found::Entry(Box::new(entry)));
    }
    let uid = user.parse().map_err(|_| AccountError::NoUser(user.to_owned()))?;
    Ok(find_uid(Uid::from_raw(uid)))
}

fn find_uid(uid: Uid) -> Found {
    User::from_uid(uid).ok().flatten().map_or(Found::Bare(uid), |user| Found::Entry(user.into()))
}

fn find_group(group: &str) -> Result<Gid, AccountError> {
    if let Ok(Some(entry)) = Group::from_name(group) {
        return Ok(entry.gid);
    }
    group.parse().map(Gid::from_raw).map_err(|_| AccountError::NoGroup(group.to_owned()))
}

fn with_group(user: Found, gid: Gid) -> Account {
    let (uid, name, home) = match user {
        Found::Entry(entry) => (entry.uid, entry.name, entry.dir),
        Found::Bare(uid) => (uid, uid.to_string(), PathBuf::from("/")),
    };
    Account { uid, gid, groups: vec![gid], name, home }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_user_or_group_is_named() {
        assert_eq!(resolve(None, None, None), Ok(None));
        assert_eq!(
            resolve(Some("no-such-user"), None, None),
            Err(AccountError::NoUser("no-such-user".into()))
        );
        assert_eq!(
            resolve(None, Some("no-such-group"), None),
            Err(AccountError::NoGroup("no-such-group".into()))
        );
        assert_eq!(resolve(Some("424242"), None, None), Err(AccountError::NoOwnGroup(424_242)));
    }

    #[test]
    fn a_user_never_keeps_the_appliances_group() {
        if !Uid::effective().is_root() {
            return;
        }
        let nobody = resolve(Some("nobody"), None, None).unwrap().unwrap();
        assert!(nobody.gid.as_raw() != 0 && !nobody.groups.contains(&Gid::from_raw(0)));
        let bare = resolve(Some("424242"), Some("4242"), None).unwrap().unwrap();
        assert_eq!((bare.uid.as_raw(), bare.gid.as_raw()), (424_242, 4242));
        assert_eq!(bare.groups, [Gid::from_raw(4242)]);
    }

    #[test]
    fn an_own_number_needs_no_entry_and_no_other_group() {
        let own = OwnUser { number: 41_234, name: "app".into(), home: "/data/app".into() };
        let account = resolve(None, None, Some(&own)).unwrap();
        if !Uid::effective().is_root() {
            assert_eq!(account, None);
            return;
        }
        let account = account.unwrap();
        assert_eq!((account.uid.as_raw(), account.gid.as_raw()), (41_234, 41_234));
        assert_eq!(account.groups, [Gid::from_raw(41_234)]);
        assert_eq!((account.name.as_str(), account.home.as_path()), ("app", "/data/app".as_ref()));
        let named = resolve(Some("root"), None, Some(&own)).unwrap().unwrap();
        assert_eq!(named.uid.as_raw(), 0);
        let other = resolve(None, Some("4242"), Some(&own)).unwrap().unwrap();
        assert_eq!((other.uid.as_raw(), other.groups), (41_234, vec![Gid::from_raw(4242)]));
    }
}
