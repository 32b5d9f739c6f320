//! `/oauth2/callback`: the browser comes back from the issuer (OpenID Connect Core §3.1.2.5).
//!
//! The login attempt must have begun in the same browser. Its code is exchanged only once; a
//! repeated callback (a reload, the back button) exchanges nothing.

use std::time::Duration;

use http::{HeaderMap, StatusCode};
use tracing::{info, warn};

use super::attempt::{Attempt, Beginning, again_marker};
use super::authorization_request::Wish;
use super::code_exchange::{Completed, Exchange, LoginError, LoginResult, Started, complete};
use super::consent::Question;
use super::start::parameter;
use super::{Login, Reply, return_path};
use crate::auth::Visitor;
use crate::auth::cookie::{Cookies, cookies};
use crate::auth::issuer::untrusted_text::one_line;
use crate::auth::issuer::{IdentityError, Sender, TokenError};
use crate::auth::runtime::clock;
use crate::auth::session::Session;
use crate::auth::session::device::Device;
use crate::auth::session::store::Found;
use crate::telemetry::Span;
use crate::texts::Text;

/// How long a browser is remembered that has begun a new login by itself.
const AGAIN_LIFETIME: Duration = Duration::from_mins(1);

/// The parameters of the authorization response (RFC 6749 §4.1.2, RFC 9207).
#[derive(Default)]
struct Params {
    state: Option<String>,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

impl Params {
    /// Reads a query; `None` if a parameter is repeated (RFC 6749 §3.1).
    fn read(query: &str) -> Option<Self> {
        let mut params = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut params.state,
                "code" => &mut params.code,
                "iss" => &mut params.iss,
                "error" => &mut params.error,
                "error_description" => &mut params.error_description,
                _ => continue,
            };
            if slot.replace(value.into_owned()).is_some() {
                return None;
            }
        }
        Some(params)
    }
}

impl Login {
    /// `/oauth2/callback`: completes the login. `page`: a person reads the response.
    pub(crate) async fn callback(&self, query: &str, visitor: Visitor<'_>, page: bool) -> Reply {
        let headers = visitor.headers;
        let Some(params) = Params::read(query) else {
            return refused(Text::AnswerRepeats, "/");
        };
        let sessions = &self.grants.sessions;
        let (cookies, keyring) = (&sessions.cookies, &sessions.keyring);
        let state = params.state.as_deref().unwrap_or_default();
        let Some((mut attempt, cookie)) = Attempt::find(state, headers, cookies, keyring) else {
            return self.without_attempt(state, headers, page);
        };
        if attempt.return_path.is_empty() {
            attempt.return_path = self.known_return_path(state);
        }
        let span = Span::current().child("login");
        let reply = span.run(self.conclude(params, attempt, visitor)).await;
        if let Reply::Page { title, .. } = &reply {
            span.fail(&title.to_string());
        }
        // A page that reloads itself needs the attempt's cookie again.
        if let Reply::Page { retry_after: Some(_), .. } = reply {
            return reply;
        }
        let marker = is_marked(headers, cookies).then(|| again_marker(cookies));
        let done = cookies.clear_all([cookie].iter().chain(&marker).map(String::as_str));
        done.into_iter().fold(reply, Reply::with_cookie)
    }

    fn known_return_path(&self, state: &str) -> String {
        self.return_paths.find(state).unwrap_or_else(|| "/".to_owned())
    }

    /// The browser has no attempt for this state. With a session the person has most likely
    /// reloaded the callback and is sent on. Without one a new login begins, at which the issuer
    /// does not ask again; once, because a browser that keeps no cookies would go round for ever.
    fn without_attempt(&self, state: &str, headers: &HeaderMap, page: bool) -> Reply {
        let back = self.known_return_path(state);
        if self.has_session(headers) {
            return Reply::redirect(back);
        }
        let cookies = &self.grants.sessions.cookies;
        if page && !Attempt::is_again(state) && !is_marked(headers, cookies) {
            info!("a callback has no login attempt in its browser; a new login begins");
            let start = return_path::start_path_with(&back, &[("again", "1")]);
            let marker = cookies.set(&again_marker(cookies), "1", AGAIN_LIFETIME);
            return Reply::redirect(start).with_cookie(marker);
        }
        refused(Text::BegunElsewhere, &back)
    }

