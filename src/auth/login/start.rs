//! `/oauth2/start` and `/oauth2/sign_in`: a login begins.

use http::header::ACCEPT_LANGUAGE;
use http::{HeaderMap, HeaderValue, StatusCode};

use super::account_action::{AccountAction, Asked};
use super::attempt::{Attempt, Beginning};
use super::authorization_request::{LOGIN_HINT, Wish};
use super::{Login, Reply, intent, return_path};
use crate::auth::runtime::clock;
use crate::auth::session::{Dispute, SessionId};
use crate::texts::{Language, Text};

/// Longest user name in `login_hint`, bytes.
const LONGEST_HINT: usize = 1024;

impl Login {
    /// `/oauth2/start?rd=`: starts a login attempt and redirects to the issuer. With `action=`, the
    /// issuer asks for the change of the account first; with `login_hint=`, its form has a user name.
    pub(crate) fn start(&self, query: &str, headers: &HeaderMap) -> Reply {
        let disputed = self.disputed(query);
        // A dispute leads here by itself, whatever address the person has typed.
        let replaces = if disputed.is_empty() { self.replaced(headers) } else { Vec::new() };
        let return_path = self.return_path(query, headers);
        let again = parameter(query, "again").is_some();
        let beginning = Beginning { return_path, again, disputed, replaces };
        let login_hint = parameter(query, LOGIN_HINT).filter(|hint| hint.len() <= LONGEST_HINT);
        match AccountAction::asked(query) {
            Asked::Nothing => self.begin(beginning, &Wish { action: None, login_hint }, headers),
            Asked::Action(action) if self.account_actions => {
                self.begin(beginning, &Wish { action: Some(action), login_hint }, headers)
            }
            Asked::Action(_) => no_action(StatusCode::NOT_FOUND, Text::ManagedElsewhere),
            Asked::Unknown => no_action(StatusCode::BAD_REQUEST, Text::UnknownChange),
        }
    }

    /// The sessions of the request that led to this login, if they were in dispute.
    fn disputed(&self, query: &str) -> Vec<SessionId> {
        let sessions = &self.grants.sessions;
        parameter(query, "over")
            .and_then(|text| Dispute::open(&text, &sessions.keyring, &sessions.cookies))
            .map_or_else(Vec::new, |dispute| dispute.0)
    }

    /// The sessions that a login replaces without a question: those that the browser has while the
    /// person types the address of the login.
    fn replaced(&self, headers: &HeaderMap) -> Vec<SessionId> {
        if intent::is_typed(headers) {
            self.grants.sessions.ids(headers, clock::now())
        } else {
            Vec::new()
        }
    }

    /// `/oauth2/sign_in?rd=`: a page with one button.
    pub(crate) fn sign_in(&self, query: &str, headers: &HeaderMap) -> Reply {
        let path = self.return_path(query, headers);
        Reply::page(StatusCode::OK, Text::SignIn, Text::SignInToOpen)
            .with_action(Text::SignIn, return_path::start_path(&path))
    }

    /// Starts an attempt; the issuer also gets what this login wishes.
    pub(super) fn begin(&self, beginning: Beginning, wish: &Wish, headers: &HeaderMap) -> Reply {
        let attempt = Attempt::begin(beginning);
        let redirect = &self.origins.of(headers).callback;
        let language = Language::preferred(headers.get(ACCEPT_LANGUAGE));
        let issuer = &self.grants.issuer;
        let Some(url) = self.request.url(issuer, &attempt, redirect, wish, language) else {
            return Reply::unavailable();
        };
        self.return_paths.keep(&attempt.state, &attempt.return_path);
        let sessions = &self.grants.sessions;
        let reply = Reply::redirect(url);
        let set: Vec<HeaderValue> = attempt.cookies(headers, &sessions.cookies, &sessions.keyring);
        set.into_iter().fold(reply, Reply::with_cookie)
    }

    /// The checked return path of a query: its parameter `rd`, or `/` if `rd` is missing, repeated
    /// or not acceptable.
    pub(super) fn return_path(&self, query: &str, headers: &HeaderMap) -> String {
        let Some(rd) = parameter(query, "rd") else { return "/".to_owned() };
        return_path::checked(&rd, self.origin(headers))
    }
}

/// A parameter of a query or a form; `None` if it is missing or repeated.
pub(super) fn parameter(query: impl AsRef<[u8]>, name: &str) -> Option<String> {
    let mut found = form_urlencoded::parse(query.as_ref()).filter(|(found, _)| found == name);
    match (found.next(), found.next()) {
        (Some((_, value)), None) => Some(value.into_owned()),
        _ => None,
    }
}

fn no_action(status: StatusCode, why: Text) -> Reply {
    Reply::page(status, Text::CannotChange, why)
        .with_action(Text::YourApps, "/_appliance/".to_owned())
}
