//! How an owner is named to people, and the command that gives a file to another owner.

use std::fmt;
use std::path::Path;

use nix::unistd::{Gid, Uid, User, getegid, geteuid};

/// A user and its group, as `chown` takes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner {
    pub(crate) uid: Uid,
    pub(crate) gid: Gid,
}

impl Owner {
    /// The user and the group that the appliance runs as.
    pub(crate) fn ourselves() -> Self {
        Self { uid: geteuid(), gid: getegid() }
    }

    /// The command that gives everything at this path to this owner.
    pub(crate) fn command(self, path: &Path) -> String {
        format!("chown -R {}:{} {}", self.uid, self.gid, path.display())
    }
}

/// A uid with the name that it has on this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shown(pub(crate) Uid);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match User::from_uid(self.0) {
            Ok(Some(user)) => write!(f, "uid {} ({})", self.0, user.name),
            _ => write!(f, "uid {}", self.0),
        }
    }
}
