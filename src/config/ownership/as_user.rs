//! File access by root with the rights of an app's user. A thread takes on the user, the group and
//! the supplementary groups for file access, as an NFS server does, then works and ends. For
//! everything else the thread stays root, so that the user can neither signal nor trace it.

use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::unistd::{Uid, setfsgid, setfsuid};

use super::account::Account;

/// The file may be on a file system that the user runs and that never answers.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Does the work as that user.
pub(crate) fn as_user<T: Send + 'static>(
    account: &Account,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let account = account.clone();
    let (tell, told) = mpsc::channel();
    thread::Builder::new().name("as-user".to_owned()).spawn(move || {
        let done = take_on(&account).and_then(|()| work());
        // The receiver is gone after the timeout.
        let _ = tell.send(done);
    })?;
    told.recv_timeout(TIMEOUT).unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
}

/// Changes this thread only.
fn take_on(account: &Account) -> io::Result<()> {
    let groups: Vec<_> =
        account.groups.iter().map(|group| rustix::process::Gid::from_raw(group.as_raw())).collect();
    rustix::thread::set_thread_groups(&groups)?;
    setfsgid(account.gid);
    setfsuid(account.uid);
    // setfsuid does not report failures. With an invalid uid it changes nothing and returns the uid in use.
    let nobody = Uid::from_raw(u32::MAX);
    if setfsuid(nobody) == account.uid {
        Ok(())
    } else {
        Err(io::ErrorKind::PermissionDenied.into())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use nix::unistd::{Gid, geteuid};

    use super::*;

    #[test]
    fn only_files_of_the_user_open_and_the_process_stays_root() {
        if !geteuid().is_root() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let file = folder.path().join("file");
        fs::write(&file, "text").unwrap();
        let gid = Gid::from_raw(41_235);
        let account = Account {
            uid: Uid::from_raw(41_234),
            gid,
            groups: vec![gid],
            name: "app".into(),
            home: "/".into(),
        };
        let read = || {
            let file = file.clone();
            as_user(&account, move || fs::read_to_string(file))
        };
        for (mode, group, good) in
            [(0o644, 0, true), (0o640, 0, false), (0o640, 41_235, true), (0o600, 41_235, false)]
        {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            std::os::unix::fs::chown(&file, None, Some(group)).unwrap();
            assert_eq!(read().is_ok(), good, "{mode:o} {group}");
            assert!(fs::read(&file).is_ok());
        }
    }
}
