//! Who a request comes from.
//!
//! Today the session cookie decides. Another credential, such as a bearer token, belongs here: it
//! would be one more way to an [`Authentication`].

use std::sync::Arc;

use http::{HeaderMap, HeaderValue};

use super::runtime::clock;
use super::session::Session;
use super::session::renewal::{Refresher, Restored, Restorer};
use super::session::store::{Found, Sessions};

/// Who a request comes from.
#[derive(Debug)]
pub enum Authentication {
    /// The request has no session.
    Anonymous {
        /// `Set-Cookie` values for the response; they remove a session cookie that is worth
        /// nothing.
        clear: Vec<HeaderValue>,
    },
    /// The request has a session in force.
    SignedIn {
        /// The session.
        session: Arc<Session>,
        /// `Set-Cookie` value for the response, if the browser has to get a newer session cookie.
        set_cookie: Option<HeaderValue>,
    },
    /// The request has a session cookie that only the issuer can confirm, and the issuer does not
    /// answer: 503.
    Unavailable,
}

/// Authenticates requests.
#[derive(Debug)]
pub(super) struct Authenticator {
    pub(super) sessions: Arc<Sessions>,
    pub(super) refresher: Refresher,
    pub(super) restorer: Restorer,
}

impl Authenticator {
    /// See [`super::Auth::authenticate`].
    pub(super) async fn authenticate(&self, headers: &HeaderMap) -> Authentication {
        let now = clock::now();
        let (session, cookie) = match self.sessions.find(headers, now) {
            Found::Live(session, cookie) => (session, cookie),
            Found::Nobody { stale_cookie: false } => {
                return Authentication::Anonymous { clear: Vec::new() };
            }
            Found::Nobody { stale_cookie: true } => return self.stale(headers),
            Found::Sealed(ticket) => match Box::pin(self.restorer.restore(ticket)).await {
                Restored::Live(session) => {
                    let cookie = session.grant().cookie.header.clone();
                    (session, Some(cookie))
                }
                Restored::Over => return self.stale(headers),
                Restored::Unavailable => return Authentication::Unavailable,
            },
        };
        session.touch_at(now);
        if session.due().is_none_or(|due| now < due) {
            return Authentication::SignedIn { session, set_cookie: cookie };
        }
        let before = session.grant().cookie.clone();
        // Boxed like the restore above: these futures are large and rarely needed, and would
        // otherwise enlarge the future of every request.
        Box::pin(self.refresher.refresh_if_due(&session, now)).await;
        if session.is_over() {
            return self.stale(headers);
        }
        let current = session.grant().cookie.clone();
        let changed = !Arc::ptr_eq(&before, &current);
        let set_cookie = if changed { Some(current.header.clone()) } else { cookie };
        Authentication::SignedIn { session, set_cookie }
    }

    /// The cookie is worth nothing. Only a navigation removes it: the response to a request that a
    /// page sent before a new login would otherwise remove the new cookie.
    fn stale(&self, headers: &HeaderMap) -> Authentication {
        let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
        let cookies = &self.sessions.cookies;
        let clear = if navigates { vec![cookies.clear(&cookies.session)] } else { Vec::new() };
        Authentication::Anonymous { clear }
    }
}
