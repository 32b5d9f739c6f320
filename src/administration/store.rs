//! The file with the state of the link: `first-administrator` in the state folder, for the owner alone.

use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};

use super::link::{Link, Offer};
use crate::config::ownership::own_file;
use crate::config::reserved::FIRST_ADMINISTRATOR;

/// The file as JSON. Without a digest, no link is open.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    /// SHA-256 of the token in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// When the link ends, seconds since 1970.
    #[serde(default)]
    until: u64,
}

/// Path of the file.
pub(super) fn path(state_dir: &Path) -> PathBuf {
    state_dir.join(FIRST_ADMINISTRATOR)
}

/// Reads the state. Without the file, there was no link yet.
///
/// # Errors
/// The file cannot be read, or is none of the appliance.
pub(super) fn read(path: &Path) -> io::Result<Link> {
    let text = match own_file::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Link::Never),
        read => read?,
    };
    let Written { sha256, until } = serde_json::from_str(&text)?;
    let Some(sha256) = sha256 else { return Ok(Link::Settled) };
    let digest = BASE64_STANDARD.decode(sha256).map_err(io::Error::other)?;
    let digest = digest.try_into().map_err(|_| io::Error::other("the digest is too short"))?;
    Ok(Link::Offered(Offer { digest, until }))
}

/// Writes the state; the old one stays if that fails.
pub(super) fn write(path: &Path, link: &Link) -> io::Result<()> {
    let written = match link {
        Link::Offered(Offer { digest, until }) => {
            Written { sha256: Some(BASE64_STANDARD.encode(digest)), until: *until }
        }
        Link::Never | Link::Settled => Written { sha256: None, until: 0 },
    };
    own_file::replace(path, &serde_json::to_string(&written)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_link_outlives_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let file = path(folder.path());
        assert_eq!(read(&file).unwrap(), Link::Never);
        let (link, token) = Link::offer(1000).unwrap();
        write(&file, &link).unwrap();
        assert!(read(&file).unwrap().is_good(&token, 1001));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(!text.contains(&token), "{text}");
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        write(&file, &Link::Settled).unwrap();
        assert_eq!(read(&file).unwrap(), Link::Settled);
    }

    #[test]
    fn a_damaged_file_opens_no_link() {
        let folder = tempfile::tempdir().unwrap();
        let file = path(folder.path());
        for text in ["", "{", "{\"sha256\":\"AAAA\",\"until\":9}", "{\"sha256\":\"!\",\"until\":9}"]
        {
            own_file::replace(&file, text).unwrap();
            assert!(read(&file).is_err(), "{text}");
        }
    }
}
