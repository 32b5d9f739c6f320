//! From the authorization code to a session.
//!
//! An attempt is used up *before* its code is exchanged: an issuer that sees a code twice may end
//! the whole session (RFC 6749 §4.1.2). Anybody can begin attempts and come back with invented codes,
//! so the exchanges that run at the same time are limited, and one that no browser waits for stops.

use std::io;
use std::path::Path;
use std::sync::Arc;

use openidconnect::RedirectUrl;
use tracing::{error, info, warn};

use super::attempt::{Attempt, UsedAttempts};
use super::consent::{Admitted, Consents, Question};
use super::replacement::{put_in_force, replace_by_id};
use crate::auth::issuer::{Identified, IdentityError, TokenError};
use crate::auth::runtime::{Flight, Mutex, SingleFlight, Turnstile, clock, tally};
use crate::auth::session::device::Device;
use crate::auth::session::renewal::{Grants, Restored, Restorer};
use crate::auth::session::store::{Arrival, Barred, EndReason, Found};
use crate::auth::session::{Session, SessionId, Ticket};

/// The code exchanges that run, and the attempts that have been used up.
#[derive(Debug)]
pub(crate) struct CodeExchanges {
    used: Mutex<UsedAttempts>,
    running: SingleFlight<String, LoginResult>,
    turnstile: Turnstile,
}

/// The result of a login whose browser came back.
pub(super) type LoginResult = Result<Completed, LoginError>;

/// A login that succeeded.
#[derive(Debug, Clone)]
pub(super) enum Completed {
    SignedIn(Arc<Session>),
    /// Another person is signed in here: the person has to confirm.
    Asks(Question),
}

/// What becomes of a callback.
pub(super) enum Started {
    /// Its exchange runs.
    Running(Flight<LoginResult>),
    /// The attempt was used up before, and its exchange has completed.
    UsedUp,
    /// Too many exchanges run. The attempt is not used up.
    Busy,
}

/// One code exchange.
pub(super) struct Exchange {
    pub(super) grants: Arc<Grants>,
    pub(super) restorer: Restorer,
    pub(super) consents: Arc<Consents>,
    pub(super) code: String,
    pub(super) attempt: Attempt,
    pub(super) redirect: RedirectUrl,
    /// What the cookies of the callback stand for.
    pub(super) before: Vec<Found>,
    /// Where the callback came from.
    pub(super) device: Device,
}

