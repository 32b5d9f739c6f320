//! Who a request comes from, and whether that person may open an app.
//!
//! An OpenID Connect client (authorization code flow with PKCE) and its sessions. The browser holds
//! one small sealed cookie; everything else is in memory and is restored after a restart by a
//! refresh at the issuer. Nothing here renders pages, routes or forwards requests.
//!
//! The arrows between the rooms point one way, and every room may use `runtime` and
//! `setup_error`:
//!
//! ```text
//! login/           the endpoints under /oauth2/            → session, issuer, person, cookie
//! bearer/          programs with an access token           → session, issuer, person
//! fresh_token/     access tokens for programs of apps      → session
//! frames/          sessions in frames of other sites       → session, cookie
//! authentication   who a request comes from                → session, frames
//! session/         sessions: store, refresh, restore       → issuer, person, cookie
//! issuer/          the OpenID provider as a client sees it → person
//! person/          claims, policy, signed assertion        → nothing
//! cookie/          names, attributes and sealing           → nothing
//! runtime/         clock, mutex, tasks, single flight      → nothing
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::config::{AppName, ListenerCheck, Phase};

#[cfg(test)]
#[path = "../../tests/unit/auth/any.rs"]
pub(crate) mod any;
mod authentication;
mod bearer;
mod build;
pub(crate) mod cookie;
mod frames;
mod fresh_token;
mod issuer;
mod login;
mod person;
mod runtime;
mod session;
mod setup_error;

pub use authentication::{Authentication, Visitor};
pub use bearer::Credential;
pub use issuer::IssuerState;
pub use login::{AccountAction, Action, EndOrder, Reply, intent};
pub use person::{Email, Person, PersonHeaders, finding, policy};
pub use session::store::SessionRow;
pub use session::{Session, SessionState, TunnelGuard};
pub use setup_error::SetupError;

use authentication::Authenticator;
use bearer::{Programs, Refused};
use cookie::EmbedCookie;
use fresh_token::FreshTokens;
use issuer::Issuer;
use login::Login;
use person::Signer;
use runtime::{Tasks, clock};
use session::renewal::Upkeep;
use session::store::Sessions;

/// How long a stop waits for calls to the issuer that are under way.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Milliseconds for which a person counts as active after a request.
const ACTIVE: u64 = 5 * 60 * 1000;

/// The OpenID Connect client and its sessions.
#[derive(Debug)]
pub struct Auth {
    issuer: Arc<Issuer>,
    sessions: Arc<Sessions>,
    signer: Arc<Signer>,
    authenticator: Authenticator,
    programs: Programs,
    fresh_tokens: FreshTokens,
    upkeep: Upkeep,
    login: Login,
    tasks: Tasks,
}

/// Who has sent an access token.
#[derive(Debug)]
pub enum Program {
    /// The token is in force; the session ends with it.
    Known(Arc<Session>),
    /// The token lets nobody in. Holds the reason, for the log.
    Unknown(String),
    /// The issuer has to confirm the token, and does not answer.
    Unavailable,
}

