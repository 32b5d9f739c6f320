//! Verifies the tokens that programs bring, and remembers them.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use tokio::sync::Notify;
use tracing::debug;

use super::digest::{Digest, digest_of};
use super::table::Table;
use crate::auth::issuer::{IntrospectionError, Issuer, TokenFault, VerifiedAccessToken};
use crate::auth::person::{ClaimPaths, Signer, claims};
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::runtime::{Mutex, Turnstile};
use crate::auth::session::store::Sessions;
use crate::auth::session::{ProgramTerms, Session};

/// How long the issuer's answer about a token holds that only the issuer can read.
const INTROSPECTED_FOR: Duration = Duration::from_mins(1);
/// How long a token waits for its introspection while too many run.
const LONGEST_WAIT: Duration = Duration::from_secs(2);
/// The least time between two reviews, and after one in which the issuer had to be asked.
const PAUSE: Duration = Duration::from_millis(100);
const PAUSE_AFTER_ASKING: Duration = Duration::from_secs(1);
/// How many tokens the issuer is asked about again at a time.
const ASKED_AT_ONCE: usize = 8;
/// The longest time between two reviews, because the clock may be set.
const MAX_PAUSE: Duration = Duration::from_hours(1);

/// The programs that have brought a good token.
#[derive(Debug)]
pub(crate) struct Programs {
    issuer: Arc<Issuer>,
    /// Knows whose sessions have been ended.
    sessions: Arc<Sessions>,
    terms: Terms,
    known: Arc<Known>,
    /// What an earlier configuration with other terms has admitted.
    replaced: Option<Arc<Known>>,
}

/// What a token must meet, and what its session derives from the configuration.
#[derive(Debug)]
struct Terms {
    audiences: Vec<String>,
    paths: Arc<ClaimPaths>,
    require_verified_email: bool,
    signer: Arc<Signer>,
}

/// What a reload keeps if the terms stay.
#[derive(Debug, Default)]
struct Known {
    table: Mutex<Table>,
    turnstile: Turnstile,
    /// A session has got its first transfer, or a token was added.
    changed: Arc<Notify>,
}

/// Why a token lets nobody in. The texts are for the log.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Refused {
    /// The token is not good.
    #[error("the access token is not accepted: {0}")]
    Untrusted(TokenFault),
    /// The issuer has to be asked, and does not answer.
    #[error("{0}")]
    Unavailable(String),
}

impl Programs {
    pub(crate) fn new(
        issuer: Arc<Issuer>,
        sessions: Arc<Sessions>,
        audiences: &[String],
        paths: Arc<ClaimPaths>,
        require_verified_email: bool,
        signer: Arc<Signer>,
    ) -> Self {
        let audiences = audiences.to_vec();
        let terms = Terms { audiences, paths, require_verified_email, signer };
        Self { issuer, sessions, terms, known: Arc::default(), replaced: None }
    }

    /// These programs under a new configuration. Sessions go on if it judges tokens in the same way;
    /// otherwise each token is verified again, and [`Self::take_over`] ends what is open.
    pub(crate) fn following(mut self, before: &Self) -> Self {
        if self.terms.judge_like(&before.terms) {
            self.known = Arc::clone(&before.known);
        } else {
            self.known.table.lock().inherit(&before.known.table.lock());
            self.replaced = Some(Arc::clone(&before.known));
        }
        self
    }

    /// Ends the sessions that an earlier configuration has admitted by other rules.
    pub(crate) fn take_over(&self) {
        if let Some(replaced) = &self.replaced {
            let mut before = replaced.table.lock();
            // Sessions that were ended since `following` may be in the old table only.
            self.end_people_of(&mut before);
            self.known.table.lock().inherit(&before);
            before.close();
        }
    }

    /// The session of a token that was verified before. Cheap.
    pub(crate) fn find(&self, token: &str) -> Option<Arc<Session>> {
        self.known.table.lock().trusted(&digest_of(token), clock::now())
    }

    /// Verifies a token that `client` has sent: a JWT by its signature, any other by asking the issuer.
    pub(crate) async fn verify(
        &self,
        token: &str,
        client: Option<IpAddr>,
    ) -> Result<Arc<Session>, Refused> {
        if claims::payload(token).is_some() {
            let verified = self.issuer.verify_access_token(token, &self.terms.audiences).await;
            let verified = verified.map_err(Refused::of)?;
            let ends = verified.ends;
            return self.admit(token, verified, ends);
        }
        let pass = self.known.turnstile.enter_within(client, LONGEST_WAIT).await;
        let Some(_pass) = pass else {
            return Err(Refused::Unavailable("too many introspections run".to_owned()));
        };
        // Another request may have brought the same token meanwhile.
        if let Some(session) = self.find(token) {
            return Ok(session);
        }
        self.introspect(token).await
    }