/// A login that failed after the browser came back. The texts are for the log.
#[derive(Debug, Clone, thiserror::Error)]
pub(super) enum LoginError {
    #[error("{0}")]
    Tokens(#[from] TokenError),
    #[error("{0}")]
    Identity(#[from] IdentityError),
    /// Holds the user name.
    #[error("the e-mail address of {0} is not verified")]
    Unverified(String),
    #[error("the session ended at once")]
    Ended,
    #[error("a reload does not allow the session any more")]
    Reloaded,
}

impl LoginError {
    /// Why the login of `user` cannot come into force.
    fn barred(barred: Barred, user: &str) -> Self {
        match barred {
            Barred::By(EndReason::Unverified) => Self::Unverified(user.to_owned()),
            Barred::By(_) => Self::Reloaded,
            Barred::HasEnded => Self::Ended,
        }
    }
}

impl CodeExchanges {
    /// Used attempts are remembered in `dir`, which must exist.
    pub(crate) fn open(dir: &Path) -> io::Result<Self> {
        Ok(Self {
            used: Mutex::new(UsedAttempts::open(dir)?),
            running: SingleFlight::new(),
            turnstile: Turnstile::default(),
        })
    }

    /// Uses up the attempt and starts to exchange its code, or joins the exchange that runs.
    pub(super) fn start(&self, exchange: Exchange) -> Started {
        let state = exchange.attempt.state.clone();
        // Locked until the exchange is registered, so that a second callback finds it.
        let mut used = self.used.lock();
        if used.contains(&state) {
            return self.running.join(&state).map_or(Started::UsedUp, Started::Running);
        }
        let Some(pass) = self.turnstile.enter(exchange.device.client_ip()) else {
            return Started::Busy;
        };
        used.add(&state, exchange.attempt.ends());
        let tasks = exchange.grants.tasks.clone();
        let flight = self.running.join_or_start_while_wanted(&tasks, state, move || async move {
            let result = exchange.run().await;
            drop(pass);
            result
        });
        Started::Running(flight)
    }
}

impl Exchange {
    async fn run(self) -> LoginResult {
        let admitted = match self.admit().await {
            Ok(admitted) => admitted,
            Err(reason) => return Err(failed(&self.grants, reason)),
        };
        let others = self.other_people(&admitted.ticket.subject).await;
        if !others.is_empty() {
            let user = &admitted.person.user;
            info!(user, current = others.join(", "), "sign-in asks: another person is signed in");
            let shown = self.before.iter().filter_map(Found::id).collect();
            let path = &self.attempt.return_path;
            return Ok(Completed::Asks(self.consents.ask(admitted, &others, shown, path)));
        }
        let session = complete(&self.grants, admitted, self.before).await?;
        for disputed in self.attempt.disputed {
            replace_by_id(&self.grants, disputed, &session).await;
        }
        Ok(Completed::SignedIn(session))
    }

    /// Exchanges the code for a session that is not in force yet.
    async fn admit(&self) -> Result<Admitted, LoginError> {
        let (grants, attempt, began) = (&self.grants, &self.attempt, clock::now());
        let (code, proof_key) = (self.code.clone(), attempt.verifier.clone());
        let response = grants.issuer.exchange_code(code, proof_key, &self.redirect).await?;
        let Identified { person, sid } = grants.people.at_login(&response, &attempt.nonce).await?;
        if grants.sessions.terms_in_force().refuse(&person) {
            return Err(LoginError::Unverified(person.user));
        }
        let tokens = Grants::tokens(response, None);
        grants.sessions.refresh_tokens.record(tokens.refresh.is_some());
        let signed_in = clock::now() / 1000;
        let ticket = Ticket {
            id: SessionId::random(),
            subject: person.subject.clone(),
            signed_in,
            proof: tokens.proof(&person),
            until: grants.sessions.until(signed_in),
            sid,
            groupless: grants.people.is_groupless(&person),
        };
        let arrival = Arrival { began, device: self.device.clone() };
        Ok(Admitted { ticket, person: Arc::new(person), tokens, arrival })
    }

    /// Whether the browser has several sessions, and had all of them when it began the login. Nobody is
    /// signed in then, so nobody is asked. A session that the attempt does not name may be the person's
    /// own: the attempt and the sessions that it names can be planted together.
    fn settles_a_dispute(&self) -> bool {
        let mut shown: Vec<_> = self.before.iter().filter_map(Found::id).collect();
        shown.sort_unstable();
        shown.dedup();
        let Attempt { disputed, replaces, .. } = &self.attempt;
        let is_named = |id: &SessionId| disputed.contains(id) || replaces.contains(id);
        shown.len() > 1 && shown.iter().all(is_named)
    }

    /// The names of people other than `subject` who are signed in in this browser and whose session
    /// the login does not replace as a matter of course.
    async fn other_people(&self, subject: &str) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        if self.settles_a_dispute() {
            return names;
        }
        for found in &self.before {
            if found.id().is_some_and(|id| self.attempt.replaces.contains(&id)) {
                continue;
            }
            let name = match found {
                Found::Live(session, _) if session.person().subject != subject => {
                    session.person().user.clone()
                }
                Found::Sealed(ticket) if ticket.subject != subject => {
                    match self.restorer.restore(ticket.clone(), self.device.clone()).await {
                        Restored::Live(session) => session.person().user.clone(),
                        Restored::Over => continue,
                        Restored::Unavailable => "somebody else".to_owned(),
                    }
                }
                Found::Live(..) | Found::Sealed(_) | Found::Nobody(_) => continue,
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}

/// Puts a login in force. What does not allow it is counted and logged.
pub(super) async fn complete(
    grants: &Grants,
    admitted: Admitted,
    before: Vec<Found>,
) -> Result<Arc<Session>, LoginError> {
    let user = admitted.person.user.clone();
    let session = put_in_force(grants, admitted, before).await;
    session.map_err(|barred| failed(grants, LoginError::barred(barred, &user)))
}

/// Counts and logs a login that failed.
fn failed(grants: &Grants, reason: LoginError) -> LoginError {
    grants.sessions.tally.login(tally::LoginResult::Failure);
    if matches!(reason, LoginError::Tokens(TokenError::Client(_))) {
        error!(%reason, "sign-in failed");
    } else {
        warn!(%reason, "sign-in failed");
    }
    reason
}
