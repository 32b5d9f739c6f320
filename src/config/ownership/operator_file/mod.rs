//! Files that the operator names: the configuration, the appliance's own secrets, certificates and bundles
//! of authorities. A wrong
//! path must neither keep the appliance waiting nor fill its memory, and no other user may choose what
//! root reads.

mod links;

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use nix::unistd::geteuid;
use rustix::fs::{CWD, Mode, OFlags, openat};

use super::bounded::{content, refuse_kernel_file};
use super::trusted_path::Trusted;

/// Larger than any configuration and any bundle of certificates, bytes.
pub(crate) const LARGEST: u64 = 16 << 20;

/// The folders of the configurations of this process.
static FOLDERS: RwLock<BTreeSet<PathBuf>> = RwLock::new(BTreeSet::new());

/// From now on, links of the owner of this folder lead everywhere. The owner of the configuration's folder
/// decides which programs root starts, so that this owner gains nothing by a link.
pub(crate) fn trust_owner_of(folder: &Path) {
    FOLDERS.write().unwrap_or_else(PoisonError::into_inner).insert(folder.to_owned());
}

/// The content of a plain file; a device such as `/dev/null` counts as one.
///
/// # Errors
///
/// The file cannot be read, is larger than 16 MiB, or is a pipe, a socket or a folder; or the appliance
/// runs as root, and a link of another user leads to what does not belong to this user.
pub(crate) fn read(path: &Path) -> io::Result<Vec<u8>> {
    read_up_to(path, LARGEST)
}

/// The text of a plain file.
///
/// # Errors
///
/// Those of [`read`], with another size; or the file is not UTF-8.
pub(crate) fn read_text(path: &Path, largest: u64) -> io::Result<String> {
    text(read_up_to(path, largest)?)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8"))
}

fn read_up_to(path: &Path, largest: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    refuse_kernel_file(&file)?;
    let kind = file.metadata()?.file_type();
    if kind.is_fifo() || kind.is_socket() {
        let why = "it is a pipe or a socket, which can be read only once; name a file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    content(file, largest)
}

/// Opens a file without waiting for it. Root follows no link of another user to what does not belong to
/// this user.
pub(super) fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if !geteuid().is_root() {
        return Ok(openat(CWD, path, flags, Mode::empty())?.into());
    }
    let folders = FOLDERS.read().unwrap_or_else(PoisonError::into_inner).clone();
    let trusted = folders.iter().fold(Trusted::ourselves(), |all, one| all.and_owner_of(one));
    links::open(path, &trusted, flags)
}

/// The same, also of a pipe, which the call waits for: for a start with `--config <(…)`.
///
/// # Errors
///
/// The file cannot be read, is larger than 16 MiB, or is one of the kernel.
pub(crate) fn read_once(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let kind = path.metadata()?.file_type();
    let file = if kind.is_file() {
        openat(CWD, path, flags, Mode::empty())?.into()
    } else {
        File::open(path)?
    };
    refuse_kernel_file(&file)?;
    content(file, LARGEST)
}

/// The same as text.
///
/// # Errors
///
/// Those of [`read_once`], or the content is not UTF-8.
pub(crate) fn read_text_once(path: &Path) -> io::Result<String> {
    text(read_once(path)?)
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write as _;

    use nix::sys::stat::Mode;

    use super::*;

    const OF_KERNEL: &str = "it is a file of the kernel below /proc; name another file";

    #[test]
    fn only_what_has_an_end_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("file"), "text").unwrap();
        std::os::unix::fs::symlink(at("file"), at("link")).unwrap();
        // A container may not open `/proc/kmsg`, which never ends.
        std::os::unix::fs::symlink("/proc/uptime", at("kernel")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
        File::create(at("long")).unwrap().set_len(LARGEST + 1).unwrap();
        for (path, wanted) in [
            (at("file"), Ok("text")),
            (at("link"), Ok("text")),
            ("/dev/null".into(), Ok("")),
            (at("pipe"), Err("it is a pipe or a socket, which can be read only once; name a file")),
            (at("long"), Err("it is larger than 16 MiB")),
            ("/dev/zero".into(), Err("it is larger than 16 MiB")),
            ("/proc/version".into(), Err(OF_KERNEL)),
            (at("kernel"), Err(OF_KERNEL)),
            (at("none"), Err("No such file or directory (os error 2)")),
            (folder.path().into(), Err("Is a directory (os error 21)")),
        ] {
            let content = read(&path).map_err(|error| error.to_string());
            let content = content.as_deref().map_err(String::as_str);
            assert_eq!(content, wanted.map(str::as_bytes), "{path:?}");
            if path != at("pipe") {
                let once = read_once(&path).map_err(|error| error.to_string());
                assert_eq!(once.as_deref().map_err(String::as_str), content, "{path:?}");
            }
        }
        std::fs::write(at("latin"), b"\xe9").unwrap();
        assert_eq!(read_text(&at("latin"), 1 << 20).unwrap_err().to_string(), "it is not UTF-8");
        assert_eq!(read_text(&at("file"), 1 << 20).unwrap(), "text");
        let long = read_text(&at("long"), 1 << 20).unwrap_err();
        assert_eq!(long.to_string(), "it is larger than 1 MiB");
    }

    #[test]
    fn a_pipe_is_waited_for_at_a_start() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, Mode::S_IRWXU).unwrap();
        let (name, writer) = (pipe.clone(), move |path: &Path| {
            OpenOptions::new().write(true).open(path).unwrap().write_all(b"text").unwrap();
        });
        let writing = std::thread::spawn(move || writer(&name));
        assert_eq!(read_once(&pipe).unwrap(), b"text");
        writing.join().unwrap();
    }
}
