//! The terms of the configuration: everything that sessions derive from it.
//!
//! Each grant passes [`Terms::apply`] when it comes into force: after a login, after the answer to the
//! question about another person, at a refresh and at a restore. A reload applies the new terms to the
//! sessions in force. So no session keeps what a former configuration made of it, whatever was under
//! way during the reload.

use std::sync::Arc;
use std::time::Duration;

use super::end_reason::EndReason;
use crate::auth::cookie::{Cookies, Keyring};
use crate::auth::person::{ClaimPaths, Person, Signer};
use crate::auth::session::{Grant, SealedCookie, Ticket};

/// What sessions derive from one configuration.
#[derive(Debug)]
pub(crate) struct Terms {
    /// Where the parts of a person are in the claims.
    pub(crate) paths: Arc<ClaimPaths>,
    /// `[oidc] require_verified_email`
    pub(crate) require_verified_email: bool,
    /// `[session] recheck`: how long before an access token expires it is refreshed.
    pub(crate) recheck: Duration,
    pub(crate) keyring: Arc<Keyring>,
    pub(crate) cookies: Arc<Cookies>,
    /// Signs the identity assertions.
    pub(crate) signer: Arc<Signer>,
}

impl Terms {
    /// The grant under these terms; the error says why the session may not be in force under them.
    pub(super) fn apply(&self, mut grant: Grant) -> Result<Grant, EndReason> {
        if !self.paths.have_read(&grant.person) {
            let Person { subject, claims, .. } = &*grant.person;
            // A claim that only the userinfo endpoint tells was not asked for so far.
            grant.tokens.lacks_claims = !self.paths.complete_in(claims);
            grant.person = Arc::new(self.paths.read(subject, claims.clone()));
        }
        if self.refuse(&grant.person) {
            return Err(EndReason::Unverified);
        }
        if !self.open(&grant.cookie) {
            return Err(EndReason::Unreadable);
        }
        grant.tokens.plan_refresh(self.recheck);
        Ok(grant)
    }

    /// Whether `require_verified_email` refuses the person. People can change their address at the
    /// issuer during a session.
    pub(crate) fn refuse(&self, person: &Person) -> bool {
        person.is_refused(self.require_verified_email)
    }

    /// Whether the cookie has the name, host and keys of this configuration.
    pub(super) fn open(&self, cookie: &SealedCookie) -> bool {
        Ticket::open(cookie.text.as_bytes(), &self.keyring, &self.cookies).is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use base64::Engine as _;
    use http::HeaderValue;
    use openidconnect::RefreshToken;
    use serde_json::json;

    use super::*;
    use crate::auth::cookie::CookieNames;
    use crate::auth::session::{Proof, SessionId, Tokens};
    use crate::config::PublicUrl;

    fn terms(groups: &str) -> Terms {
        let key = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([1; 32]);
        let url = PublicUrl { secure: false, host: "localhost".into(), port: 8080 };
        let dir = tempfile::tempdir().unwrap();
        Terms {
            paths: ClaimPaths::with_groups_at(groups),
            require_verified_email: false,
            recheck: Duration::from_secs(10),
            keyring: Arc::new(Keyring::parse(&key).unwrap()),
            cookies: Arc::new(Cookies::new("appliance", &url, &CookieNames::default())),
            signer: Arc::new(Signer::open(dir.path(), url.to_string()).unwrap()),
        }
    }

    /// A grant under `terms`, whose access token expires at 100 000 ms.
    fn grant(terms: &Terms) -> Grant {
        let claims = json!({
            "preferred_username": "alice", "email": "a@corp.example", "groups": ["staff"],
            "teams": ["blue"],
        });
        let ticket = Ticket {
            id: SessionId::random(),
            subject: "sub".into(),
            signed_in: 0,
            proof: Proof::InLedger,
            until: u64::MAX,
            sid: None,
            groupless: false,
        };
        let (text, _) = ticket.seal(&terms.keyring, &terms.cookies);
        let (header, in_ledger) = (HeaderValue::from_static(""), AtomicBool::new(false));
        let mut tokens = Tokens::none();
        tokens.access_ends = 100_000;
        tokens.lifetime = Duration::from_mins(1);
        tokens.refresh = Some(RefreshToken::new("rt".into()));
        Grant {
            person: Arc::new(terms.paths.read("sub", claims)),
            tokens,
            cookie: Arc::new(SealedCookie { text, header, in_ledger }),
        }
    }

    #[test]
    fn a_grant_that_fits_stays_and_its_refresh_is_planned() {
        let here = terms("groups");
        let before = grant(&here);
        let after = here.apply(before.clone()).unwrap();
        assert!(Arc::ptr_eq(&after.person, &before.person), "nothing is read again");
        assert!(Arc::ptr_eq(&after.cookie, &before.cookie));
        assert!(!after.tokens.need_refresh(99_999) && after.tokens.need_refresh(100_000));
        // At most half of the lifetime of the token.
        for (recheck, due) in [(10, 90_000), (1, 99_000), (600, 70_000)] {
            let (recheck, paths) = (Duration::from_secs(recheck), Arc::clone(&here.paths));
            let terms = Terms { paths, recheck, ..terms("groups") };
            assert_eq!(terms.apply(before.clone()).unwrap().tokens.due, Some(due));
        }
    }

    #[test]
    fn another_claim_is_read_and_asked_for_if_it_is_not_known() {
        let before = grant(&terms("groups"));
        for (groups, read, known) in [("teams", &["blue"][..], true), ("squads", &[], false)] {
            let after = terms(groups).apply(before.clone()).unwrap();
            assert_eq!(after.person.groups, read);
            assert_eq!(after.tokens.need_refresh(0), !known, "{groups}");
            assert_eq!(after.tokens.due == Some(0), !known, "{groups}");
        }
        let mut without = before;
        without.tokens.refresh = None;
        let after = terms("squads").apply(without).unwrap();
        assert!(after.tokens.due.is_none() && !after.tokens.need_refresh(0));
    }

    #[test]
    fn what_the_terms_do_not_allow_is_refused() {
        let before = grant(&terms("groups"));
        let strict = Terms { require_verified_email: true, ..terms("groups") };
        assert_eq!(strict.apply(before.clone()).err(), Some(EndReason::Unverified));
        let key = base64::prelude::BASE64_URL_SAFE_NO_PAD.encode([2; 32]);
        let keyring = Arc::new(Keyring::parse(&key).unwrap());
        let rekeyed = Terms { keyring, ..terms("groups") };
        assert_eq!(rekeyed.apply(before.clone()).err(), Some(EndReason::Unreadable));
        let url = PublicUrl { secure: true, host: "localhost".into(), port: 8080 };
        let cookies = Arc::new(Cookies::new("appliance", &url, &CookieNames::default()));
        let renamed = Terms { cookies, ..terms("groups") };
        assert_eq!(renamed.apply(before).err(), Some(EndReason::Unreadable));
    }
}
