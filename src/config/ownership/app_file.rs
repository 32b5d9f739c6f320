//! Files that the appliance reads on behalf of an app: `env_file`, the secrets in its `env`, and what
//! its preset needs to know of the app's folder. Only plain files up to a size are read, so that no
//! app can block the appliance or fill its memory. The file of an app with another user is read with the
//! rights of that user. A file that the user may not read, as a mounted secret that belongs to root, is
//! read as root only if no other user can redirect its path. Otherwise the app could replace the file by a
//! link to a file that only root may read.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
use rustix::fs::{CWD, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstatfs, openat2};
use rustix::io::Errno;

use super::account::Account;
use super::as_user::as_user;
use super::bounded::content;
use super::operator_file;
use super::owner::Shown;
use super::trusted_path::{Trusted, Untrusted, follow};

/// More than any environment, any list of packages and any note of a setup.
const LONGEST: u64 = 1 << 20;
/// More than any realm with its users.
const LONGEST_REALM: u64 = 1 << 28;

/// `/dev/null`, which stands for an empty file: major number 1, minor number 3.
const NULL_DEVICE: u64 = 1 << 8 | 3;

/// Refuses an opened file that no app gets, whatever link leads to it.
pub(crate) type Refuse<'a> = &'a dyn Fn(&File) -> io::Result<()>;

/// The text of a file for an app that runs with this account. An app with the appliance's user may have
/// replaced the file by a link to one that it cannot read itself.
pub(crate) fn read(
    path: &Path,
    account: Option<&Account>,
    refuse: Option<Refuse<'_>>,
) -> io::Result<String> {
    let Some(account) = account.filter(|account| account.uid != geteuid()) else {
        let file =
            if geteuid().is_root() { operator_file::open(path)? } else { open_plainly(path)? };
        if let Some(refuse) = refuse {
            refuse(&file)?;
            if fstatfs(&file)?.f_type == PROC_SUPER_MAGIC {
                return Err(io::Error::other("it describes a process"));
            }
        }
        return text_of(file, LONGEST);
    };
    read_within(path, account, LONGEST, refuse)
}

/// The text of a realm for an app with this account. A realm may contain many users.
pub(crate) fn read_realm(path: &Path, account: Option<&Account>) -> io::Result<String> {
    match account.filter(|account| account.uid != geteuid()) {
        Some(account) => read_within(path, account, LONGEST_REALM, None),
        None => text_of(open_plainly(path)?, LONGEST_REALM),
    }
}

/// Whether the app's user can change what the path leads to: the file, or a folder or a link on the
/// way, belongs to that user. A mistake there is the app's, not one of the configuration.
pub(crate) fn belongs_to_app(path: &Path, account: Option<&Account>) -> bool {
    let Some(account) = account.filter(|account| account.uid != geteuid()) else { return false };
    let owned = |part: &Path| {
        part.symlink_metadata().is_ok_and(|found| found.uid() == account.uid.as_raw())
    };
    // The app may have removed the file.
    let folder = || path.parent().and_then(|folder| folder.canonicalize().ok());
    let real = path.canonicalize().ok().or_else(folder);
    path.ancestors().chain(real.iter().flat_map(|real| real.ancestors())).any(owned)
}

/// Looks at files in a folder of an app with this account, with the rights of its user.
pub(crate) fn look<T: Send + 'static>(
    account: Option<&Account>,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    match account.filter(|account| account.uid != geteuid()) {
        Some(account) => as_user(account, work),
        None => work(),
    }
}

/// The text of a plain file, with the rights that the thread has.
pub(crate) fn plain_text(path: &Path) -> io::Result<String> {
    text_of(open_plainly(path)?, LONGEST)
}

fn read_within(
    path: &Path,
    account: &Account,
    longest: u64,
    refuse: Option<Refuse<'_>>,
) -> io::Result<String> {
    let own = path.to_owned();
    let error = match as_user(account, move || text_of(open_plainly(&own)?, longest)) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => error,
        text => return text,
    };
    let untrusted = match open_trusted(path) {
        Ok(Some(file)) => {
            refuse.map_or(Ok(()), |refuse| refuse(&file))?;
            return text_of(file, longest);
        }
        Ok(None) => return Err(io::ErrorKind::NotFound.into()),
        Err(Untrusted::Unreadable { error, .. }) => return Err(error),
        Err(untrusted) => untrusted,
    };
    let user = Shown(account.uid);
    Err(io::Error::new(error.kind(), format!("{user} may not read it, and {untrusted}")))
}

/// Does not follow the links in `/proc`, which lead to descriptors of this process.
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

/// `None` if the file does not exist.
fn open_trusted(path: &Path) -> Result<Option<File>, Untrusted> {
    let trusted = Trusted::ourselves();
    let place = follow(path, &trusted)?;
    let Some(found) = place.found else { return Ok(None) };
    trusted.check(&place.path, &found)?;
    let opened = open_plainly(&place.path);
    let path: PathBuf = place.path;
    opened.map(Some).map_err(|error| Untrusted::Unreadable { path, error })
}

