//! Hides the secrets by a mount namespace of the child. Without root this needs a user namespace,
//! which many containers and some distributions forbid.
//!
//! `state_dir` is covered as a whole by a new folder, in which the folders of apps and the control
//! socket are shown; in place of each secret is a file that cannot be opened. A key that is replaced
//! later, or a new secret, is therefore hidden as well, and the child can neither move the folder nor
//! put anything into it. For a step of a setup that
//! creates a file or folder directly in `state_dir`, each secret is covered by itself.

use std::ffi::{CStr, CString};
use std::fs::{self, FileType};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::stat::{Mode, fstat};
use nix::unistd::{chdir, fchdir, geteuid, mkdir, symlinkat};

use super::secrets::{Identity, Outside, Secrets, identity_of, is_hidden};
use super::{Hidden, Means};

const NOTHING: Option<&CStr> = None;

/// All paths, and the identity of `state_dir`, prepared before the fork.
#[derive(Debug)]
pub(crate) struct Covers {
    state_dir: Folder,
    inside: Inside,
    outside: Vec<Cover>,
    cwd: CString,
    /// Without root; made after the fork.
    user_namespace: Option<OwnedFd>,
}

/// A folder and what it must be when it is entered.
#[derive(Debug)]
struct Folder {
    path: CString,
    identity: Identity,
}

/// A cover outside of `state_dir`.
#[derive(Debug)]
struct Cover {
    folder: Folder,
    /// The covered file in the folder; `None`: the folder itself.
    file: Option<CString>,
}

/// What becomes of the entries of `state_dir`.
#[derive(Debug)]
enum Inside {
    /// The folder is covered, and these are its entries.
    Shown(Vec<Entry>),
    /// Only these are covered; named relative to `state_dir`.
    Covered { files: Vec<CString>, folders: Vec<CString> },
}

/// An entry that is shown.
#[derive(Debug)]
struct Entry {
    /// Relative to `state_dir`.
    name: CString,
    /// Its place, which the cover hides.
    place: CString,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Folder,
    Socket,
    Link(CString),
    SecretFile,
    SecretFolder,
}

impl Covers {
    pub(super) fn of(secrets: &Secrets, hidden: &Hidden<'_>) -> io::Result<Self> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(&secrets.state_dir.path)? {
            let entry = entry?;
            entries.push((entry.path(), entry.file_type()?));
        }
        let inside = if hidden.is_bare(Means::Namespace, secrets) {
            covered(&entries)?
        } else {
            shown(&entries)?
        };
        let outside = secrets.outside(hidden.is_given).into_iter();
        let outside =
            outside.map(|outside| Cover::of(secrets, &outside)).collect::<Result<_, _>>()?;
        Ok(Self {
            state_dir: Folder {
                path: c_string(&secrets.state_dir.path)?,
                identity: secrets.state_dir.identity,
            },
            inside,
            outside,
            cwd: c_string(&std::path::absolute(hidden.cwd)?)?,
            user_namespace: None,
        })
    }

    /// Takes the user namespace that `apply` enters, if it needs one.
    pub(super) fn begin(
        &mut self,
        new_user_namespace: impl FnOnce() -> nix::Result<OwnedFd>,
    ) -> nix::Result<()> {
        if !geteuid().is_root() {
            self.user_namespace = Some(new_user_namespace()?);
        }
        Ok(())
    }

    pub(super) fn apply(&self) -> nix::Result<()> {
        self.enter_namespace()?;
        for Cover { folder, file } in &self.outside {
            folder.enter()?;
            match file {
                Some(name) => cover_file(name)?,
                None => cover_folder(c".", c"mode=000,size=4k")?,
            }
        }
        self.state_dir.enter()?;
        match &self.inside {
            Inside::Shown(entries) => self.show(entries)?,
            Inside::Covered { files, folders } => {
                for name in files {
                    cover_file(name)?;
                }
                for name in folders {
                    cover_folder(name, c"mode=000,size=4k")?;
                }
                // A folder that is mounted cannot be moved.
                mount(Some(c"."), c".", NOTHING, MsFlags::MS_BIND | MsFlags::MS_REC, NOTHING)?;
            }
        }
        // The working directory of before is below the covers if it is in state_dir.
        chdir(&*self.cwd)
    }

    fn enter_namespace(&self) -> nix::Result<()> {
        if let Some(namespace) = &self.user_namespace {
            setns(namespace, CloneFlags::CLONE_NEWUSER)?;
        }
        unshare(CloneFlags::CLONE_NEWNS)?;
        // Later mounts of the system appear in this namespace; mounts of this namespace stay in it.
        let receive = MsFlags::MS_REC | MsFlags::MS_SLAVE;
        mount(NOTHING, c"/", NOTHING, receive, NOTHING)
    }

    /// Covers the working directory, which stays the covered folder, and shows its entries.
    fn show(&self, entries: &[Entry]) -> nix::Result<()> {
        mount(
            Some(c"none"),
            c".",
            Some(c"tmpfs"),
            shut() - MsFlags::MS_RDONLY,
            Some(c"mode=700,size=64k"),
        )?;
        for entry in entries {
            entry.show()?;
        }
        let again = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | shut();
        mount(NOTHING, &*self.state_dir.path, NOTHING, again, NOTHING)
    }
}

