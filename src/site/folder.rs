//! The folder of a site: opened anew for each request, so that a site can be replaced as a whole.

use std::fs::File as StdFile;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use nix::unistd::geteuid;
use rustix::fs::{CWD, Mode, OFlags, openat};
use tracing::warn;

use super::beneath::{self, Entry};
use super::lookup::{File, Found, Question};
use super::reader::Reader;
use super::turns::{SiteError, Turns};
use crate::config::ownership::nested::{are_nested, real};
use crate::config::ownership::trusted_path::{Trusted, follow};
use crate::config::{AppName, Config, StaticFiles};
use crate::net::is_exhaustion;
use crate::telemetry::Throttle;

/// Fails for what may not be served.
type SecretCheck = fn(&StdFile) -> io::Result<()>;

/// The files of one app.
#[derive(Debug, Clone)]
pub(crate) struct Site {
    app: AppName,
    files: StaticFiles,
    /// What may not be in the folder; without links.
    private: Vec<PathBuf>,
    /// Fails if an opened file or folder is a secret of the appliance, wherever it was moved.
    secrets: Option<SecretCheck>,
    /// Who may change the way to the folder, and whose links lead everywhere within it. `None`: anybody,
    /// because the appliance has no rights beyond those of its apps.
    trusted: Option<Trusted>,
    /// Kept over reloads, as `warned`.
    turns: Turns,
    warned: Arc<Throttle>,
}

impl Site {
    /// The files of an app.
    pub(crate) fn new(
        app: &AppName,
        files: &StaticFiles,
        config: &Config,
        secrets: Option<SecretCheck>,
    ) -> Self {
        let private = config.private_paths();
        let private = private.iter().flat_map(|path| [path.clone(), real(path)]).collect();
        let trusted = geteuid().is_root().then(|| Trusted::ourselves().and_owner_of(&config.dir));
        let (turns, warned) = (Turns::default(), Arc::default());
        let (app, files) = (app.clone(), files.clone());
        Self { app, files, private, secrets, trusted, turns, warned }
    }

    /// The same after a reload: `before` is the site of the app until now.
    pub(crate) fn continuing(&self, before: &Self) -> Self {
        let (turns, warned) = (before.turns.clone(), Arc::clone(&before.warned));
        Self { turns, warned, ..self.clone() }
    }

    /// What a path leads to. A file that cannot be read is logged and counts as missing.
    ///
    /// # Errors
    ///
    /// The machine is at fault.
    pub(crate) async fn find(self: &Arc<Self>, question: Question) -> Result<Found, SiteError> {
        let site = Arc::clone(self);
        self.turns.work(move || site.look_up(&question)).await?
    }

    /// The bytes of a file from one position to before another one.
    pub(crate) fn read(&self, file: File, part: (u64, u64)) -> Reader {
        Reader::new(self.turns.clone(), file.opened, part, (file.pace, file.first))
    }

    fn look_up(&self, question: &Question) -> Result<Found, SiteError> {
        let folder = match self.open() {
            Ok(folder) => folder,
            Err(error) => return self.absent(error).map(|()| Found::Nothing { page: None }),
        };
        let StaticFiles { index, spa, .. } = &self.files;
        let trusted = self.trusted.as_ref();
        let open = |path: &std::path::Path| {
            let entry = beneath::open(folder.as_fd(), path, trusted)?;
            if let Entry::File(file, _) = &entry {
                self.refuse_secret(file)?;
            }
            Ok(entry)
        };
        question.answer(index, *spa, &open).or_else(|error| {
            self.absent(error)?;
            question.missing(&open).map_err(SiteError::Unreadable)
        })
    }

    /// Opens the folder, if it is still one that may be served.
    fn open(&self) -> io::Result<StdFile> {
        let mut path = self.files.folder.clone();
        let mut flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        if let Some(trusted) = &self.trusted {
            // Root may read everything: another user must not choose the folder.
            path = follow(&path, trusted)
                .map_err(|untrusted| {
                    io::Error::new(io::ErrorKind::PermissionDenied, untrusted.to_string())
                })?
                .path;
            flags |= OFlags::NOFOLLOW;
        }
        let folder = openat(CWD, &path, flags, Mode::empty()).map_err(|error| {
            let error = io::Error::from(error);
            if is_exhaustion(&error) {
                return error;
            }
            io::Error::new(io::ErrorKind::NotFound, format!("{}: {error}", path.display()))
        })?;
        let place = beneath::real_path(folder.as_fd())?;
        if let Some(private) = self.private.iter().find(|private| are_nested(&place, private)) {
            let why = format!("{} would serve {}", place.display(), private.display());
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
        }
        let folder = folder.into();
        self.refuse_secret(&folder)?;
        Ok(folder)
    }

    fn refuse_secret(&self, opened: &StdFile) -> io::Result<()> {
        let checked = self.secrets.map_or(Ok(()), |check| check(opened));
        checked.map_err(|error| io::Error::new(io::ErrorKind::PermissionDenied, error.to_string()))
    }

    /// What the owner of the files has to correct is for the log; the file counts as missing.
    fn absent(&self, error: io::Error) -> Result<(), SiteError> {
        use io::ErrorKind::{CrossesDevices, NotFound, PermissionDenied};
        let why = match error.kind() {
            CrossesDevices => "a link leads out of the folder".to_owned(),
            NotFound | PermissionDenied => error.to_string(),
            _ if is_exhaustion(&error) => return Err(SiteError::Exhausted),
            _ => return Err(SiteError::Unreadable(error)),
        };
        if let Some(left_out) = self.warned.note(&why, Instant::now()) {
            warn!(app = %self.app, %why, left_out, "a file cannot be served");
        }
        Ok(())
    }
}
