//! The code with which a frame gets its cookie: sealed, for one session and one app, used once within a
//! minute.
//!
//! The codes that were used up are in memory only: after a restart no session is in memory either, and
//! then no code counts.

use std::collections::HashMap;

use aes_gcm::aead::Generate as _;
use serde::{Deserialize, Serialize};

use crate::auth::cookie::{Binding, Cookies, EmbedCookie, Keyring, OriginDigest, Purpose};
use crate::auth::runtime::Mutex;
use crate::auth::runtime::clock::Millis;
use crate::auth::session::SessionId;
use crate::config::AppName;

/// How long a code counts, milliseconds.
const LIFETIME: Millis = 60 * 1000;
/// How many codes a person uses within that time. More are refused: a code that was forgotten would count
/// twice.
const MAX_OF_PERSON: usize = 16;
/// How many persons use codes within that time.
const MAX_PERSONS: usize = 4096;

/// What a code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Code {
    pub(super) session: SessionId,
    /// When it counts no longer.
    ends: Millis,
    /// Tells codes apart.
    number: [u8; 16],
}

impl Code {
    pub(super) fn new(session: SessionId, now: Millis) -> Self {
        Self { session, ends: now + LIFETIME, number: <[u8; 16]>::generate() }
    }

    pub(super) fn seal(self, keyring: &Keyring, cookies: &Cookies, embed: &EmbedCookie) -> String {
        // Serializing plain data into memory cannot fail; an empty value would not open.
        let plain = postcard::to_stdvec(&(&embed.origins, self)).unwrap_or_default();
        keyring.seal(binding(cookies, &embed.app), &plain)
    }

    /// Opens what [`Self::seal`] made for this app; `None` for anything else, and once an origin of that
    /// time may not frame the app any more.
    pub(super) fn open(
        text: &[u8],
        keyring: &Keyring,
        cookies: &Cookies,
        embed: &EmbedCookie,
    ) -> Option<Self> {
        let plain = keyring.open(binding(cookies, &embed.app), text)?;
        let (origins, code): (Vec<OriginDigest>, Self) = postcard::from_bytes(&plain).ok()?;
        embed.allows(&origins).then_some(code)
    }
}

fn binding<'a>(cookies: &'a Cookies, app: &'a AppName) -> Binding<'a> {
    Binding { purpose: Purpose::Handover, name: app.as_str(), host: &cookies.host }
}

/// The codes that were used up and would still count, by the subject of the person: nobody uses up those of
/// others.
#[derive(Debug, Default)]
pub(super) struct UsedCodes(Mutex<HashMap<String, Vec<Code>>>);

impl UsedCodes {
    /// Uses up a code of `subject`. `false` if it counts no longer, was used before, or too many were used.
    pub(super) fn add(&self, subject: &str, code: Code, now: Millis) -> bool {
        let mut used = self.0.lock();
        used.retain(|_, codes| {
            codes.retain(|one| now < one.ends);
            !codes.is_empty()
        });
        let is_full = used.len() >= MAX_PERSONS && !used.contains_key(subject);
        if now >= code.ends || is_full {
            return false;
        }
        let codes = used.entry(subject.to_owned()).or_default();
        if codes.len() >= MAX_OF_PERSON || codes.contains(&code) {
            return false;
        }
        codes.push(code);
        true
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;

    use super::*;
    use crate::auth::cookie::CookieNames;
    use crate::config::PublicUrl;

    #[test]
    fn a_code_counts_once_within_a_minute() {
        let (used, id) = (UsedCodes::default(), SessionId::random());
        let code = Code::new(id, 1000);
        assert!(used.add("a", code, 1000) && !used.add("a", code, 1000));
        assert!(used.add("a", Code::new(id, 1000), 1000), "another code of the session");
        let late = Code::new(id, 1000);
        assert!(!used.add("a", late, 61_000) && !used.add("a", code, 61_000), "both are too old");
        assert!(used.0.lock().is_empty(), "what is too old is forgotten");
    }

    #[test]
    fn no_more_than_a_fixed_number_is_remembered() {
        let used = UsedCodes::default();
        let code = |now| Code::new(SessionId::random(), now);
        let all = (0..=MAX_OF_PERSON).filter(|_| used.add("a", code(0), 0));
        assert_eq!(all.count(), MAX_OF_PERSON, "whatever sessions the person has");
        let others = (1..=MAX_PERSONS).filter(|one| used.add(&one.to_string(), code(0), 0));
        assert_eq!(others.count(), MAX_PERSONS - 1, "one person shuts nobody out");
        assert!(used.add("a", code(LIFETIME), LIFETIME));
        assert_eq!(used.0.lock().len(), 1);
    }

    #[test]
    fn a_code_opens_for_its_app_alone() {
        let ring = |byte: u8| {
            let key = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([byte; 32]);
            Keyring::parse(&key).unwrap()
        };
        let url = PublicUrl { secure: true, host: "apps.example".into(), port: 443 };
        let cookies = Cookies::new("appliance", &url, &CookieNames::default());
        let app = |name: &str| {
            let origins = ["https://wiki.example.org".to_owned()];
            EmbedCookie::new("appliance", &AppName::new(name).unwrap(), &origins, true)
        };
        let code = Code::new(SessionId::random(), 0);
        let text = code.seal(&ring(1), &cookies, &app("a"));
        let open = |text: &str, byte, name: &str| {
            Code::open(text.as_bytes(), &ring(byte), &cookies, &app(name))
        };
        assert_eq!(open(&text, 1, "a"), Some(code));
        assert_eq!(open(&text, 1, "b"), None);
        assert_eq!(open(&text, 2, "a"), None);
        let name = AppName::new("a").unwrap();
        let moved = EmbedCookie::new("appliance", &name, &["https://b.example".to_owned()], true);
        assert_eq!(Code::open(text.as_bytes(), &ring(1), &cookies, &moved), None);
        assert_eq!(open("rubbish", 1, "a"), None);
        assert_eq!(open("", 1, "a"), None);
    }
}