/// Numbers about sessions.
#[derive(Debug, Clone)]
pub struct AuthFigures {
    /// Sessions in force.
    pub sessions: usize,
    /// People with a request in the last five minutes.
    pub active_people: usize,
    /// Logins since the appliance started, by result.
    pub logins: Vec<(&'static str, u64)>,
    /// Refreshes since the appliance started, by result.
    pub refreshes: Vec<(&'static str, u64)>,
}

impl Auth {
    /// Tells the phase of the app that `[oidc] served_by` names. The issuer is asked only while that
    /// app is ready, so without this call it is never asked.
    /// `listener` checks each new connection to it.
    pub fn follow_issuer_app(
        &self,
        phase: watch::Receiver<Phase>,
        listener: Option<Arc<dyn ListenerCheck>>,
    ) {
        self.issuer.follow_app(phase, listener);
    }

    /// `listener` checks each new connection to an issuer on this machine that no app of `[oidc]
    /// served_by` serves.
    pub fn check_issuer_by(&self, listener: Arc<dyn ListenerCheck>) {
        self.issuer.check_by(listener);
    }

    /// Watches the issuer, refreshes sessions with open tunnels, and ends sessions that reach a
    /// limit. Never returns.
    pub async fn run(self: Arc<Self>) {
        tokio::join!(self.issuer.watch(), self.upkeep.run(), self.programs.run());
    }

    /// Completes the calls to the issuer that are under way, for at most two seconds: an
    /// interrupted refresh may lose its session, an interrupted revocation leaves a session in
    /// force. Call this while the issuer still runs.
    pub async fn close(&self) {
        self.sessions.save_last_uses(clock::now());
        if !self.tasks.wait_idle(CLOSE_TIMEOUT).await {
            warn!("calls to the issuer did not complete in time");
        }
    }

    /// The state of the issuer, and every change of it.
    pub fn issuer(&self) -> watch::Receiver<IssuerState> {
        self.issuer.state()
    }

    /// Numbers about sessions, for the metrics.
    pub fn figures(&self) -> AuthFigures {
        let tally = &self.sessions.tally;
        AuthFigures {
            sessions: self.sessions.count(),
            active_people: self.sessions.people_since(clock::now().saturating_sub(ACTIVE)),
            logins: tally.logins(),
            refreshes: tally.refreshes(),
        }
    }

    /// Whether a cookie name belongs to the appliance: the session cookie, or that of a login
    /// attempt. These cookies never reach an app, and an app cannot set them.
    pub fn owns_cookie(&self, name: &str) -> bool {
        self.sessions.cookies.owns(name)
    }

    /// Who a request comes from. Completes at once unless the session has to be restored or
    /// refreshed. Safe to drop at any time.
    pub async fn authenticate(&self, visitor: Visitor<'_>) -> Authentication {
        self.authenticator.authenticate(visitor).await
    }

    /// Who a request of a frame of another site comes from, by the cookie of its app.
    pub(crate) async fn authenticate_in_frame(
        &self,
        visitor: Visitor<'_>,
        cookie: &EmbedCookie,
    ) -> Authentication {
        self.authenticator.authenticate_in_frame(visitor, cookie).await
    }

    /// A code with which a frame of an app gets its cookie for a session: once, within a minute. The
    /// code gives the access of the session to this app, so only a page of the app's own origin may learn it.
    pub(crate) fn frame_code(&self, session: &Session, cookie: &EmbedCookie) -> String {
        self.authenticator.frames.code(session, cookie)
    }

    /// The `Set-Cookie` value of a frame for its code; `None` if the code is not for this app, is too old, was
    /// used before, its session has ended, or `held`, the session that the frame has, is of another person. The caller must have checked [`intent::is_own_form`].
    pub(crate) async fn redeem_frame_code(
        &self,
        code: &[u8],
        cookie: &EmbedCookie,
        held: Option<&Session>,
    ) -> Option<HeaderValue> {
        self.authenticator.frames.redeem(code, cookie, held).await
    }

    /// The person of a session, as this configuration reads the claims: during a reload, the session may
    /// already follow the next one. Cheap.
    pub fn person(&self, session: &Session) -> Arc<Person> {
        self.sessions.terms.paths.read_again(session.person())
    }

    /// The program that an access token stands for, if the token was verified before. Cheap.
    pub fn known_program(&self, token: &str) -> Option<Arc<Session>> {
        self.programs.find(token)
    }

    /// The program that an access token stands for. `client` is the address that has sent it.
    pub async fn program(&self, token: &str, client: Option<IpAddr>) -> Program {
        match self.programs.verify(token, client).await {
            Ok(session) => Program::Known(session),
            Err(Refused::Untrusted(fault)) => Program::Unknown(fault.to_string()),
            Err(refused @ Refused::Unavailable(_)) => {
                debug!(reason = %refused, "cannot verify an access token");
                Program::Unavailable
            }
        }
    }

    /// A handle with which the program of `app` gets the access token of a session for as long as the
    /// session lasts. `None` for the session of a program that has sent an access token.
    pub fn token_handle(&self, session: &Session, app: &AppName) -> Option<HeaderValue> {
        self.fresh_tokens.handle(session, app)
    }

    /// The session of a handle that was made for `app`; `None` if there is none in force. Its access token
    /// is refreshed before if it is about to end: this may take a few seconds.
    pub async fn session_of_handle(&self, handle: &str, app: &AppName) -> Option<Arc<Session>> {
        self.fresh_tokens.session(handle, app).await
    }

    /// The issuer, as programs have to name it when they ask for a token.
    pub fn issuer_url(&self) -> &str {
        self.issuer.url()
    }

    /// The origin that a request was sent to: that of `public_url`, or of an app's own host.
    pub fn origin(&self, headers: &HeaderMap) -> &str {
        self.login.origin(headers)
    }

    /// Where a request without a session is sent: `/oauth2/start?rd=<path and query>`. `dispute` is
    /// that of [`Authentication::Anonymous`].
    pub fn login_path(path_and_query: &str, dispute: Option<&str>) -> String {
        let more = dispute.map(|dispute| ("over", dispute));
        login::start_path_with(path_and_query, more.as_slice())
    }

    /// `/oauth2/start?rd=`: starts a login; with `action=`, a change of the account at Keycloak.
    pub fn start(&self, query: &str, headers: &HeaderMap) -> Reply {
        self.login.start(query, headers)
    }

    /// `/oauth2/callback`: completes a login. `page`: a person reads the response.
    pub async fn callback(&self, query: &str, visitor: Visitor<'_>, page: bool) -> Reply {
        self.login.callback(query, visitor, page).await
    }

    /// `POST /oauth2/callback?confirm=`: the person confirms a login as another person. The caller
    /// must have checked [`intent::is_own_form`].
    pub async fn confirm(&self, query: &str, headers: &HeaderMap) -> Reply {
        self.login.confirm(query, headers).await
    }

    /// `/oauth2/sign_in?rd=`: a page with one button.
    pub fn sign_in(&self, query: &str, headers: &HeaderMap) -> Reply {
        self.login.sign_in(query, headers)
    }

    /// `/oauth2/sign_out?rd=`: a page that asks whether to sign out.
    pub fn ask_sign_out(&self, query: &str, headers: &HeaderMap) -> Reply {
        self.login.ask_sign_out(query, headers)
    }

    /// `/oauth2/sign_out?rd=`: ends the session. The caller must have checked [`intent::sign_out`].
    pub async fn sign_out(&self, query: &str, headers: &HeaderMap) -> Reply {
        self.login.sign_out(query, headers).await
    }

    /// `POST /oauth2/backchannel_logout`: the issuer ends sessions. `form` is the body of the request,
    /// `client` its sender.
    pub async fn log_out(&self, headers: &HeaderMap, form: &[u8], client: Option<IpAddr>) -> Reply {
        self.login.log_out(headers, form, client).await
    }

    /// `/oauth2/frontchannel_logout`: a page of the issuer tells of the end of a session.
    pub async fn log_out_by_frame(&self, query: &str) -> Reply {
        self.login.log_out_by_frame(query).await
    }

    /// The sessions of the person who has this one, the last used first.
    pub async fn own_sessions(&self, session: &Session) -> Vec<SessionRow> {
        self.login.own_sessions(session).await
    }

    /// All sessions in force, the last used first. `current` is that of the request, if it has one.
    pub async fn all_sessions(&self, current: Option<&Session>) -> Vec<SessionRow> {
        self.login.all_sessions(current).await
    }

    /// Ends sessions at the order of a person or an operator. Returns how many were in force.
    pub async fn end_sessions(&self, order: EndOrder<'_>) -> usize {
        self.login.end_sessions(order).await
    }

    /// Where a browser goes on that comes back from its sign-out at the issuer. Other requests get
    /// `None`.
    pub fn return_from_sign_out(&self, path: &str, query: &str) -> Option<String> {
        self.login.take_return(path, query)
    }

    /// `/oauth2/userinfo`: who is signed in.
    pub async fn userinfo<'a>(
        &self,
        visitor: Visitor<'_>,
        reasons: impl FnOnce(&Person) -> BTreeMap<&'a str, policy::Reason>,
    ) -> Reply {
        login::userinfo(self.authenticate(visitor).await, reasons)
    }

    /// `/oauth2/auth`: 202, 401 or 403 for the `auth_request` of a proxy in front.
    pub async fn auth_request(&self, query: &str, visitor: Visitor<'_>) -> Reply {
        login::auth_request(query, self.authenticate(visitor).await)
    }

    /// `/oauth2/jwks`: the public keys of the identity assertions as a JWK set (RFC 7517 §5).
    pub fn assertion_keys(&self) -> &str {
        &self.signer.jwks
    }
}
