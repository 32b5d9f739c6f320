//! Opens files below a folder. Links that stay in the folder are followed, others are not
//! (`openat2(2)`, `RESOLVE_BENEATH`). Where it matters whose links these are, [`links`] follows them.

use std::fs::{File, Metadata};
use std::io;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2, readlinkat};
use rustix::io::Errno;

use super::links;
use crate::config::ownership::trusted_path::Trusted;

/// What a path leads to.
#[derive(Debug)]
pub(super) enum Entry {
    /// A plain file, opened for reading.
    File(File, Metadata),
    Folder,
    /// Nothing, or what is neither: a pipe, a socket, a device.
    Nothing,
}

/// The kernel asks for another attempt while folders are renamed.
const ATTEMPTS: usize = 4;
const TO_READ: OFlags =
    OFlags::RDONLY.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Opens a relative path. `trusted`: whose links lead everywhere in the folder, see [`links::walk`].
///
/// # Errors
///
/// The file cannot be read. `EXDEV` (`CrossesDevices`): a link leads out of the folder.
pub(super) fn open(
    folder: BorrowedFd<'_>,
    path: &Path,
    trusted: Option<&Trusted>,
) -> io::Result<Entry> {
    let all = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let allowed = if trusted.is_some() { all | ResolveFlags::NO_SYMLINKS } else { all };
    match open_beneath(folder, path, allowed) {
        Err(Errno::LOOP) if trusted.is_some() => open_walked(folder, path, trusted),
        // Kernels before 5.6, or a container that forbids the call.
        Err(Errno::NOSYS | Errno::PERM) => open_walked(folder, path, trusted),
        entry => entry.map_err(io::Error::from),
    }
    .or_else(|error| match Errno::from_io_error(&error) {
        Some(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::LOOP | Errno::NXIO) => {
            Ok(Entry::Nothing)
        }
        _ => Err(error),
    })
}

fn open_beneath(
    folder: BorrowedFd<'_>,
    path: &Path,
    resolve: ResolveFlags,
) -> Result<Entry, Errno> {
    let open = |flags| {
        let attempt = || openat2(folder, path, flags, Mode::empty(), resolve);
        (1..ATTEMPTS).fold(attempt(), |result, _| match result {
            Err(Errno::AGAIN) => attempt(),
            result => result,
        })
    };
    // Opening a pipe or a device has effects: what it is must be known before.
    match kind(open(OFlags::PATH | OFlags::CLOEXEC)?)? {
        Entry::File(..) => kind(open(TO_READ)?),
        other => Ok(other),
    }
}

fn open_walked(
    folder: BorrowedFd<'_>,
    path: &Path,
    trusted: Option<&Trusted>,
) -> io::Result<Entry> {
    let found = links::walk(folder, path, trusted)?;
    let again = own_path(found.as_fd());
    match kind(found)? {
        Entry::File(held, _) => {
            let opened = openat(rustix::fs::CWD, &again, TO_READ, Mode::empty())?;
            drop(held);
            Ok(kind(opened)?)
        }
        other => Ok(other),
    }
}

fn kind(opened: OwnedFd) -> Result<Entry, Errno> {
    let file = File::from(opened);
    let found =
        file.metadata().map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    Ok(match found.file_type() {
        kind if kind.is_file() => Entry::File(file, found),
        kind if kind.is_dir() => Entry::Folder,
        _ => Entry::Nothing,
    })
}

fn own_path(descriptor: BorrowedFd<'_>) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", descriptor.as_raw_fd()))
}

/// Where an open file or folder is now, without links.
pub(super) fn real_path(descriptor: BorrowedFd<'_>) -> Result<PathBuf, Errno> {
    use std::os::unix::ffi::OsStringExt as _;
    let path = readlinkat(rustix::fs::CWD, own_path(descriptor), Vec::new())?;
    Ok(std::ffi::OsString::from_vec(path.into_bytes()).into())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    type Way = Box<dyn Fn(BorrowedFd<'_>, &Path) -> io::Result<Entry>>;

    /// The ways to open a path, and whether it is walked step by step.
    fn ways() -> [(Way, bool); 3] {
        let all = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        let ours = Trusted::ourselves();
        [
            (Box::new(move |at, path| Ok(open_beneath(at, path, all)?)), false),
            (Box::new(|at, path| open_walked(at, path, None)), true),
            (Box::new(move |at, path| open_walked(at, path, Some(&ours))), true),
        ]
    }

    fn read(file: File) -> String {
        io::read_to_string(file).unwrap()
    }

    #[test]
    fn only_plain_files_of_the_folder_are_opened() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        fs::create_dir_all(at("site/sub")).unwrap();
        fs::create_dir(at("site-2")).unwrap();
        for (name, text) in [("site/a", "a"), ("site/sub/b", "b"), ("site-2/x", "x"), ("out", "o")]
        {
            fs::write(at(name), text).unwrap();
        }
        for (target, name) in [
            ("../a", "site/sub/up"),
            ("sub", "site/folder"),
            ("sub/up", "site/twice"),
            ("../out", "site/out"),
            ("../site-2/x", "site/beside"),
            ("../site/a", "site/round"),
            ("/etc/passwd", "site/absolute"),
            ("/proc/self/environ", "site/process"),
            ("circle", "site/circle"),
            ("missing", "site/dangling"),
            ("/dev/zero", "site/device"),
        ] {
            symlink(target, at(name)).unwrap();
        }
        nix::unistd::mkfifo(&at("site/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let _socket = UnixListener::bind(at("site/socket")).unwrap();
        let folder = fs::File::open(at("site")).unwrap();
        let long = "x".repeat(300);
        let deep = "x/".repeat(3000);
        for (way, is_walked) in ways() {
            for (name, wanted) in [
                ("a", "a"),
                ("sub/b", "b"),
                ("sub/up", "a"),
                ("folder/b", "b"),
                ("twice", "a"),
                ("sub", "folder"),
                ("folder", "folder"),
                (".", "folder"),
                ("pipe", "nothing"),
                ("socket", "nothing"),
                ("missing", "NOENT"),
                ("dangling", "NOENT"),
                ("a/b", "NOTDIR"),
                ("circle", "LOOP"),
                (&long, "NAMETOOLONG"),
                // Step by step, the first part is missing.
                (&deep, if is_walked { "NOENT" } else { "NAMETOOLONG" }),
                ("out", "XDEV"),
                ("beside", "XDEV"),
                ("absolute", "XDEV"),
                ("device", "XDEV"),
                ("process", "XDEV"),
                // Each step out of the folder counts, also one that comes back.
                ("round", "XDEV"),
                ("../out", "XDEV"),
            ] {
                let found = match way(folder.as_fd(), Path::new(name)) {
                    Ok(Entry::File(file, _)) => read(file),
                    Ok(Entry::Folder) => "folder".to_owned(),
                    Ok(Entry::Nothing) => "nothing".to_owned(),
                    Err(error) => {
                        let known = [
                            (Errno::NOENT, "NOENT"),
                            (Errno::NOTDIR, "NOTDIR"),
                            (Errno::LOOP, "LOOP"),
                            (Errno::NAMETOOLONG, "NAMETOOLONG"),
                            (Errno::XDEV, "XDEV"),
                        ];
                        let code = Errno::from_io_error(&error);
                        let name = known.iter().find(|(known, _)| Some(*known) == code);
                        name.map_or_else(|| error.to_string(), |(_, name)| (*name).to_owned())
                    }
                };
                assert_eq!(found, wanted, "{name}, walked: {is_walked}");
            }
        }
    }
}