    async fn conclude(&self, params: Params, attempt: Attempt, visitor: Visitor<'_>) -> Reply {
        let headers = visitor.headers;
        let issuer = &self.grants.issuer;
        let Some(sender) = issuer.sender(params.iss.as_deref()) else {
            return Reply::unavailable();
        };
        let back = &attempt.return_path;
        if sender == Sender::Another {
            warn!("a callback names another issuer");
            return refused(Text::AnswerFromAnother, back);
        }
        if let Some(error) = &params.error {
            let description = params.error_description.as_deref().unwrap_or_default();
            return self.declined(error, description, &attempt, headers);
        }
        if sender == Sender::Unnamed {
            warn!(
                "a callback does not name its issuer, although the issuer says that it always does"
            );
            return refused(Text::AnswerUnsigned, back);
        }
        let Some(code) = params.code.filter(|code| !code.is_empty()) else {
            return refused(Text::AnswerWithoutCode, back);
        };
        // The attempt is not used up here: the same callback succeeds once the issuer is back.
        if !issuer.is_up() {
            return Reply::unavailable();
        }
        let started = self.exchanges.start(Exchange {
            grants: self.grants.clone(),
            restorer: self.restorer.clone(),
            consents: self.consents.clone(),
            code,
            redirect: self.origins.of(headers).callback.clone(),
            before: self.grants.sessions.find_all(headers, clock::now()).collect(),
            device: Device::of(headers, visitor.client),
            attempt: attempt.clone(),
        });
        match started {
            Started::Running(flight) => completed(flight.result().await, &attempt),
            Started::UsedUp => self.repeated(&attempt, headers),
            Started::Busy => {
                warn!("too many sign-ins at the same time; one has to wait");
                Reply::busy()
            }
        }
    }

    /// `POST /oauth2/callback?confirm=`: the person confirms a login as another person. The caller
    /// must have made sure that a page of this origin sends the form.
    pub(crate) async fn confirm(&self, query: &str, headers: &HeaderMap) -> Reply {
        let sessions = &self.grants.sessions;
        let key = parameter(query, "confirm").unwrap_or_default();
        let shown = sessions.ids(headers, clock::now());
        let Some((admitted, back)) = self.consents.take(&key, &shown) else {
            return Reply::redirect(return_path::start_path("/"));
        };
        let before = sessions.find_all(headers, clock::now()).collect();
        match complete(&self.grants, admitted, before).await {
            Ok(session) => signed_in(&session, &back),
            Err(error) => not_signed_in(&error, &back),
        }
    }

    /// The attempt has been used up before: sends the person on, or to a new login.
    fn repeated(&self, attempt: &Attempt, headers: &HeaderMap) -> Reply {
        if self.has_session(headers) {
            Reply::redirect(&attempt.return_path)
        } else {
            Reply::redirect(return_path::start_path(&attempt.return_path))
        }
    }

    /// Whether the request has a session that is in force or may be restored.
    fn has_session(&self, headers: &HeaderMap) -> bool {
        !matches!(self.grants.sessions.find(headers, clock::now()), Found::Nobody(_))
    }

