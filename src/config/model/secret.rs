//! Secrets: the file names their source and never contains the value.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aes_gcm::aead::Generate;
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::config::ownership::account::Account;
use crate::config::ownership::app_file::Refuse;
use crate::config::ownership::{app_file, operator_file, own_file};

/// Larger than any secret, bytes.
const LARGEST: u64 = 1 << 20;

/// A secret value. `Debug` and `Display` never show it.
pub type Secret = secrecy::SecretString;

/// The source of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// `{ env = "X" }`: a variable of the appliance's environment.
    Env(String),
    /// `{ file = "/run/secrets/x" }`: one trailing newline is dropped.
    File(PathBuf),
    /// `{ generate = "name" }`: generated once and kept as `<state_dir>/<name>` with mode 0600.
    Generate(String),
}

/// What becomes of a generated secret that does not exist yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is generated.
    Make,
    /// It is left out: somebody only looks.
    LeaveOut,
}

/// Why a secret cannot be read. The text names the source, never the value.
#[derive(Debug, thiserror::Error)]
#[error("{what} {why}")]
pub struct SecretError {
    /// The source: `the variable OIDC_SECRET`, `the file /run/secrets/oidc`.
    pub what: String,
    /// What is wrong with it and what to do.
    pub why: String,
}

impl SecretSource {
    /// Reads a secret of the appliance itself; generates it if the source is `generate` and the file
    /// does not exist. Root follows no link of another user to what does not belong to this user.
    pub fn resolve(&self, state_dir: &Path) -> Result<Secret, SecretError> {
        self.resolve_by(state_dir, |path| operator_file::read_text(path, LARGEST))
    }

    /// Reads a secret for an app with this account: a file only if the app may have it.
    pub(crate) fn resolve_for(
        &self,
        account: Option<&Account>,
        state_dir: &Path,
        refuse: Option<Refuse<'_>>,
    ) -> Result<Secret, SecretError> {
        self.resolve_by(state_dir, |path| app_file::read(path, account, refuse))
    }

    fn resolve_by(
        &self,
        state_dir: &Path,
        read: impl FnOnce(&Path) -> io::Result<String>,
    ) -> Result<Secret, SecretError> {
        let value = match self {
            Self::Env(name) => std::env::var(name).map_err(|error| match error {
                std::env::VarError::NotPresent => self.error("is not set"),
                std::env::VarError::NotUnicode(_) => self.error("is not UTF-8"),
            })?,
            Self::File(path) => {
                let text =
                    read(path).map_err(|error| self.error(format!("cannot be read: {error}")))?;
                without_line_end(text)
            }
            Self::Generate(name) => return made_once(state_dir, name, random),
        };
        self.filled(value)
    }

    /// The same, and `None` for a generated secret that does not exist and is left out.
    pub(crate) fn find_for(
        &self,
        account: Option<&Account>,
        state_dir: &Path,
        refuse: Option<Refuse<'_>>,
        missing: Missing,
    ) -> Result<Option<Secret>, SecretError> {
        if self.is_left_out(state_dir, missing) {
            return Ok(None);
        }
        self.resolve_for(account, state_dir, refuse).map(Some)
    }

    /// The same for a secret of the appliance itself.
    pub(crate) fn find(
        &self,
        state_dir: &Path,
        missing: Missing,
    ) -> Result<Option<Secret>, SecretError> {
        if self.is_left_out(state_dir, missing) {
            return Ok(None);
        }
        self.resolve(state_dir).map(Some)
    }

    fn is_left_out(&self, state_dir: &Path, missing: Missing) -> bool {
        let (Self::Generate(name), Missing::LeaveOut) = (self, missing) else { return false };
        let found = state_dir.join(name).symlink_metadata();
        found.is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    }

    fn filled(&self, value: String) -> Result<Secret, SecretError> {
        match value {
            empty if empty.is_empty() => Err(self.error("is empty")),
            binary if binary.contains('\0') => {
                Err(self.error("contains a NUL byte; it must be text"))
            }
            value => Ok(value.into()),
        }
    }

