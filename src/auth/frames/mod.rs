//! The sessions of people who use an app in a frame of another site.
//!
//! Browsers do not send the session cookie there. The frame gets a cookie of its own that names the same
//! session and opens for one app alone: the person signs in in a window, the window hands a code to the
//! frame, and the frame exchanges the code.
//!
//! This room knows `session` and `cookie`; it knows no endpoint and no page.

mod code;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tracing::info;

use super::cookie::EmbedCookie;
use super::runtime::clock;
use super::session::renewal::Grants;
use super::session::{Proof, Session, Ticket};
use code::{Code, UsedCodes};

/// Makes codes, and cookies for codes.
#[derive(Debug)]
pub(super) struct Frames {
    grants: Arc<Grants>,
    used: Arc<UsedCodes>,
}

impl Frames {
    pub(super) fn new(grants: Arc<Grants>) -> Self {
        Self { grants, used: Arc::default() }
    }

    /// The same with other grants: a code stays used up over a reload.
    pub(super) fn with(&self, grants: Arc<Grants>) -> Self {
        Self { grants, used: Arc::clone(&self.used) }
    }

    /// See [`super::Auth::frame_code`].
    pub(super) fn code(&self, session: &Session, cookie: &EmbedCookie) -> String {
        let sessions = &self.grants.sessions;
        Code::new(session.id(), clock::now()).seal(&sessions.keyring, &sessions.cookies, cookie)
    }

    /// See [`super::Auth::redeem_frame_code`].
    pub(super) async fn redeem(
        &self,
        code: &[u8],
        cookie: &EmbedCookie,
        held: Option<&Session>,
    ) -> Option<HeaderValue> {
        let (sessions, app) = (&self.grants.sessions, &cookie.app);
        let code = Code::open(code, &sessions.keyring, &sessions.cookies, cookie)?;
        let now = clock::now();
        let session = sessions.by_id(code.session, now)?;
        let person = session.person();
        if held.is_some_and(|held| held.person().subject != person.subject) {
            info!(user = person.user, app = %app, "a frame keeps the session of another person");
            return None;
        }
        if !self.used.add(&person.subject, code, now) {
            return None;
        }
        self.keep(&session).await;
        let groupless = self.grants.people.is_groupless(&person);
        let ticket = Ticket { groupless, ..session.ticket(Proof::InLedger) };
        let text = ticket.seal_for_frames(&sessions.keyring, &sessions.cookies, cookie);
        info!(user = person.user, app = %app, "signed in in a frame of another site");
        cookie.set(&text, Duration::from_millis(session.ends().saturating_sub(now)))
    }

    /// Keeps what brings the session back after a restart. Cheap after the first time.
    pub(super) async fn keep(&self, session: &Session) {
        self.grants.keep_for_frames(session).await;
    }
}
