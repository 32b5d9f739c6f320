//! What a session got from its last login or refresh: the person, the tokens and the cookie.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use http::HeaderValue;
use openidconnect::RefreshToken;

use super::ticket::Proof;
use crate::auth::person::Person;
use crate::auth::runtime::clock::Millis;

/// The result of the last login or refresh. A session replaces it as a whole.
pub(crate) struct Grant {
    pub(super) person: Arc<Person>,
    pub(crate) tokens: Tokens,
    pub(crate) cookie: Arc<SealedCookie>,
}

/// The issuer's tokens.
#[derive(Clone)]
pub(crate) struct Tokens {
    /// The access token as a header value.
    pub(super) access: Option<HeaderValue>,
    /// When the access token expires.
    pub(super) access_ends: Millis,
    /// When to refresh; `None` without a refresh token.
    pub(super) due: Option<Millis>,
    pub(crate) refresh: Option<RefreshToken>,
    /// The ID token, which a sign-out sends to the issuer as `id_token_hint`.
    pub(crate) id: Option<Arc<str>>,
}

/// The newest session cookie; the browser may still have the one before.
pub(crate) struct SealedCookie {
    /// The cookie's value.
    pub(super) text: String,
    /// The `Set-Cookie` value.
    pub(crate) header: HeaderValue,
    /// Whether the ledger keeps the proof of this cookie as well. It does until the browser sends
    /// the cookie for the first time.
    pub(super) in_ledger: AtomicBool,
}

impl Grant {
    /// The person who has logged in.
    pub(crate) fn person(&self) -> &Arc<Person> {
        &self.person
    }
}

impl Tokens {
    /// The tokens of a session that was restored from its cookie at an issuer that grants no
    /// refresh tokens.
    pub(super) fn none() -> Self {
        Self { access: None, access_ends: 0, due: None, refresh: None, id: None }
    }

    /// The proof for the session's next cookie: the refresh token, or `person`'s claims without
    /// one.
    pub(crate) fn proof(&self, person: &Person) -> Proof {
        match &self.refresh {
            Some(token) => Proof::Refresh(token.secret().clone()),
            None => Proof::Identity(person.claims.to_string()),
        }
    }
}

impl std::fmt::Debug for SealedCookie {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealedCookie").finish_non_exhaustive()
    }
}
