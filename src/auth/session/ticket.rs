//! The content of the session cookie: enough to restore the session after a restart.

use std::fmt;

use aes_gcm::aead::Generate as _;
use serde::{Deserialize, Serialize};

use crate::auth::cookie::{Binding, Cookies, EmbedCookie, Keyring, OriginDigest, Purpose};
use crate::auth::runtime::clock::Millis;
use crate::config::AppName;

/// Limit of the sealed value, bytes: with name and attributes, the cookie has less than 2 kB. Browsers
/// send it with every request, also where servers and proxies take 8 KiB of headers, and drop a cookie
/// over 4096 bytes.
const MAX_TEXT: usize = 1800;

/// Identifies a session. Random, but not a secret: it is accepted only inside a sealed ticket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct SessionId([u8; 16]);

impl SessionId {
    pub(crate) fn random() -> Self {
        Self(<[u8; 16]>::generate())
    }

    pub(super) fn number(self) -> u128 {
        u128::from_be_bytes(self.0)
    }

    pub(crate) fn bytes(self) -> [u8; 16] {
        self.0
    }

    /// Reads what [`Self::bytes`] returns.
    pub(crate) fn of_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads the 32 hexadecimal digits that `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        u128::from_str_radix(text, 16)
            .ok()
            .filter(|_| text.len() == 32)
            .map(|n| Self(n.to_be_bytes()))
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.number())
    }
}

/// The content of a session cookie.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Ticket {
    pub(crate) id: SessionId,
    /// `sub`
    pub(crate) subject: String,
    /// When the person logged in, seconds since 1970.
    pub(crate) signed_in: u64,
    pub(crate) proof: Proof,
    /// When the session ends at the latest, seconds since 1970: a longer `[session] lifetime` counts
    /// for later logins only, so an ended session is never in force again.
    pub(crate) until: u64,
    /// Identifier of the issuer's session (`sid`). A refresh may come without an ID token, and so
    /// without this claim.
    pub(crate) sid: Option<String>,
    /// The issuer has told that the person is in no group. A refresh may come without an ID token, and say
    /// nothing about groups.
    pub(crate) groupless: bool,
}

/// A ticket of an earlier version, which did not say whether there were groups.
#[derive(Deserialize)]
struct TicketWithoutGroups {
    id: SessionId,
    subject: String,
    signed_in: u64,
    proof: Proof,
    until: u64,
    sid: Option<String>,
}

/// A ticket of a still earlier version, which did not name the issuer's session.
#[derive(Deserialize)]
struct TicketWithoutSid {
    id: SessionId,
    subject: String,
    signed_in: u64,
    proof: Proof,
    until: u64,
}

/// A ticket of the first version, which did not say when its session ends.
#[derive(Deserialize)]
struct TicketWithoutEnd {
    id: SessionId,
    subject: String,
    signed_in: u64,
    proof: Proof,
}

/// What the session is restored from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Proof {
    /// A refresh token. The issuer's answer to it also shows that the session has not been revoked.
    Refresh(String),
    /// The person's claims as JSON, if the issuer grants no refresh tokens.
    Identity(String),
    /// The proof is too large for a cookie and is kept in the ledger.
    InLedger,
}

impl Ticket {
    /// When the login began, at the latest: the ticket says it in whole seconds. So a session whose
    /// person was signed out everywhere in the second of its login counts as a later one; while it is in
    /// memory it ends by its id.
    pub(crate) fn began(&self) -> Millis {
        self.signed_in.saturating_mul(1000).saturating_add(999)
    }

    /// The cookie's value, and whether it contains the proof. A proof that is too large is left
    /// out; the caller must then keep it in the ledger.
    pub(super) fn seal(&self, keyring: &Keyring, cookies: &Cookies) -> (String, bool) {
        let text = keyring.seal(binding(cookies), &self.bytes());
        if text.len() <= MAX_TEXT {
            return (text, true);
        }
        let without = Self { proof: Proof::InLedger, ..self.clone() };
        (keyring.seal(binding(cookies), &without.bytes()), false)
    }

    /// Opens a cookie's value; `None` for anything that was not sealed as a session cookie.
    pub(super) fn open(text: &[u8], keyring: &Keyring, cookies: &Cookies) -> Option<Self> {
        let plain = keyring.open(binding(cookies), text)?;
        Self::read(&plain)
    }

    /// The value of a cookie for frames: it opens for this app alone, and as long as all origins of `embed`
    /// may frame the app.
    pub(in crate::auth) fn seal_for_frames(
        &self,
        keyring: &Keyring,
        cookies: &Cookies,
        embed: &EmbedCookie,
    ) -> String {
        let name = name_for_app(cookies, &embed.app);
        let binding = Binding { purpose: Purpose::Embed, name: &name, host: &cookies.host };
        // Serializing plain data into memory cannot fail; an empty value would not open.
        let plain = postcard::to_stdvec(&(&embed.origins, self)).unwrap_or_default();
        keyring.seal(binding, &plain)
    }

    /// Opens what [`Self::seal_for_frames`] made for this app; `None` for anything else.
    pub(super) fn open_for_frames(
        text: &[u8],
        keyring: &Keyring,
        cookies: &Cookies,
        embed: &EmbedCookie,
    ) -> Option<Self> {
        let name = name_for_app(cookies, &embed.app);
        let binding = Binding { purpose: Purpose::Embed, name: &name, host: &cookies.host };
        let plain = keyring.open(binding, text)?;
        let (origins, ticket): (Vec<OriginDigest>, Self) = postcard::from_bytes(&plain).ok()?;
        embed.allows(&origins).then_some(ticket)
    }

    /// Each version has its fields in the same order and one more at the end, so the shorter text of an
    /// earlier version does not pass for a later one.
    fn read(plain: &[u8]) -> Option<Self> {
        if let Ok(ticket) = postcard::from_bytes(plain) {
            return Some(ticket);
        }
        if let Ok(TicketWithoutGroups { id, subject, signed_in, proof, until, sid }) =
            postcard::from_bytes(plain)
        {
            return Some(Self { id, subject, signed_in, proof, until, sid, groupless: false });
        }
        if let Ok(TicketWithoutSid { id, subject, signed_in, proof, until }) =
            postcard::from_bytes(plain)
        {
            let (sid, groupless) = (None, false);
            return Some(Self { id, subject, signed_in, proof, until, sid, groupless });
        }
        let TicketWithoutEnd { id, subject, signed_in, proof } =
            postcard::from_bytes(plain).ok()?;
        let (until, sid, groupless) = (u64::MAX, None, false);
        Some(Self { id, subject, signed_in, proof, until, sid, groupless })
    }

    fn bytes(&self) -> Vec<u8> {
        // Serializing plain data into memory cannot fail; an empty value would not open.
        postcard::to_stdvec(self).unwrap_or_default()
    }
}

fn name_for_app(cookies: &Cookies, app: &AppName) -> String {
    format!("{} {app}", cookies.bound)
}

fn binding(cookies: &Cookies) -> Binding<'_> {
    Binding { purpose: Purpose::Session, name: &cookies.bound, host: &cookies.host }
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
    use proptest::prelude::*;

    use crate::auth::any;
    use base64::Engine as _;

    use super::*;
    use crate::config::PublicUrl;

    fn fixture() -> (Keyring, Cookies) {
        let key = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([1; 32]);
        let url = PublicUrl { secure: true, host: "apps.example".into(), port: 443 };
        (
            Keyring::parse(&key).unwrap(),
            Cookies::new("appliance", &url, &crate::auth::cookie::CookieNames::default()),
        )
    }

    fn ticket(proof: Proof) -> Ticket {
        Ticket {
            id: SessionId::random(),
            subject: "sub".into(),
            signed_in: 1_790_000_000,
            proof,
            until: 1_790_036_000,
            sid: Some("sid-1".into()),
            groupless: true,
        }
    }

    #[test]
    fn a_keycloak_session_cookie_stays_under_two_kilobytes() {
        let (keyring, cookies) = fixture();
        // Keycloak's refresh token has 732 bytes, however many groups the person has.
        let sent = ticket(Proof::Refresh("r".repeat(732)));
        let (text, whole) = sent.seal(&keyring, &cookies);
        assert!(whole && text.len() < 1200, "{}", text.len());
        let back = Ticket::open(text.as_bytes(), &keyring, &cookies).unwrap();
        assert!(back.id == sent.id && back.proof == sent.proof && back.subject == "sub");
    }

    #[test]
    fn tickets_of_earlier_versions_open() {
        let (keyring, cookies) = fixture();
        let sent = ticket(Proof::Refresh("rt".into()));
        let Ticket { id, subject, signed_in, proof, until, .. } = sent.clone();
        let first = postcard::to_stdvec(&(id, &subject, signed_in, &proof)).unwrap();
        let second = postcard::to_stdvec(&(id, &subject, signed_in, &proof, until)).unwrap();
        let sid = Some("sid-1");
        let third = postcard::to_stdvec(&(id, &subject, signed_in, &proof, until, sid)).unwrap();
        for (plain, ends, sid, groupless) in [
            (first, u64::MAX, None, false),
            (second, until, None, false),
            (third, until, sid, false),
            (sent.bytes(), until, sid, true),
        ] {
            let text = keyring.seal(binding(&cookies), &plain);
            let back = Ticket::open(text.as_bytes(), &keyring, &cookies).unwrap();
            assert!(back.id == id && back.proof == sent.proof && back.subject == "sub");
            assert_eq!((back.until, back.sid.as_deref(), back.groupless), (ends, sid, groupless));
        }
        let cut = keyring.seal(binding(&cookies), &sent.bytes()[..20]);
        assert!(Ticket::open(cut.as_bytes(), &keyring, &cookies).is_none());
    }

    #[test]
    fn a_proof_too_large_for_a_cookie_is_left_out() {
        let (keyring, cookies) = fixture();
        let (text, whole) = ticket(Proof::Identity("x".repeat(8000))).seal(&keyring, &cookies);
        assert!(!whole && text.len() < 200);
        let back = Ticket::open(text.as_bytes(), &keyring, &cookies).unwrap();
        assert_eq!(back.proof, Proof::InLedger);
        for size in (0..4000).step_by(50) {
            let (text, _) = ticket(Proof::Refresh("r".repeat(size))).seal(&keyring, &cookies);
            assert!(text.len() <= MAX_TEXT, "{size} {}", text.len());
        }
    }

    #[test]
    fn a_ticket_for_frames_opens_for_its_app_alone() {
        let (keyring, cookies) = fixture();
        let embed = |name: &str, origins: &[&str]| {
            let origins: Vec<_> = origins.iter().map(|one| (*one).to_owned()).collect();
            EmbedCookie::new("appliance", &AppName::new(name).unwrap(), &origins, true)
        };
        let (one, two) = ("https://a.example", "https://b.example");
        let text =
            ticket(Proof::InLedger).seal_for_frames(&keyring, &cookies, &embed("a", &[one, two]));
        let open_with = |text: &str, embed: &EmbedCookie| {
            Ticket::open_for_frames(text.as_bytes(), &keyring, &cookies, embed).is_some()
        };
        let open = |text: &str, name: &str| open_with(text, &embed(name, &[one, two]));
        assert!(open(&text, "a"));
        assert!(open_with(&text, &embed("a", &[two, one, "https://c.example"])));
        assert!(!open_with(&text, &embed("a", &[one])), "an origin is gone");
        assert!(!open(&text, "b") && !open(&text, "aa"));
        assert!(Ticket::open(text.as_bytes(), &keyring, &cookies).is_none(), "no session cookie");
        let (main, _) = ticket(Proof::InLedger).seal(&keyring, &cookies);
        assert!(!open(&main, "a"), "the session cookie is none of a frame");
    }

    #[test]
    fn an_id_is_read_from_its_text() {
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

    proptest! {
        #[test]
        fn any_ticket_is_restored_and_any_bytes_are_read_without_a_panic(
            subject in any::text(),
            token in any::text(),
            kind in 0..3,
            times in any::<[u64; 2]>(),
            sid in prop::option::of(any::text()),
            groupless in any::<bool>(),
            bytes in prop::collection::vec(any::<u8>(), 0..120),
        ) {
            let proof = match kind {
                0 => Proof::Refresh(token),
                1 => Proof::Identity(token),
                _ => Proof::InLedger,
            };
            let [signed_in, until] = times;
            let id = SessionId::random();
            let sent = Ticket { id, subject, signed_in, proof, until, sid, groupless };
            let plain = sent.bytes();
            let read = Ticket::read(&plain).unwrap();
            prop_assert!(read.bytes() == plain);
            let _ = Ticket::read(&bytes);
            let _ = Ticket::read(&plain[..plain.len() / 2]);
        }
    }
}
