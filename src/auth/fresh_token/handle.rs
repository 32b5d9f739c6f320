//! Handles: what an app shows to get the access token of a session.
//!
//! A handle is the id of the session and an HMAC over this id and the name of the app. Nothing is kept for
//! it, so apps cannot use up memory with handles. It counts for one app only, and until the process of
//! the appliance ends: each process has another key.

use std::fmt;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD as BASE64;
use http::HeaderValue;
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::SystemRandom;

use crate::auth::session::SessionId;
use crate::config::AppName;

/// Bytes of the id, before those of the HMAC.
const ID: usize = 16;

/// Makes handles and reads them.
pub(crate) struct Handles(hmac::Key);

impl Handles {
    /// With a new key. Fails if the system gives no random numbers.
    pub(crate) fn new() -> Result<Self, ring::error::Unspecified> {
        hmac::Key::generate(HMAC_SHA256, &SystemRandom::new()).map(Self)
    }

    /// The handle of a session for an app.
    pub(super) fn make(&self, session: SessionId, app: &AppName) -> Option<HeaderValue> {
        let id = session.bytes();
        let tag = hmac::sign(&self.0, &signed(id, app));
        let mut value =
            HeaderValue::try_from(BASE64.encode([&id[..], tag.as_ref()].concat())).ok()?;
        value.set_sensitive(true);
        Some(value)
    }

    /// The session of a handle that was made for this app; `None` for anything else. The time that the
    /// comparison takes does not depend on the handle.
    pub(super) fn read(&self, handle: &str, app: &AppName) -> Option<SessionId> {
        let bytes = BASE64.decode(handle).ok()?;
        let (id, tag) = bytes.split_first_chunk::<ID>()?;
        hmac::verify(&self.0, &signed(*id, app), tag).ok()?;
        Some(SessionId::of_bytes(*id))
    }
}

/// The id has a fixed length, so no two pairs of id and name have the same bytes.
fn signed(id: [u8; ID], app: &AppName) -> Vec<u8> {
    [&id[..], app.as_str().as_bytes()].concat()
}

impl fmt::Debug for Handles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handles").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(name: &str) -> AppName {
        AppName::new(name).unwrap()
    }

    fn text(handle: &HeaderValue) -> &str {
        handle.to_str().unwrap()
    }

    #[test]
    fn a_handle_counts_for_its_app_and_session_and_process() {
        let (handles, other) = (Handles::new().unwrap(), Handles::new().unwrap());
        let (alice, bob) = (SessionId::random(), SessionId::random());
        let handle = handles.make(alice, &app("a")).unwrap();
        assert_eq!(handles.read(text(&handle), &app("a")), Some(alice));
        assert_eq!(handles.make(alice, &app("a")).unwrap(), handle, "each handshake gets the same");
        for name in ["b", "aa", "a-", "a0"] {
            assert_eq!(handles.read(text(&handle), &app(name)), None, "{name}");
        }
        assert_eq!(other.read(text(&handle), &app("a")), None, "another process");
        let his = handles.make(bob, &app("a")).unwrap();
        let [hers, his] = [&handle, &his].map(|one| BASE64.decode(text(one)).unwrap());
        let mixed = BASE64.encode([&his[..ID], &hers[ID..]].concat());
        assert_eq!(handles.read(&mixed, &app("a")), None, "the id of another session");
    }

    #[test]
    fn what_is_no_handle_is_refused() {
        let handles = Handles::new().unwrap();
        let handle = handles.make(SessionId::random(), &app("a")).unwrap();
        let handle = text(&handle);
        let id = BASE64.encode(&BASE64.decode(handle).unwrap()[..ID]);
        for bad in ["", "x", "====", &handle[1..], &handle[..60], &id, &format!("{handle}AAAA")] {
            assert_eq!(handles.read(bad, &app("a")), None, "{bad}");
        }
        for at in 0..handle.len() {
            let mut forged = handle.as_bytes().to_vec();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).unwrap();
            assert_eq!(handles.read(&forged, &app("a")), None, "character {at}");
        }
    }

    #[test]
    fn neither_a_handle_nor_the_key_is_shown() {
        let handles = Handles::new().unwrap();
        let handle = handles.make(SessionId::random(), &app("a")).unwrap();
        assert_eq!(format!("{handle:?} {handles:?}"), "Sensitive Handles { .. }");
    }
}
