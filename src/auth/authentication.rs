//! Who a request comes from.
//!
//! Today the session cookie decides. Another credential, such as a bearer token, belongs here: it
//! would be one more way to an [`Authentication`].

use std::net::IpAddr;
use std::sync::Arc;

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method};
use tracing::debug;

use super::cookie::EmbedCookie;
use super::frames::Frames;
use super::login::intent;
use super::runtime::clock;
use super::session::device::Device;
use super::session::renewal::{Refresher, Restored, Restorer};
use super::session::store::{Found, Nobody, Sessions};
use super::session::{Dispute, Session};

/// What a request says about who sends it.
#[derive(Debug, Clone, Copy)]
pub struct Visitor<'a> {
    /// The method of the request.
    pub method: &'a Method,
    /// The headers of the request.
    pub headers: &'a HeaderMap,
    /// The path as the browser sent it.
    pub path: &'a str,
    /// The address of the client; `None` for a client on a unix socket.
    pub client: Option<IpAddr>,
}

/// Who a request comes from.
#[derive(Debug)]
pub enum Authentication {
    /// The request has no session.
    Anonymous {
        /// `Set-Cookie` values for the response; they remove a session cookie that is worth
        /// nothing or was planted.
        clear: Vec<HeaderValue>,
        /// For [`super::Auth::login_path`], if the request carries the cookies of several sessions.
        dispute: Option<String>,
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
    pub(super) frames: Frames,
}

impl Authenticator {
    /// See [`super::Auth::authenticate`].
    pub(super) async fn authenticate(&self, visitor: Visitor<'_>) -> Authentication {
        let (headers, now) = (visitor.headers, clock::now());
        let (session, cookie) = match self.sessions.find(headers, now) {
            Found::Live(session, cookie) => (session, cookie),
            Found::Nobody(Nobody::NoCookie) => {
                return Authentication::Anonymous { clear: Vec::new(), dispute: None };
            }
            Found::Nobody(Nobody::StaleCookie) => return self.stale(headers),
            Found::Nobody(Nobody::Disputed(dispute)) => return self.disputed(visitor, &dispute),
            Found::Sealed(ticket) => {
                match Box::pin(self.restorer.restore(ticket, Device::of(headers, visitor.client)))
                    .await
                {
                    Restored::Live(session) => {
                        let cookie = session.grant().cookie.header.clone();
                        (session, Some(cookie))
                    }
                    Restored::Over => return self.stale(headers),
                    Restored::Unavailable => return Authentication::Unavailable,
                }
            }
        };
        session.touch_at(now, intent::is_use(visitor.method, headers));
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

    /// See [`super::Auth::authenticate_in_frame`].
    pub(super) async fn authenticate_in_frame(
        &self,
        visitor: Visitor<'_>,
        cookie: &EmbedCookie,
    ) -> Authentication {
        let (headers, now) = (visitor.headers, clock::now());
        let nobody = || Authentication::Anonymous { clear: Vec::new(), dispute: None };
        let session = match self.sessions.find_in_frame(headers, cookie, now) {
            Found::Live(session, _) => session,
            Found::Nobody(_) => return nobody(),
            Found::Sealed(ticket) => {
                let device = Device::of(headers, visitor.client);
                match self.restorer.restore_kept(ticket, device).await {
                    Restored::Live(session) => session,
                    Restored::Over => return nobody(),
                    Restored::Unavailable => return Authentication::Unavailable,
                }
            }
        };
        session.touch_at(now, intent::is_use(visitor.method, headers));
        self.frames.keep(&session).await;
        if session.due().is_some_and(|due| now >= due) {
            self.refresher.refresh_if_due(&session, now).await;
        }
        // A browser takes the session cookie, which may be another one now, in no frame of another site.
        if session.is_over() {
            nobody()
        } else {
            Authentication::SignedIn { session, set_cookie: None }
        }
    }

    /// The cookie is worth nothing. Only a navigation removes it: the response to a request that a
    /// page sent before a new login would otherwise remove the new cookie.
    fn stale(&self, headers: &HeaderMap) -> Authentication {
        let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
        let cookies = &self.sessions.cookies;
        let clear = if navigates { vec![cookies.clear(&cookies.session)] } else { Vec::new() };
        Authentication::Anonymous { clear, dispute: None }
    }

    /// The request carries the cookies of several sessions. The appliance sets its cookie only for
    /// `/`, so the others are removed, and the login that may follow ends all these sessions.
    fn disputed(&self, visitor: Visitor<'_>, dispute: &Dispute) -> Authentication {
        debug!("a request carries the cookies of several sessions; it counts as having none");
        let host = visitor.headers.get(HOST).and_then(|host| host.to_str().ok());
        let (cookies, keyring) = (&self.sessions.cookies, &self.sessions.keyring);
        Authentication::Anonymous {
            clear: cookies.clear_planted(visitor.path, host.unwrap_or_default()),
            dispute: Some(dispute.seal(keyring, cookies)),
        }
    }
}