fn text_of(file: File, longest: u64) -> io::Result<String> {
    let found = file.metadata()?;
    let is_null = found.file_type().is_char_device() && found.rdev() == NULL_DEVICE;
    if !found.is_file() && !is_null {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a plain file"));
    }
    // For an app that has linked it there, it would tell of the appliance.
    if found.is_file() && fstatfs(&file)?.f_type == PROC_SUPER_MAGIC {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is in /proc"));
    }
    io::read_to_string(&content(file, longest)?[..])
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

    /// A folder of the app's user and a folder of root, below a folder that every user may enter.
    fn folders() -> (tempfile::TempDir, PathBuf, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        let (app_dir, root_dir) = (folder.path().join("app_dir"), folder.path().join("root_dir"));
        fs::create_dir(&app_dir).unwrap();
        fs::create_dir(&root_dir).unwrap();
        chown(&app_dir, Some(41_234), Some(41_234)).unwrap();
        fs::write(root_dir.join("secret"), "of root\n").unwrap();
        fs::set_permissions(root_dir.join("secret"), Permissions::from_mode(0o600)).unwrap();
        (folder, app_dir, root_dir)
    }

    #[test]
    fn a_link_does_not_give_an_app_a_file_of_root() {
        if !geteuid().is_root() {
            return;
        }
        let (_folder, app_dir, root_dir) = folders();
        let app = somebody();
        symlink(root_dir.join("secret"), app_dir.join("link")).unwrap();
        symlink(&root_dir, app_dir.join("folder")).unwrap();
        symlink("/proc/self/environ", app_dir.join("process")).unwrap();
        for name in ["link", "folder/secret", "process", "folder/../root_dir/secret"] {
            let error = read(&app_dir.join(name), Some(&app), None).unwrap_err().to_string();
            assert!(error.contains("uid 41234 may not read it, and"), "{name}: {error}");
            assert!(
                error.contains("app_dir belongs to uid 41234, not to uid 0"),
                "{name}: {error}"
            );
        }
        fs::set_permissions(&root_dir, Permissions::from_mode(0o777)).unwrap();
        let error = read(&root_dir.join("secret"), Some(&app), None).unwrap_err().to_string();
        assert!(error.contains("other users can write to"), "{error}");
    }

    #[test]
    fn an_app_gets_its_own_files_and_root_files_in_trusted_folders() {
        if !geteuid().is_root() {
            return;
        }
        let (_folder, app_dir, root_dir) = folders();
        let app = somebody();
        fs::write(app_dir.join("vars"), "own").unwrap();
        chown(app_dir.join("vars"), Some(41_234), None).unwrap();
        fs::set_permissions(app_dir.join("vars"), Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read(&app_dir.join("vars"), Some(&app), None).unwrap(), "own");
        assert_eq!(read(&root_dir.join("secret"), Some(&app), None).unwrap(), "of root\n");
        // Kubernetes mounts secrets as links that belong to root.
        symlink("secret", root_dir.join("mounted")).unwrap();
        assert_eq!(read(&root_dir.join("mounted"), Some(&app), None).unwrap(), "of root\n");
        assert_eq!(read(Path::new("/dev/null"), Some(&app), None).unwrap(), "");
        for missing in [app_dir.join("no"), root_dir.join("no"), app_dir.join("no/no")] {
            let error = read(&missing, Some(&app), None).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        }
        assert_eq!(read(&root_dir.join("secret"), None, None).unwrap(), "of root\n");
    }

    #[test]
    fn a_file_is_the_apps_if_its_user_can_change_it() {
        if !geteuid().is_root() {
            return;
        }
        let (_folder, app_dir, root_dir) = folders();
        let app = somebody();
        symlink(root_dir.join("secret"), app_dir.join("link")).unwrap();
        symlink(&app_dir, root_dir.join("folder")).unwrap();
        for path in [app_dir.join("missing"), app_dir.join("link"), root_dir.join("folder/missing")]
        {
            assert!(belongs_to_app(&path, Some(&app)), "{path:?}");
        }
        fs::write(app_dir.join("vars"), "own").unwrap();
        assert!(belongs_to_app(&root_dir.join("folder/vars"), Some(&app)));
        for path in [root_dir.join("secret"), root_dir.join("missing")] {
            assert!(!belongs_to_app(&path, Some(&app)), "{path:?}");
        }
        assert!(!belongs_to_app(&app_dir.join("vars"), None));
    }

    #[test]
    fn pipes_folders_and_endless_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let refusal = |path: &Path| plain_text(path).unwrap_err().to_string();
        assert_eq!(refusal(&pipe), "it is not a plain file");
        assert_eq!(refusal(folder.path()), "it is not a plain file");
        assert_eq!(refusal(Path::new("/dev/zero")), "it is not a plain file");
        let link = folder.path().join("link");
        symlink("/dev/zero", &link).unwrap();
        for read in [
            read_realm(&link, None),
            read(&link, None, None),
            look(None, move || plain_text(&link)),
        ] {
            assert_eq!(read.unwrap_err().to_string(), "it is not a plain file");
        }
        let large = folder.path().join("large");
        File::create(&large).unwrap().set_len(LONGEST + 1).unwrap();
        assert_eq!(refusal(&large), "it is larger than 1 MiB");
        assert!(read_realm(&large, None).is_ok());
        assert_eq!(plain_text(Path::new("/dev/null")).unwrap(), "");
    }

    #[test]
    fn a_pipe_blocks_nobody_and_a_refused_file_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, file) = (folder.path().join("pipe"), folder.path().join("file"));
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        fs::write(&file, "text").unwrap();
        assert!(read(&pipe, None, None).is_err());
        assert_eq!(read(&file, None, Some(&|_| Ok(()))).unwrap(), "text");
        assert!(read(&file, None, Some(&|_| Err(io::Error::other("no")))).is_err());
    }
}
