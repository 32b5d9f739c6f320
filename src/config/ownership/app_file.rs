//! Files that the appliance reads on behalf of an app with another user: `env_file` and secrets of
//! its `env`. Such a file is read with the rights of that user. A file that the user may not read,
//! as a mounted secret of root's, is read by us only where no other user can redirect its path.
//! Otherwise the app could make it a link to what only root may read.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};
use rustix::io::Errno;

use super::account::Account;
use super::as_user::as_user;
use super::owner::Shown;
use super::trusted_path::{Trusted, Untrusted, follow};

/// Far more than any environment can hold.
const LONGEST: u64 = 1 << 20;

/// The text of a file for an app that runs with this account.
pub(crate) fn read(path: &Path, account: Option<&Account>) -> io::Result<String> {
    let Some(account) = account.filter(|account| account.uid != geteuid()) else {
        return std::fs::read_to_string(path);
    };
    let theirs = path.to_owned();
    let error = match as_user(account, move || text_of(open_plainly(&theirs)?)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
        text => return text,
    };
    let ours = match open_trusted(path) {
        Ok(Some(file)) => return text_of(file),
        Ok(None) => return Err(io::ErrorKind::NotFound.into()),
        Err(Untrusted::Unreadable { error, .. }) => return Err(error),
        Err(untrusted) => untrusted,
    };
    let user = Shown(account.uid);
    Err(io::Error::new(error.kind(), format!("{user} may not read it, and {ours}")))
}

/// Text of a file whose name an app's user may have chosen: never waits, and stays small.
pub(crate) fn read_plainly(path: &Path) -> io::Result<String> {
    text_of(open_plainly(path)?)
}

/// Does not follow the links of `/proc`, which lead to descriptors of our own process.
fn open_plainly(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        Ok(descriptor) => Ok(descriptor.into()),
        // Kernels before 5.6, or a container that forbids the call.
        Err(Errno::NOSYS | Errno::PERM) => {
            OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path)
        }
        Err(error) => Err(error.into()),
    }
}

/// `None` when it is not there.
fn open_trusted(path: &Path) -> Result<Option<File>, Untrusted> {
    let trusted = Trusted::ourselves();
    let place = follow(path, &trusted)?;
    let Some(found) = place.found else { return Ok(None) };
    trusted.check(&place.path, &found)?;
    let opened = open_plainly(&place.path);
    let path: PathBuf = place.path;
    opened.map(Some).map_err(|error| Untrusted::Unreadable { path, error })
}

fn text_of(file: File) -> io::Result<String> {
    let kind = file.metadata()?.file_type();
    if !kind.is_file() && !kind.is_char_device() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    let mut text = String::new();
    if file.take(LONGEST + 1).read_to_string(&mut text)? as u64 > LONGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it is larger than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

    use nix::unistd::{Gid, Uid};

    use super::*;

    fn somebody() -> Account {
        let gid = Gid::from_raw(41_234);
        let (uid, name, home) = (Uid::from_raw(41_234), "app".to_owned(), "/".into());
        Account { uid, gid, groups: vec![gid], name, home }
    }

    /// A folder of the app's user and one of root's, below a folder that everybody may enter.
    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let (theirs, ours) = (folder.path().join("theirs"), folder.path().join("ours"));
        fs::create_dir(&theirs).unwrap();
        fs::create_dir(&ours).unwrap();
        chown(&theirs, Some(41_234), Some(41_234)).unwrap();
        fs::write(ours.join("secret"), "of root\n").unwrap();
        fs::set_permissions(ours.join("secret"), Permissions::from_mode(0o600)).unwrap();
        (folder, theirs, ours)
    }

    #[test]
    fn an_app_does_not_get_by_a_link_what_only_root_may_read() {
        if !geteuid().is_root() {
            return;
        }
        let (_folder, theirs, ours) = folders();
        let app = somebody();
        symlink(ours.join("secret"), theirs.join("link")).unwrap();
        symlink(&ours, theirs.join("folder")).unwrap();
        symlink("/proc/self/environ", theirs.join("process")).unwrap();
        for name in ["link", "folder/secret", "process", "folder/../ours/secret"] {
            let error = read(&theirs.join(name), Some(&app)).unwrap_err().to_string();
            assert!(error.contains("uid 41234 may not read it, and"), "{name}: {error}");
            assert!(error.contains("theirs belongs to uid 41234, not to uid 0"), "{name}: {error}");
        }
        // Its folder shut: now it is somebody else's link to find.
        fs::set_permissions(&ours, Permissions::from_mode(0o777)).unwrap();
        let error = read(&ours.join("secret"), Some(&app)).unwrap_err().to_string();
        assert!(error.contains("other users can write to"), "{error}");
    }

    #[test]
    fn an_app_gets_its_own_files_and_those_that_root_put_there_for_it() {
        if !geteuid().is_root() {
            return;
        }
        let (_folder, theirs, ours) = folders();
        let app = somebody();
        fs::write(theirs.join("vars"), "own").unwrap();
        chown(theirs.join("vars"), Some(41_234), None).unwrap();
        fs::set_permissions(theirs.join("vars"), Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&theirs.join("vars"), Some(&app)).unwrap(), "own");
        assert_eq!(read(&ours.join("secret"), Some(&app)).unwrap(), "of root\n");
        // Kubernetes mounts secrets as links of root's.
        symlink("secret", ours.join("mounted")).unwrap();
        assert_eq!(read(&ours.join("mounted"), Some(&app)).unwrap(), "of root\n");
        assert_eq!(read(Path::new("/dev/null"), Some(&app)).unwrap(), "");
        for missing in [theirs.join("no"), ours.join("no"), theirs.join("no/no")] {
            let error = read(&missing, Some(&app)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
        assert_eq!(read(&ours.join("secret"), None).unwrap(), "of root\n");
    }

    #[test]
    fn what_would_hold_us_up_or_fill_our_memory_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read_plainly(&pipe).unwrap_err().to_string().contains("not a plain file"));
        assert!(read_plainly(Path::new("/dev/zero")).unwrap_err().to_string().contains("1 MiB"));
        assert!(read_plainly(folder.path()).is_err());
    }
}
