//! Sealing: authenticated encryption of values in cookies and in files of `state_dir`.
//!
//! A sealed value is `version ‖ key id ‖ nonce ‖ ciphertext ‖ tag` (AES-256-GCM) as base64url.
//! Purpose, name and host are bound to it as associated data: the value of a login cookie does not
//! open as a session cookie, and a value that was moved to another name or host does not open at
//! all. The newest key seals; every key opens.
//!
//! Nonces are random, which is safe for 2³² values under one key (NIST SP 800-38D §8.3): more than
//! a year at a hundred logins a second.

use aes_gcm::aead::{Aead, Generate, Nonce, Payload};
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest, Sha256};

const VERSION: u8 = 1;
const NONCE: usize = 12;
const HEAD: usize = 2 + NONCE;
const TAG: usize = 16;

/// What a sealed value is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A list of sessions in a query parameter.
    Dispute,
    /// The session cookie.
    Session,
    /// The cookie of a login attempt.
    Login,
    /// The cookie of an app in a frame of another site.
    Embed,
    /// The code with which such a frame gets its cookie.
    Handover,
    /// A file of the session ledger.
    Ledger,
}

/// What a sealed value is bound to. It opens only under the binding that it was sealed under.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Binding<'a> {
    pub(crate) purpose: Purpose,
    /// Name of the cookie or file.
    pub(crate) name: &'a str,
    /// Host and port of `public_url`.
    pub(crate) host: &'a str,
}

/// The encryption keys, newest first, each with its id. Never empty.
pub(crate) struct Keyring(Vec<(u8, Aes256Gcm)>);

/// A text that is not a list of keys. The message names the line and does not show its content.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum KeyError {
    #[error("contains no key: write 32 random bytes as base64url, one key per line")]
    Empty,
    #[error("line {0} is not a key: write 32 random bytes as base64url (43 characters)")]
    Malformed(usize),
}

impl Keyring {
    /// Reads keys, one per line, newest first.
    pub(crate) fn parse(text: &str) -> Result<Self, KeyError> {
        let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty());
        let keys = lines
            .map(|(at, line)| key(line.trim_end_matches('=')).ok_or(KeyError::Malformed(at + 1)))
            .collect::<Result<Vec<_>, _>>()?;
        if keys.is_empty() { Err(KeyError::Empty) } else { Ok(Self(keys)) }
    }

    /// Seals with the newest key.
    pub(crate) fn seal(&self, binding: Binding<'_>, plain: &[u8]) -> String {
        let (id, cipher) = &self.0[0];
        let nonce = Nonce::<Aes256Gcm>::generate();
        let payload = Payload { msg: plain, aad: &binding.associated() };
        // Encryption fails only beyond 64 GiB; the empty result does not open.
        let sealed = cipher.encrypt(&nonce, payload).unwrap_or_default();
        let mut bytes = Vec::with_capacity(HEAD + sealed.len());
        bytes.extend([VERSION, *id]);
        bytes.extend(nonce);
        bytes.extend(sealed);
        BASE64.encode(bytes)
    }

    /// Opens a sealed value; `None` if no key of this ring has sealed it under this binding.
    pub(crate) fn open(&self, binding: Binding<'_>, text: &[u8]) -> Option<Vec<u8>> {
        let bytes = BASE64.decode(text).ok()?;
        if bytes.len() < HEAD + TAG || bytes[0] != VERSION {
            return None;
        }
        let nonce = Nonce::<Aes256Gcm>::try_from(&bytes[2..HEAD]).ok()?;
        let aad = binding.associated();
        self.0.iter().filter(|(id, _)| *id == bytes[1]).find_map(|(_, cipher)| {
            cipher.decrypt(&nonce, Payload { msg: &bytes[HEAD..], aad: &aad }).ok()
        })
    }
}

/// Reads a key. Its id is derived from the key, so that it stays the same if the order of the keys
/// changes.
fn key(text: &str) -> Option<(u8, Aes256Gcm)> {
    let bytes = BASE64.decode(text).ok()?;
    let cipher = Aes256Gcm::new_from_slice(&bytes).ok()?;
    Some((Sha256::digest(&bytes)[0], cipher))
}

