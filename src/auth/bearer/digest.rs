//! Digests, by which tokens and people are remembered.

use sha2::{Digest as _, Sha256};

/// SHA-256. A table holds no tokens as keys, so a look-up tells nothing about them by its time.
pub(super) type Digest = [u8; 32];

/// The digest of a token or of a subject.
pub(super) fn digest_of(text: &str) -> Digest {
    Sha256::digest(text).into()
}
