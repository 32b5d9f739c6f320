//! The code with which a frame gets its cookie: sealed, for one session and one app, used once within a
//! minute.
//!
//! The codes that were used up are in memory only: after a restart no session is in memory either, and
//! then no code counts.

use std::collections::VecDeque;

use aes_gcm::aead::Generate as _;
use serde::{Deserialize, Serialize};

use crate::auth::cookie::{Binding, Cookies, Keyring, Purpose};
use crate::auth::runtime::Mutex;
use crate::auth::runtime::clock::Millis;
use crate::auth::session::SessionId;
use crate::config::AppName;

/// How long a code counts, milliseconds.
const LIFETIME: Millis = 60 * 1000;
/// How many codes are used within that time. More are refused, so that no code counts twice.
const MAX: usize = 4096;

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

    pub(super) fn seal(self, keyring: &Keyring, cookies: &Cookies, app: &AppName) -> String {
        // Serializing plain data into memory cannot fail; an empty value would not open.
        let plain = postcard::to_stdvec(&self).unwrap_or_default();
        keyring.seal(binding(cookies, app), &plain)
    }

    /// Opens what [`Self::seal`] made for this app; `None` for anything else.
    pub(super) fn open(
        text: &[u8],
        keyring: &Keyring,
        cookies: &Cookies,
        app: &AppName,
    ) -> Option<Self> {
        postcard::from_bytes(&keyring.open(binding(cookies, app), text)?).ok()
    }
}

fn binding<'a>(cookies: &'a Cookies, app: &'a AppName) -> Binding<'a> {
    Binding { purpose: Purpose::Handover, name: app.as_str(), host: &cookies.host }
}

/// The codes that were used up and would still count.
#[derive(Debug, Default)]
pub(super) struct UsedCodes(Mutex<VecDeque<Code>>);

impl UsedCodes {
    /// Uses up a code. `false` if it counts no longer, was used before, or too many were used.
    pub(super) fn add(&self, code: Code, now: Millis) -> bool {
        let mut used = self.0.lock();
        used.retain(|one| now < one.ends);
        if now >= code.ends || used.len() >= MAX || used.contains(&code) {
            return false;
        }
        used.push_back(code);
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
        assert!(used.add(code, 1000) && !used.add(code, 1000));
        assert!(used.add(Code::new(id, 1000), 1000), "another code of the session");
        let late = Code::new(id, 1000);
        assert!(!used.add(late, 61_000) && !used.add(code, 61_000), "both are too old");
        assert!(used.0.lock().is_empty(), "what is too old is forgotten");
    }

    #[test]
    fn no_more_than_a_fixed_number_is_remembered() {
        let used = UsedCodes::default();
        let all = (0..=MAX).filter(|_| used.add(Code::new(SessionId::random(), 0), 0));
        assert_eq!(all.count(), MAX);
        assert!(used.add(Code::new(SessionId::random(), LIFETIME), LIFETIME));
    }

    #[test]
    fn a_code_opens_for_its_app_alone() {
        let ring = |byte: u8| {
            let key = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([byte; 32]);
            Keyring::parse(&key).unwrap()
        };
        let url = PublicUrl { secure: true, host: "apps.example".into(), port: 443 };
        let cookies = Cookies::new("appliance", &url, &CookieNames::default());
        let app = |name: &str| AppName::new(name).unwrap();
        let code = Code::new(SessionId::random(), 0);
        let text = code.seal(&ring(1), &cookies, &app("a"));
        let open = |text: &str, byte, name: &str| {
            Code::open(text.as_bytes(), &ring(byte), &cookies, &app(name))
        };
        assert_eq!(open(&text, 1, "a"), Some(code));
        assert_eq!(open(&text, 1, "b"), None);
        assert_eq!(open(&text, 2, "a"), None);
        assert_eq!(open("rubbish", 1, "a"), None);
        assert_eq!(open("", 1, "a"), None);
    }
}