impl Binding<'_> {
    fn associated(&self) -> Vec<u8> {
        let purpose = match self.purpose {
            Purpose::Dispute => "dispute",
            Purpose::Session => "session",
            Purpose::Login => "login",
            Purpose::Embed => "embed",
            Purpose::Handover => "handover",
            Purpose::Ledger => "ledger",
        };
        ["appliance", purpose, self.name, self.host].join("\0").into_bytes()
    }
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keyring({} keys)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::auth::any;

    const HERE: Binding<'_> =
        Binding { purpose: Purpose::Session, name: "appliance", host: "localhost:8080" };

    fn line(byte: u8) -> String {
        BASE64.encode([byte; 32])
    }

    fn ring(keys: &[u8]) -> Keyring {
        let lines: Vec<_> = keys.iter().map(|k| line(*k)).collect();
        Keyring::parse(&lines.join("\n")).unwrap()
    }

    #[test]
    fn a_sealed_value_opens() {
        for plain in [&b""[..], b"x", &[7; 3000]] {
            let text = ring(&[1]).seal(HERE, plain);
            assert_eq!(ring(&[1]).open(HERE, text.as_bytes()).as_deref(), Some(plain));
        }
    }

    #[test]
    fn sealing_the_same_value_twice_gives_different_texts() {
        assert_ne!(ring(&[1]).seal(HERE, b"same"), ring(&[1]).seal(HERE, b"same"));
    }

    #[test]
    fn any_changed_byte_is_refused() {
        let ring = ring(&[1]);
        let sealed = BASE64.decode(ring.seal(HERE, b"somebody")).unwrap();
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut bytes = sealed.clone();
                bytes[at] ^= 1 << bit;
                assert_eq!(ring.open(HERE, BASE64.encode(&bytes).as_bytes()), None, "byte {at}");
            }
        }
    }

    #[test]
    fn any_changed_character_is_refused() {
        let ring = ring(&[1]);
        let text = ring.seal(HERE, b"somebody!");
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(ring.open(HERE, &bytes), None, "character {at}");
        }
        for cut in 0..text.len() {
            assert_eq!(ring.open(HERE, &text.as_bytes()[..cut]), None, "cut at {cut}");
        }
        for more in ["A", "AA", "AAAA", "=", " "] {
            assert_eq!(ring.open(HERE, format!("{text}{more}").as_bytes()), None, "with {more:?}");
        }
    }

    #[test]
    fn another_binding_is_refused() {
        let text = ring(&[1]).seal(HERE, b"somebody");
        for other in [
            Binding { purpose: Purpose::Login, ..HERE },
            Binding { purpose: Purpose::Ledger, ..HERE },
            Binding { name: "__Host-appliance", ..HERE },
            Binding { host: "localhost", ..HERE },
        ] {
            assert_eq!(ring(&[1]).open(other, text.as_bytes()), None, "{other:?}");
        }
    }

    #[test]
    fn the_newest_key_seals_and_every_key_opens() {
        let old = ring(&[1]).seal(HERE, b"old");
        let new = ring(&[2, 1]).seal(HERE, b"new");
        assert!(ring(&[2, 1]).open(HERE, old.as_bytes()).is_some());
        assert!(ring(&[2]).open(HERE, new.as_bytes()).is_some());
        assert!(ring(&[2]).open(HERE, old.as_bytes()).is_none());
    }

    #[test]
    fn a_malformed_key_is_refused_with_its_line() {
        assert_eq!(Keyring::parse("\n \n").err(), Some(KeyError::Empty));
        let bad = format!("{}\nshort\n", line(1));
        assert_eq!(Keyring::parse(&bad).err(), Some(KeyError::Malformed(2)));
        assert_eq!(Keyring::parse(&"!".repeat(43)).err(), Some(KeyError::Malformed(1)));
        let long = BASE64.encode([1; 33]);
        assert_eq!(Keyring::parse(&long).err(), Some(KeyError::Malformed(1)));
    }

    proptest! {
        #[test]
        fn nothing_that_was_not_sealed_here_opens(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            text in any::text(),
        ) {
            let ring = ring(&[1, 2]);
            // Version and key are right, so that the rest decides.
            let [(one, _), _] = &ring.0[..] else { unreachable!() };
            let likely = [&[VERSION, *one], &bytes[..]].concat();
            for value in [BASE64.encode(&bytes), BASE64.encode(likely), text] {
                prop_assert_eq!(ring.open(HERE, value.as_bytes()), None);
            }
        }
    }
}
