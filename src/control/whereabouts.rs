//! Where the control socket of a running appliance is, if the configuration file names another
//! `state_dir` now.
//!
//! A running appliance keeps its `state_dir` until a new start. If root runs it, it leaves a note in
//! `/run/appliance`, under a name that follows from the path of the file. Another user has no place
//! for notes that its apps could not write to as well.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::config::ownership::own_file;

const NOTES: &str = "/run/appliance";

/// A note, removed when it is dropped.
#[derive(Debug)]
pub struct Note(Option<PathBuf>);

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = fs::remove_file(path);
        }
    }
}

/// Notes which socket belongs to a configuration file. Without a place for the note, client commands
/// find the socket through the file alone.
pub fn note(config: &Path, socket: &Path) -> Note {
    let written = || -> io::Result<PathBuf> {
        let path = path_of(config)?;
        remove_stale();
        own_file::folder(path.parent().unwrap_or(Path::new("/")))?;
        let _ = fs::remove_file(&path);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
        file.write_all(socket.as_os_str().as_encoded_bytes())?;
        Ok(path)
    };
    Note(written().ok())
}

/// The socket that was noted for a configuration file.
pub(crate) fn noted(config: &Path) -> Option<PathBuf> {
    let path = path_of(config).ok()?;
    own_file::read(&path).ok().map(PathBuf::from)
}

fn path_of(config: &Path) -> io::Result<PathBuf> {
    if !nix::unistd::geteuid().is_root() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let config = fs::canonicalize(config)?;
    let digest = Sha256::digest(config.as_os_str().as_encoded_bytes());
    Ok(Path::new(NOTES).join(BASE64_URL_SAFE_NO_PAD.encode(digest)))
}

/// Removes the notes of appliances that were killed.
fn remove_stale() {
    for entry in fs::read_dir(NOTES).into_iter().flatten().flatten() {
        let socket = own_file::read(&entry.path()).map(PathBuf::from);
        if socket.is_ok_and(|socket| UnixStream::connect(socket).is_err()) {
            let _ = fs::remove_file(entry.path());
        }
    }
}
