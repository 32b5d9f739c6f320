//! `/oauth2/start` and `/oauth2/sign_in`: a login begins.

use http::{HeaderMap, HeaderValue, StatusCode};

use super::account_action::{AccountAction, Asked};
use super::attempt::Attempt;
use super::{Login, Reply, return_path};

impl Login {
    /// `/oauth2/start?rd=`: starts a login attempt and redirects to the issuer. With `action=`, the
    /// issuer asks for the change of the account first.
    pub(crate) fn start(&self, query: &str, headers: &HeaderMap) -> Reply {
        let back = self.return_path(query, headers);
        match AccountAction::asked(query) {
            Asked::Nothing => self.begin(back, false, None, headers),
            Asked::Action(action) if self.account_actions => {
                self.begin(back, false, Some(action), headers)
            }
            Asked::Action(_) => no_action(
                StatusCode::NOT_FOUND,
                "Your account is managed at your identity provider. Change it there.",
            ),
            Asked::Unknown => {
                no_action(StatusCode::BAD_REQUEST, "This is no change that can be made here.")
            }
        }
    }

    /// `/oauth2/sign_in?rd=`: a page with one button.
    pub(crate) fn sign_in(&self, query: &str, headers: &HeaderMap) -> Reply {
        let path = self.return_path(query, headers);
        Reply::page(StatusCode::OK, "Sign in", "Sign in to open your apps.")
            .with_action("Sign in", return_path::start_path(&path))
    }

    /// Starts an attempt that ends at `return_path`. `again`: the attempt before it expired at the
    /// issuer.
    pub(super) fn begin(
        &self,
        return_path: String,
        again: bool,
        action: Option<AccountAction>,
        headers: &HeaderMap,
    ) -> Reply {
        let issuer = &self.grants.issuer;
        let Some(provider) = issuer.provider().filter(|_| issuer.is_up()) else {
            return Reply::unavailable();
        };
        let attempt = Attempt::begin(return_path, again);
        let sessions = &self.grants.sessions;
        let redirect = &self.origins.of(headers).callback;
        let reply = Reply::redirect(self.request.url(&provider.client, &attempt, redirect, action));
        let set: Vec<HeaderValue> = attempt.cookies(headers, &sessions.cookies, &sessions.keyring);
        set.into_iter().fold(reply, Reply::with_cookie)
    }

    /// The checked return path of a query: its parameter `rd`, or `/` if `rd` is missing, repeated
    /// or not acceptable.
    pub(super) fn return_path(&self, query: &str, headers: &HeaderMap) -> String {
        let mut found = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "rd");
        let (Some((_, rd)), None) = (found.next(), found.next()) else { return "/".to_owned() };
        return_path::checked(&rd, self.origin(headers))
    }
}

fn no_action(status: StatusCode, why: &str) -> Reply {
    Reply::page(status, "This cannot be changed here", why)
        .with_action("Your apps", "/_appliance/".to_owned())
}
