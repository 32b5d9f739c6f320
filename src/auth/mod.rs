//! Who is asking, and whether they may.

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::sync::watch;

use crate::config::Config;

mod person;
pub mod policy;
mod session;

pub use person::{Person, PersonHeaders};
pub use session::{Session, SessionState, TunnelGuard};

/// The OpenID Connect client and its sessions.
#[derive(Debug)]
pub struct Auth {}

/// What is known of the issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerState {
    /// Not right yet, and why: `https://… answers 503`, `the issuer it names is …, not …`.
    Waiting(String),
    /// Its discovery document is right and it has a usable key: login is open. Once right, it
    /// stays open; a later outage shows as `Down`.
    Right,
    /// It was right and does not answer now.
    Down(String),
}

/// Who a request comes from.
#[derive(Debug)]
pub enum Authentication {
    /// Nobody that we know. `clear`: `Set-Cookie` values that remove dead cookies of ours.
    Anonymous {
        /// To be sent with the answer.
        clear: Vec<HeaderValue>,
    },
    /// A live session.
    SignedIn {
        /// It.
        session: Arc<Session>,
        /// A renewed cookie, to be sent with the answer.
        set_cookie: Option<HeaderValue>,
    },
    /// There is a cookie of ours, but the issuer that must confirm it does not answer: 503.
    Unavailable,
}

/// The answer of an endpoint; `proxy` renders it.
#[derive(Debug)]
pub enum Reply {
    /// 302
    Redirect {
        /// `Location`
        location: String,
        /// `Set-Cookie`
        cookies: Vec<HeaderValue>,
    },
    /// A page for people, or the same as a JSON string.
    Page {
        /// Status.
        status: StatusCode,
        /// Heading.
        title: String,
        /// One or two sentences: what happened, what to do now.
        message: String,
        /// Text and path of the button, when there is a way on.
        action: Option<(String, String)>,
        /// `Retry-After`, seconds; a page with it reloads itself.
        retry_after: Option<u32>,
        /// `Set-Cookie`
        cookies: Vec<HeaderValue>,
    },
    /// `application/json`
    Json {
        /// Status.
        status: StatusCode,
        /// The document.
        body: String,
        /// `Set-Cookie`
        cookies: Vec<HeaderValue>,
    },
    /// Status and headers only, as `/oauth2/auth` answers.
    Empty {
        /// Status.
        status: StatusCode,
        /// Headers, `Set-Cookie` included.
        headers: HeaderMap,
    },
}

/// What cannot be right at the start: a secret that is not there, keys that are none.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SetupError(pub String);

impl Auth {
    /// Opens secrets, keys and the remembered sessions. Tasks that must outlive a request run on
    /// `runtime`.
    pub fn open(
        _config: &Config,
        _runtime: tokio::runtime::Handle,
    ) -> Result<Arc<Self>, SetupError> {
        todo!()
    }

    /// Watches the issuer, renews sessions with open tunnels, forgets ended ones. Never returns.
    pub async fn run(self: Arc<Self>) {
        todo!()
    }

    /// The issuer as it changes.
    pub fn issuer(&self) -> watch::Receiver<IssuerState> {
        todo!()
    }

    /// Names of cookies that are ours: the session's and the login attempts'. They never reach an
    /// app and an app never sets them.
    pub fn owns_cookie(&self, _name: &str) -> bool {
        todo!()
    }

    /// Who a request comes from. Ready at once unless the session has to be brought back or
    /// renewed; safe to drop at any time.
    pub async fn authenticate(&self, _headers: &HeaderMap) -> Authentication {
        todo!()
    }

    /// `/oauth2/start?rd=`: a login attempt begins.
    pub fn start(&self, _query: &str, _headers: &HeaderMap) -> Reply {
        todo!()
    }

    /// `/oauth2/callback`: it ends.
    pub async fn callback(&self, _query: &str, _headers: &HeaderMap) -> Reply {
        todo!()
    }

    /// `/oauth2/sign_in`: a page with one button.
    pub fn sign_in(&self, _query: &str) -> Reply {
        todo!()
    }

    /// `/oauth2/sign_out?rd=`. The caller has refused cross-site requests already.
    pub async fn sign_out(&self, _query: &str, _headers: &HeaderMap) -> Reply {
        todo!()
    }

    /// `/oauth2/userinfo`
    pub async fn userinfo(&self, _headers: &HeaderMap) -> Reply {
        todo!()
    }

    /// `/oauth2/auth`: 202, 401 or 403 for `auth_request`.
    pub async fn auth_request(&self, _query: &str, _headers: &HeaderMap) -> Reply {
        todo!()
    }

    /// Where a request without a session is sent: `/oauth2/start?rd=<path and query>`.
    pub fn login_path(_path_and_query: &str) -> String {
        todo!()
    }
}
