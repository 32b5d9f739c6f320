//! Which files were read: a file with another stamp is another file.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::ocsp::ocsp_file;
use crate::config::CertificateFiles;

/// Each file; `None` for one that does not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<Stamp>>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    changed: (i64, i64),
}

/// The stamps of certificates, keys and OCSP responses.
pub(super) fn stamps(files: &[CertificateFiles]) -> Stamps {
    let stamp = |path: &Path| {
        let meta = std::fs::metadata(path).ok()?;
        let changed = (meta.mtime(), meta.mtime_nsec());
        Some(Stamp { device: meta.dev(), inode: meta.ino(), size: meta.size(), changed })
    };
    let each = files.iter();
    let each =
        each.flat_map(|one| [stamp(&one.cert), stamp(&one.key), stamp(&ocsp_file(&one.cert))]);
    Stamps(each.collect())
}

#[cfg(test)]
impl Stamps {
    /// One file of this size.
    pub(super) fn of_size(size: u64) -> Self {
        Self(vec![Some(Stamp { device: 1, inode: 1, size, changed: (0, 0) })])
    }
}
