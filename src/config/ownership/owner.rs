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

/// The uid that the kernel shows for owners outside of a user namespace, as of `/` after `unshare
/// --user`. No process inside the namespace can have such an owner's uid.
pub(crate) fn unmapped_uid() -> Option<u32> {
    let read = |path| std::fs::read_to_string(path).ok();
    let overflow = read("/proc/sys/kernel/overflowuid")?.trim().parse().ok()?;
    (!is_mapped(&read("/proc/self/uid_map")?, overflow)).then_some(overflow)
}

/// Whether one of the ranges of a `uid_map` (first uid inside, first uid outside, length) has the uid.
fn is_mapped(map: &str, uid: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_ascii_whitespace().map(|word| word.parse().unwrap_or(0_u64));
        let (first, _, length) = (numbers.next(), numbers.next(), numbers.next());
        let first = first.unwrap_or_default();
        (first..first + length.unwrap_or_default()).contains(&u64::from(uid))
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_map_without_the_uid_leaves_it_out() {
        for (map, mapped) in [
            ("         0          0 4294967295\n", true),
            ("         0     100000      65536\n", true),
            ("         0       1000          1\n", false),
            ("0 1000 1\n1 100000 65534\n", true),
            ("0 1000 1\n1 100000 65533\n", false),
        ] {
            assert_eq!(is_mapped(map, 65_534), mapped, "{map}");
        }
    }
}
