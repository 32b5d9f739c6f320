//! A login as another person than the one who is signed in: it asks first.
//!
//! A login attempt can be planted in a browser, and the issuer's own session can be somebody else's.
//! Without the question the person would go on working, unnoticed, in another person's account
//! (RFC 6749 §10.12). The new session is kept here and takes effect when the person confirms it by a
//! button, in the browser that has the sessions that were shown at the question.

use std::collections::VecDeque;
use std::sync::Arc;

use openidconnect::CsrfToken;

use crate::auth::person::Person;
use crate::auth::runtime::Mutex;
use crate::auth::runtime::clock::{self, Millis};
use crate::auth::session::store::Arrival;
use crate::auth::session::{SessionId, Ticket, Tokens};

/// How long an answer is waited for, milliseconds.
const LIFETIME: Millis = 10 * 60 * 1000;
/// How many questions are open at a time; the oldest goes first.
const MAX: usize = 64;

/// A login whose session is not in force yet. Its cookie is sealed when it comes into force.
pub(super) struct Admitted {
    pub(super) ticket: Ticket,
    pub(super) person: Arc<Person>,
    pub(super) tokens: Tokens,
    pub(super) arrival: Arrival,
}

/// What the person is asked.
#[derive(Debug, Clone)]
pub(super) struct Question {
    /// Names the question in the answer.
    pub(super) key: String,
    /// Who has just signed in at the issuer.
    pub(super) new: Arc<Person>,
    /// Who is signed in here.
    pub(super) current: String,
}

/// The open questions.
#[derive(Default)]
pub(super) struct Consents(Mutex<VecDeque<Open>>);

struct Open {
    key: String,
    until: Millis,
    /// The sessions that the browser had when the question was asked.
    shown: Vec<SessionId>,
    admitted: Admitted,
    return_path: String,
}

impl Consents {
    /// Opens a question. `current`: the people who are signed in here.
    pub(super) fn ask(
        &self,
        admitted: Admitted,
        current: &[String],
        shown: Vec<SessionId>,
        return_path: &str,
    ) -> Question {
        let key = CsrfToken::new_random_len(16).into_secret();
        let new = admitted.person.clone();
        let mut open = self.0.lock();
        let now = clock::now();
        open.retain(|one| now < one.until);
        if open.len() == MAX {
            open.pop_front();
        }
        open.push_back(Open {
            key: key.clone(),
            until: now + LIFETIME,
            shown,
            admitted,
            return_path: return_path.to_owned(),
        });
        Question { key, new, current: current.join(", ") }
    }

    /// The login that the person confirms, and its return path. `shown`: the sessions of the
    /// request. A question is answered only in the browser that has been asked.
    pub(super) fn take(&self, key: &str, shown: &[SessionId]) -> Option<(Admitted, String)> {
        let mut open = self.0.lock();
        let at = open.iter().position(|one| one.key == key)?;
        let asked = &open[at];
        let same_browser = !shown.is_empty() && shown.iter().all(|id| asked.shown.contains(id));
        if !same_browser || clock::now() >= asked.until {
            return None;
        }
        open.remove(at).map(|one| (one.admitted, one.return_path))
    }
}

impl std::fmt::Debug for Consents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Consents({})", self.0.lock().len())
    }
}
