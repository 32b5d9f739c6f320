//! What a session got from its last login or refresh: the person, the tokens and the cookie.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use http::HeaderValue;
use openidconnect::RefreshToken;

use super::ticket::Proof;
use crate::auth::person::Person;
use crate::auth::runtime::clock::{self, Millis};

/// The result of the last login or refresh. A session replaces it as a whole.
#[derive(Clone)]
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
    /// How long the access token was valid when it was issued.
    pub(super) lifetime: Duration,
    /// When to refresh; `None` without a refresh token.
    pub(super) due: Option<Millis>,
    /// The person was read from claims that lack what the configuration asks for. Only a refresh can
    /// bring it, so the refresh is due at once.
    pub(super) lacks_claims: bool,
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
    /// What a program has brought: an access token that is valid until `ends`.
    pub(super) fn of_program(token: &str, person: Person, ends: Millis) -> Self {
        let access = HeaderValue::from_str(token).ok().map(|mut value| {
            value.set_sensitive(true);
            value
        });
        let cookie = SealedCookie {
            text: String::new(),
            header: HeaderValue::from_static(""),
            in_ledger: AtomicBool::new(false),
        };
        Self {
            person: Arc::new(person),
            tokens: Tokens { access, access_ends: ends, ..Tokens::none() },
            cookie: Arc::new(cookie),
        }
    }
}

impl Tokens {
    /// The tokens of a session that was restored from its cookie at an issuer that grants no
    /// refresh tokens.
    pub(super) fn none() -> Self {
        Self {
            access: None,
            access_ends: 0,
            lifetime: Duration::ZERO,
            due: None,
            lacks_claims: false,
            refresh: None,
            id: None,
        }
    }

    /// Plans the next refresh: `recheck` before the access token expires.
    pub(super) fn plan_refresh(&mut self, recheck: Duration) {
        let early = clock::millis(recheck.min(self.lifetime / 2));
        let planned = if self.lacks_claims { 0 } else { self.access_ends.saturating_sub(early) };
        self.due = self.refresh.as_ref().map(|_| planned);
    }

    /// Whether only a refresh tells at `now` whether the session is still in force, and for whom.
    pub(super) fn need_refresh(&self, now: Millis) -> bool {
        now >= self.access_ends || (self.lacks_claims && self.refresh.is_some())
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
