//! What the session's cookie carries: enough to bring the session back after a restart.

use std::fmt;

use aes_gcm::aead::Generate as _;
use serde::{Deserialize, Serialize};

use crate::auth::cookie::cookies::Cookies;
use crate::auth::cookie::seal::{Binding, Keyring, Purpose};

/// Browsers drop a cookie of more than 4096 bytes, name and attributes included.
const MAX_TEXT: usize = 3800;

/// Names a session. Random, and no secret by itself: it counts inside a sealed ticket only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct SessionId([u8; 16]);

impl SessionId {
    pub(crate) fn random() -> Self {
        Self(<[u8; 16]>::generate())
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| text.len() == 32)
            .map(|n| Self(n.to_be_bytes()))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

/// A session on its way through a browser.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Ticket {
    pub(crate) id: SessionId,
    /// `sub`
    pub(crate) subject: String,
    /// When the login was, seconds since 1970.
    pub(crate) signed_in: u64,
    pub(crate) proof: Proof,
}

/// How the session is brought back.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Proof {
    /// By refreshing at the issuer, which also shows that it has not been revoked.
    Refresh(String),
    /// The issuer grants no refresh tokens: by the claims themselves, as JSON.
    Identity(String),
    /// Either of them, too large for a cookie: it is in the ledger.
    InLedger,
}

impl Ticket {
    /// The cookie's value. A proof that is too large for one is left out: the caller has it kept
    /// in the ledger then.
    pub(crate) fn seal(&self, keyring: &Keyring, cookies: &Cookies) -> (String, bool) {
        let text = keyring.seal(binding(cookies), &self.bytes());
        if text.len() <= MAX_TEXT {
            return (text, true);
        }
        let without = Self { proof: Proof::InLedger, ..self.clone() };
        (keyring.seal(binding(cookies), &without.bytes()), false)
    }

    /// `None` for anything that we did not seal as this cookie.
    pub(crate) fn open(text: &[u8], keyring: &Keyring, cookies: &Cookies) -> Option<Self> {
        postcard::from_bytes(&keyring.open(binding(cookies), text)?).ok()
    }

    fn bytes(&self) -> Vec<u8> {
        // Plain data, into memory: it cannot fail, and nothing at all would open as no ticket.
        postcard::to_stdvec(self).unwrap_or_default()
    }
}

fn binding(cookies: &Cookies) -> Binding<'_> {
    Binding { purpose: Purpose::Session, name: &cookies.session, host: &cookies.host }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refresh(_) => "Refresh",
            Self::Identity(_) => "Identity",
            Self::InLedger => "InLedger",
        })
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;
    use crate::config::PublicUrl;

    fn fixture() -> (Keyring, Cookies) {
        let key = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([1; 32]);
        let url = PublicUrl { secure: true, host: "apps.example".into(), port: 443 };
        (Keyring::parse(&key).unwrap(), Cookies::new("appliance", &url))
    }

    fn ticket(proof: Proof) -> Ticket {
        Ticket { id: SessionId::random(), subject: "sub".into(), signed_in: 1_790_000_000, proof }
    }

    #[test]
    fn a_keycloak_session_stays_under_two_kilobytes() {
        let (keyring, cookies) = fixture();
        // 732 bytes is what Keycloak's refresh token weighs, whatever the groups.
        let sent = ticket(Proof::Refresh("r".repeat(732)));
        let (text, whole) = sent.seal(&keyring, &cookies);
        assert!(whole && text.len() < 1200, "{}", text.len());
        let back = Ticket::open(text.as_bytes(), &keyring, &cookies).unwrap();
        assert!(back.id == sent.id && back.proof == sent.proof && back.subject == "sub");
    }

    #[test]
    fn a_proof_too_large_for_a_cookie_is_left_out() {
        let (keyring, cookies) = fixture();
        let (text, whole) = ticket(Proof::Identity("x".repeat(8000))).seal(&keyring, &cookies);
        assert!(!whole && text.len() < 200);
        let back = Ticket::open(text.as_bytes(), &keyring, &cookies).unwrap();
        assert_eq!(back.proof, Proof::InLedger);
    }

    #[test]
    fn ids_are_read_back() {
        let id = SessionId::random();
        assert_eq!(SessionId::parse(&id.to_string()), Some(id));
        assert_eq!(SessionId::parse("ended"), None);
        assert_eq!(SessionId::parse("ff"), None);
    }

    #[test]
    fn debug_shows_no_proof() {
        let shown = format!("{:?} {:?}", ticket(Proof::InLedger), Proof::Refresh("hush".into()));
        assert!(!shown.contains("hush"), "{shown}");
    }
}
