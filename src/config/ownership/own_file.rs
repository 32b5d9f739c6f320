//! The appliance's own files and folders with keys and sessions: they belong to the appliance's user,
//! and no other user has any right to them.

use std::fs::{self, DirBuilder, Metadata, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _,
};
use std::path::Path;

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::{Uid, geteuid};

use super::owner::{Owner, Shown};

/// The text of a key file.
pub(crate) fn read(path: &Path) -> io::Result<String> {
    let flags = O_NOFOLLOW | O_NONBLOCK;
    let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(io::Error::other("it is not a plain file; remove it"));
    }
    belongs_to_us(path, &found)?;
    let mode = found.mode() & 0o7777;
    if mode & 0o077 != 0 {
        let path = path.display();
        let why =
            format!("other users have rights to it (mode {mode:04o}); run `chmod 600 {path}`");
        return Err(io::Error::other(why));
    }
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok(text)
}

/// Writes a key file. A reader sees the old content or the new one, also after a power failure.
pub(crate) fn replace(path: &Path, text: &str) -> io::Result<()> {
    let mut draft = path.as_os_str().to_owned();
    draft.push(".new");
    let draft = Path::new(&draft);
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, path)?;
    path.parent().map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
}

/// Creates the folder if it does not exist, and makes it private.
pub(crate) fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let found = path.symlink_metadata()?;
    if !found.is_dir() {
        return Err(io::Error::other("it is not a folder; remove it"));
    }
    belongs_to_us(path, &found)?;
    if found.mode() & 0o077 != 0 {
        fs::set_permissions(path, Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// Fails if the file or folder belongs to another user.
pub(crate) fn belongs_to_us(path: &Path, found: &Metadata) -> io::Result<()> {
    if found.uid() == geteuid().as_raw() {
        return Ok(());
    }
    let (owner, us) = (Shown(Uid::from_raw(found.uid())), Shown(geteuid()));
    let command = Owner::ourselves().command(path);
    Err(io::Error::other(format!("it belongs to {owner}, not to {us}; run `{command}`")))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;

    #[test]
    fn a_key_file_must_be_private() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        fs::write(&key, "text").unwrap();
        for (mode, good) in [(0o600, true), (0o400, true), (0o640, false), (0o604, false)] {
            fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
            let read = read(&key);
            assert_eq!(read.is_ok(), good, "{mode:o} {read:?}");
        }
        let error = read(&key).unwrap_err().to_string();
        assert!(error.contains(&format!("(mode 0604); run `chmod 600 {}`", key.display())));
    }

    #[test]
    fn a_replaced_key_file_is_private_and_leaves_no_draft() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("ca.key");
        fs::write(folder.path().join("ca.key.new"), "of a crash").unwrap();
        for text in ["one", "two"] {
            replace(&key, text).unwrap();
            assert_eq!(read(&key).unwrap(), text);
        }
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_key_file_of_another_user_or_a_link_is_refused() {
        let top = tempfile::tempdir().unwrap();
        let key = top.path().join("key");
        fs::write(&key, "text").unwrap();
        fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
        symlink("key", top.path().join("link")).unwrap();
        assert!(read(&top.path().join("link")).is_err());
        assert!(read(top.path()).is_err());
        if geteuid().is_root() {
            chown(&key, Some(41_234), None).unwrap();
            let error = read(&key).unwrap_err().to_string();
            let wanted = "it belongs to uid 41234, not to uid 0 (root); run `chown -R 0:0 /";
            assert!(error.starts_with(wanted), "{error}");
        }
    }

    #[test]
    fn a_folder_is_created_or_made_private_and_belongs_to_the_appliance() {
        let top = tempfile::tempdir().unwrap();
        let path = top.path().join("a/sessions");
        folder(&path).unwrap();
        let mode = || path.metadata().unwrap().mode() & 0o7777;
        assert_eq!(mode(), 0o700);
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        folder(&path).unwrap();
        assert_eq!(mode(), 0o700);
        if geteuid().is_root() {
            chown(&path, Some(41_234), None).unwrap();
            assert!(folder(&path).unwrap_err().to_string().contains("belongs to uid 41234"));
        }
        symlink("a", top.path().join("link")).unwrap();
        assert!(folder(&top.path().join("link")).is_err());
    }
}