    async fn introspect(&self, token: &str) -> Result<Arc<Session>, Refused> {
        match self.issuer.introspect(token, &self.terms.audiences).await {
            Ok(verified) => {
                let trusted_until = clock::now() + clock::millis(INTROSPECTED_FOR);
                self.admit(token, verified, trusted_until)
            }
            Err(IntrospectionError::Untrusted(fault)) => {
                self.known.table.lock().end(&digest_of(token));
                Err(Refused::of(fault))
            }
            Err(error) => Err(Refused::Unavailable(error.to_string())),
        }
    }

    fn admit(
        &self,
        token: &str,
        verified: VerifiedAccessToken,
        trusted_until: Millis,
    ) -> Result<Arc<Session>, Refused> {
        let VerifiedAccessToken { subject, claims, issued, not_before, ends, sid } = verified;
        let person = self.terms.paths.read(&subject, claims.into());
        if person.is_refused(self.terms.require_verified_email) {
            let fault = TokenFault::Untrusted(
                "[oidc] require_verified_email is set, and it has no verified e-mail address",
            );
            return Err(Refused::Untrusted(fault));
        }
        let (digest, now) = (digest_of(token), clock::now());
        let mut table = self.known.table.lock();
        let known = table.known(&digest).filter(|session| !session.is_over());
        let session = if let Some(session) = known {
            session.set_person(person);
            session
        } else {
            let (signer, changed) = (self.terms.signer.clone(), self.known.changed.clone());
            let terms = ProgramTerms { issued, ends, sid };
            Arc::new(Session::of_program(token, person, terms, signer, changed))
        };
        if table.has_ended(&digest, &subject, not_before)
            || self.sessions.has_program_ended(&session)
        {
            return Err(Refused::Untrusted(TokenFault::Untrusted(
                "the sessions of its person have been ended since it was issued",
            )));
        }
        table.insert(digest, Arc::clone(&session), trusted_until.min(ends), now);
        drop(table);
        self.known.changed.notify_one();
        Ok(session)
    }

    /// Ends sessions with their tokens and with the sessions of their person, and asks the issuer again
    /// about those with an open transfer. Never returns.
    pub(crate) async fn run(&self) {
        tokio::join!(self.end_with_tokens(), self.end_with_people());
    }

    async fn end_with_people(&self) {
        loop {
            self.sessions.logouts.more.notified().await;
            self.end_people_of(&mut self.known.table.lock());
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn end_people_of(&self, table: &mut Table) {
        table.end_with_people(|session| self.sessions.has_program_ended(session), clock::now());
    }

    async fn end_with_tokens(&self) {
        loop {
            let now = clock::now();
            let (next, due) = {
                let mut table = self.known.table.lock();
                table.end_expired(now);
                (table.next_review(), table.due(now))
            };
            let least = if due.is_empty() { PAUSE } else { PAUSE_AFTER_ASKING };
            self.ask_about(due).await;
            match next {
                None => self.known.changed.notified().await,
                Some(at) => {
                    let pause = Duration::from_millis(at.saturating_sub(now));
                    tokio::select! {
                        () = tokio::time::sleep(pause.clamp(least, MAX_PAUSE)) => {}
                        () = self.known.changed.notified() => tokio::time::sleep(PAUSE).await,
                    }
                }
            }
        }
    }

    /// Asks the issuer about these again. A slow answer does not delay the end of other tokens.
    async fn ask_about(&self, due: Vec<(Digest, Arc<Session>)>) {
        let ask = |(digest, session)| async move { self.ask_again(&digest, &session).await };
        let asked = stream::iter(due).for_each_concurrent(ASKED_AT_ONCE, ask);
        tokio::pin!(asked);
        while tokio::time::timeout(PAUSE_AFTER_ASKING, &mut asked).await.is_err() {
            self.known.table.lock().end_expired(clock::now());
        }
    }

    async fn ask_again(&self, digest: &Digest, session: &Arc<Session>) {
        let Some(header) = session.access_token() else { return };
        let Ok(token) = header.to_str() else { return };
        match self.introspect(token).await {
            Ok(_) => {}
            Err(Refused::Untrusted(_)) => self.known.table.lock().end(digest),
            Err(Refused::Unavailable(reason)) => {
                debug!(reason, "cannot ask the issuer about an access token again");
            }
        }
    }
}

impl Terms {
    fn judge_like(&self, before: &Self) -> bool {
        self.audiences == before.audiences
            && Arc::ptr_eq(&self.paths, &before.paths)
            && self.require_verified_email == before.require_verified_email
            && Arc::ptr_eq(&self.signer, &before.signer)
    }
}

impl Refused {
    fn of(fault: TokenFault) -> Self {
        match fault {
            TokenFault::NotReady => Self::Unavailable(fault.to_string()),
            fault => Self::Untrusted(fault),
        }
    }
}