    /// The issuer answered with an error (RFC 6749 §4.1.2.1).
    fn declined(
        &self,
        error: &str,
        description: &str,
        attempt: &Attempt,
        headers: &HeaderMap,
    ) -> Reply {
        let (error, description) = (&*one_line(error), one_line(description));
        info!(error, description, "sign-in declined by the issuer");
        let back = &attempt.return_path;
        // Keycloak's login page expired while the person signed in in another tab. A new attempt
        // succeeds at once.
        let expired = error == "temporarily_unavailable" && description == "authentication_expired";
        if expired && !attempt.again {
            let return_path = back.clone();
            let beginning = Beginning { return_path, again: true, ..Beginning::default() };
            return self.begin(beginning, &Wish::default(), headers);
        }
        let reason = if description.is_empty() { error } else { &description };
        let message = Text::ProviderSays.with("reason", reason);
        let status = match error {
            "access_denied" => StatusCode::FORBIDDEN,
            _ => StatusCode::BAD_REQUEST,
        };
        Reply::page(status, Text::SignInDeclined, message)
            .with_action(Text::SignInAgain, return_path::start_path(back))
    }
}

/// Whether the browser has begun a new login by itself a moment ago.
fn is_marked(headers: &HeaderMap, cookies: &Cookies) -> bool {
    cookies::named(headers, &again_marker(cookies)).next().is_some()
}

/// The reply after the code exchange; `None` if the exchange panicked.
fn completed(result: Option<LoginResult>, attempt: &Attempt) -> Reply {
    let back = &attempt.return_path;
    match result {
        Some(Ok(Completed::SignedIn(session))) => signed_in(&session, back),
        Some(Ok(Completed::Asks(question))) => asks(&question, back),
        Some(Err(error)) => not_signed_in(&error, back),
        None => not_signed_in(&LoginError::Ended, back),
    }
}

fn signed_in(session: &Session, back: &str) -> Reply {
    Reply::redirect(back).with_cookie(session.grant().cookie.header.clone())
}

fn not_signed_in(error: &LoginError, back: &str) -> Reply {
    match error {
        LoginError::Tokens(TokenError::Unavailable(_) | TokenError::NotReady)
        | LoginError::Identity(IdentityError::Groups(_)) => Reply::unavailable(),
        LoginError::Identity(IdentityError::GitHub(error)) if !error.is_revoked() => {
            Reply::unavailable()
        }
        LoginError::Tokens(TokenError::Client(_)) => refused(Text::ServerUnknown, back),
        LoginError::Unverified(_) => {
            Reply::page(StatusCode::FORBIDDEN, Text::EmailUnverified, Text::VerifyEmail)
                .with_action(Text::SignInAgain, return_path::start_path(back))
        }
        // The new login obeys the new configuration.
        LoginError::Reloaded => Reply::redirect(return_path::start_path(back)),
        LoginError::Tokens(TokenError::Refused(_))
        | LoginError::Identity(IdentityError::GitHub(_))
        | LoginError::Ended => refused(Text::NoLongerAccepted, back),
        LoginError::Tokens(TokenError::Unreadable(_))
        | LoginError::Identity(IdentityError::IdToken(_) | IdentityError::NoIdToken) => {
            refused(Text::AnswerUntrusted, back)
        }
    }
}

/// The page that asks before another person replaces the one who is signed in.
fn asks(question: &Question, back: &str) -> Reply {
    let Question { key, new, current } = question;
    let (user, current) = (new.user.as_str(), current.as_str());
    let message = Text::AnotherPerson.with("user", user).with("current", current);
    Reply::page(StatusCode::OK, Text::ContinueQuestion.with("user", user), message)
        .with_form(Text::ContinueAs.with("user", user), format!("/oauth2/callback?confirm={key}"))
        .with_link(Text::StayAs.with("user", current), back.to_owned())
}

/// 400: a page that says why the login failed, with a button for a new login.
fn refused(message: Text, back: &str) -> Reply {
    Reply::page(StatusCode::BAD_REQUEST, Text::SignInFailed, message)
        .with_action(Text::SignInAgain, return_path::start_path(back))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_parameters_are_refused() {
        let read = |query: &str| Params::read(query).is_some();
        assert!(read("code=a&state=b&session_state=x&session_state=y"));
        assert!(!read("code=a&state=b&state=b"));
        assert!(!read("code=a&code=b&state=c"));
        assert!(!read("iss=a&iss=a"));
        assert!(!read("error=a&%65rror=b"));
    }
}