impl Folder {
    /// Makes this folder the working directory, so that what follows cannot be directed to another
    /// one.
    fn enter(&self) -> nix::Result<()> {
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let folder = open(&*self.path, flags, Mode::empty())?;
        let found = fstat(&folder)?;
        if (found.st_dev, found.st_ino) != self.identity {
            return Err(Errno::ESTALE);
        }
        fchdir(&folder)
    }
}

impl Cover {
    fn of(secrets: &Secrets, outside: &Outside) -> io::Result<Self> {
        let (path, file) = match outside {
            Outside::Folder(path) => (path.as_path(), None),
            Outside::File(path) => (path.parent().unwrap_or(path), Some(name_of(path)?)),
        };
        let identity = match secrets.identity_at_start(path) {
            Some(identity) => identity,
            None => identity_of(&path.symlink_metadata()?),
        };
        Ok(Self { folder: Folder { path: c_string(path)?, identity }, file })
    }
}

impl Entry {
    fn show(&self) -> nix::Result<()> {
        let place = &*self.place;
        match &self.kind {
            Kind::Folder => {
                mkdir(place, Mode::S_IRWXU)?;
                self.bind()
            }
            Kind::Socket => {
                make_file(place)?;
                self.bind()
            }
            Kind::Link(target) => symlinkat(&**target, AT_FDCWD, place),
            Kind::SecretFile => {
                make_file(place)?;
                cover_file(place)
            }
            Kind::SecretFolder => mkdir(place, Mode::empty()),
        }
    }

    fn bind(&self) -> nix::Result<()> {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REC;
        match mount(Some(&*self.name), &*self.place, NOTHING, flags, NOTHING) {
            // It was removed meanwhile.
            Err(Errno::ENOENT) => Ok(()),
            done => done,
        }
    }
}

fn make_file(path: &CStr) -> nix::Result<()> {
    let flags = OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    open(path, flags, Mode::empty()).map(drop)
}

fn shown(entries: &[(PathBuf, FileType)]) -> io::Result<Inside> {
    use std::os::unix::fs::FileTypeExt as _;

    let mut shown = Vec::new();
    for (path, kind) in entries {
        let kind = match kind {
            kind if kind.is_symlink() => Kind::Link(c_string(&fs::read_link(path)?)?),
            kind if kind.is_socket() => Kind::Socket,
            kind if !is_hidden(path, *kind) => Kind::Folder,
            kind if kind.is_dir() => Kind::SecretFolder,
            _ => Kind::SecretFile,
        };
        shown.push(Entry { name: name_of(path)?, place: c_string(path)?, kind });
    }
    Ok(Inside::Shown(shown))
}

fn covered(entries: &[(PathBuf, FileType)]) -> io::Result<Inside> {
    use std::os::unix::fs::FileTypeExt as _;

    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for (path, kind) in entries {
        if kind.is_socket() || kind.is_symlink() || !is_hidden(path, *kind) {
            continue;
        }
        if kind.is_dir() { &mut folders } else { &mut files }.push(name_of(path)?);
    }
    Ok(Inside::Covered { files, folders })
}

fn name_of(path: &Path) -> io::Result<CString> {
    c_string(Path::new(path.file_name().unwrap_or_default()))
}

fn c_string(path: &Path) -> io::Result<CString> {
    CString::new(path.as_os_str().as_bytes()).map_err(io::Error::other)
}

fn shut() -> MsFlags {
    MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY
}

fn cover_file(path: &CStr) -> nix::Result<()> {
    // A device on a mount without devices cannot be opened, not even by root.
    match mount(Some(c"/dev/null"), path, NOTHING, MsFlags::MS_BIND, NOTHING) {
        // A temporary file that was renamed meanwhile.
        Err(Errno::ENOENT) => return Ok(()),
        done => done?,
    }
    let again = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | shut();
    mount(NOTHING, path, NOTHING, again, NOTHING)
}

fn cover_folder(path: &CStr, options: &CStr) -> nix::Result<()> {
    mount(Some(c"none"), path, Some(c"tmpfs"), shut(), Some(options))
}