    fn error(&self, why: impl Into<String>) -> SecretError {
        let what = match self {
            Self::Env(name) => format!("the variable {name}"),
            Self::File(path) => format!("the file {}", path.display()),
            Self::Generate(name) => format!("the generated secret {name}"),
        };
        SecretError { what, why: why.into() }
    }
}

/// Reads the line in `<state_dir>/<name>` (mode 0600); `make` writes it if the file does not exist.
pub fn made_once(
    state_dir: &Path,
    name: &str,
    make: impl FnOnce() -> io::Result<String>,
) -> Result<Secret, SecretError> {
    let source = SecretSource::Generate(name.to_owned());
    let path = state_dir.join(name);
    let text = kept(state_dir, &path, make).map_err(|error| {
        source.error(format!("cannot be stored as {}: {error}", path.display()))
    })?;
    source.filled(without_line_end(text))
}

fn without_line_end(mut text: String) -> String {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    text
}

/// Reads the file and creates it first if it does not exist. If two processes create it at the same
/// time, one wins and both read what it wrote: a hard link never replaces a file.
fn kept(
    state_dir: &Path,
    path: &Path,
    make: impl FnOnce() -> io::Result<String>,
) -> io::Result<String> {
    match own_file::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        known => return known,
    }
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir)?;
    let draft = path.with_extension(format!("{}.new", std::process::id()));
    let _ = fs::remove_file(&draft);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let written =
        make().and_then(|secret| writeln!(file, "{secret}")).and_then(|()| file.sync_all());
    let linked = written.and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        linked => linked,
    });
    fs::remove_file(&draft)?;
    linked?;
    own_file::read(path)
}

/// 32 random bytes as base64url: a sealing key or a client secret.
fn random() -> io::Result<String> {
    let key = aes_gcm::Key::<aes_gcm::Aes256Gcm>::try_generate().map_err(io::Error::other)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(key))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use secrecy::ExposeSecret;

    use super::*;

    fn read(source: &SecretSource, state_dir: &Path) -> String {
        source.resolve(state_dir).unwrap().expose_secret().to_owned()
    }

    #[test]
    fn a_generated_secret_is_made_once_and_kept_private() {
        let dir = tempfile::tempdir().unwrap();
        let state_dir = dir.path().join("state");
        let source = SecretSource::Generate("oidc-client".into());
        let secret = read(&source, &state_dir);
        assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(&secret).unwrap().len(), 32);
        assert_eq!(read(&source, &state_dir), secret);
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&state_dir), 0o700);
        assert_eq!(mode(&state_dir.join("oidc-client")), 0o600);
        assert_eq!(fs::read_dir(&state_dir).unwrap().count(), 1);
        assert_ne!(read(&SecretSource::Generate("other".into()), &state_dir), secret);
        let look = |name: &str| {
            SecretSource::Generate(name.into()).find_for(None, &state_dir, None, Missing::LeaveOut)
        };
        assert!(look("new").unwrap().is_none() && !state_dir.join("new").exists());
        assert_eq!(look("oidc-client").unwrap().unwrap().expose_secret(), secret);
    }

    #[test]
    fn a_file_loses_one_line_end_and_must_not_be_empty() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let source = SecretSource::File(path.clone());
        for (text, secret) in [("a\n", "a"), ("a\r\n", "a"), ("a\n\n", "a\n"), ("a", "a")] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&source, dir.path()), secret);
        }
        for (text, why) in [("\n", "is empty"), ("a\0b", "contains a NUL byte; it must be text")] {
            fs::write(&path, text).unwrap();
            let error = source.resolve(dir.path()).unwrap_err().to_string();
            assert_eq!(error, format!("the file {} {why}", path.display()));
        }
    }

    #[test]
    fn a_missing_source_is_named() {
        let dir = Path::new("/nonexistent");
        let error = SecretSource::Env("NOT_SET_AT_ALL".into()).resolve(dir).unwrap_err();
        assert_eq!(error.to_string(), "the variable NOT_SET_AT_ALL is not set");
        let error = SecretSource::File("/no-such-file".into()).resolve(dir).unwrap_err();
        assert!(error.to_string().starts_with("the file /no-such-file cannot be read"));
    }
}
