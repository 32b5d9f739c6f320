//! Who is asking, and whether they may.
//!
//! An OpenID Connect client (code flow with PKCE) and its sessions. The browser holds one small
//! sealed cookie; everything else lives in memory and comes back after a restart by refreshing at
//! the issuer. Nothing here renders, routes or forwards.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use openidconnect::{ClientId, ClientSecret};
use secrecy::ExposeSecret as _;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tracing::warn;

use crate::config::{Config, SecretSource};

mod cookie;
mod issuer;
mod login;
mod person;
mod runtime;
mod session;

pub use issuer::watch::IssuerState;
pub use login::reply::{Authentication, Reply};
pub use person::identity::{Person, PersonHeaders};
pub use person::policy;
pub use session::live::{Session, SessionState, TunnelGuard};

use cookie::cookies::Cookies;
use cookie::seal::Keyring;
use issuer::person_reader::Identities;
use issuer::watch::{Issuer, Registration};
use login::attempt::{Asked, Attempt};
use login::callback::Conclusions;
use login::origins::Places;
use login::return_path as way_back;
use person::assertion::Signer;
use person::identity::ClaimNames;
use runtime::clock;
use runtime::tasks::Tasks;
use session::renewal::refresh::{Renewal, Terms};
use session::renewal::restore::Restored;
use session::store::ledger::Ledger;
use session::store::sessions::{Found, Sessions};

/// For calls to the issuer that are under way when we stop.
const LAST_CALLS: Duration = Duration::from_secs(2);
/// Between two looks at the sessions, milliseconds: at least, at most, and when something is due
/// that could not be done.
const BREATH: u64 = 100;
const FAR_AWAY: u64 = 24 * 3600 * 1000;
const RECONSIDER: u64 = 500;

/// The OpenID Connect client and its sessions.
#[derive(Debug)]
pub struct Auth {
    issuer: Arc<Issuer>,
    sessions: Arc<Sessions>,
    signer: Arc<Signer>,
    renewal: Renewal,
    asked: Asked,
    conclusions: Conclusions,
    places: Places,
    tasks: Tasks,
}

/// What cannot be right at the start: a secret that is not there, keys that are none.
#[derive(Debug, thiserror::Error)]
#[error("{why}")]
pub struct SetupError {
    /// The setting that is to be looked at, by its tables.
    pub key: &'static [&'static str],
    why: String,
}

impl SetupError {
    fn new(key: &'static [&'static str], why: impl Into<String>) -> Self {
        Self { key, why: why.into() }
    }
}

const KEYS: &[&str; 2] = &["session", "keys"];
const STATE_DIR: &[&str] = &["server", "state_dir"];

impl Auth {
    /// Opens secrets, keys and the remembered sessions. Tasks that must outlive a request run on
    /// `runtime`.
    pub fn open(config: &Config, runtime: Handle) -> Result<Arc<Self>, SetupError> {
        let missing = || SetupError::new(&["oidc"], "[oidc] is missing: nobody could sign in");
        let oidc = config.oidc.as_ref().ok_or_else(missing)?;
        let (server, limits) = (&config.server, &config.session);
        let secret = resolve(&["oidc", "client_secret"], &oidc.client_secret, config)?;
        let keys = resolve(KEYS, &limits.keys, config)?;
        let keyring = Keyring::parse(&keys)
            .map_err(|error| SetupError::new(KEYS, format!("[session] keys: {error}")))?;
        let keyring = Arc::new(keyring);
        let cookies = Cookies::new(&limits.cookie, &server.public_url);
        let host = cookies.host.clone();
        let unusable = |error| {
            let dir = server.state_dir.display();
            let why = format!("state_dir {dir} cannot be used for sessions: {error}");
            SetupError::new(STATE_DIR, why)
        };
        let ledger = Ledger::open(&server.state_dir, keyring.clone(), host, limits.lifetime)
            .map_err(unusable)?;
        let conclusions = Conclusions::open(ledger.dir()).map_err(unusable)?;
        let origin = server.public_url.to_string();
        let signer = Arc::new(Signer::open(&server.state_dir, origin)?);
        let registration = Registration {
            client_id: ClientId::new(oidc.client_id.clone()),
            client_secret: ClientSecret::new(secret),
        };
        let issuer = Arc::new(Issuer::new(oidc, registration)?);
        let tasks = Tasks::new(runtime);
        let sessions =
            Sessions::new(cookies, keyring, ledger, signer.clone(), limits, tasks.clone())
                .map_err(unusable)?;
        let sessions = Arc::new(sessions);
        let identities = Identities::new(issuer.clone(), ClaimNames::new(oidc));
        let renewal = Renewal::new(
            issuer.clone(),
            identities,
            sessions.clone(),
            tasks.clone(),
            Terms { recheck: limits.recheck, require_verified_email: oidc.require_verified_email },
        );
        Ok(Arc::new(Self {
            issuer,
            sessions,
            signer,
            renewal,
            asked: Asked::new(oidc),
            conclusions,
            places: Places::new(config)?,
            tasks,
        }))
    }

    /// Watches the issuer, renews sessions with open tunnels, forgets ended ones. Never returns.
    pub async fn run(self: Arc<Self>) {
        tokio::join!(self.issuer.watch(), self.look_after_sessions());
    }

    /// Lets end what was begun: a refresh token that is given up halfway is a session lost, a
    /// revocation one that lives on. While the issuer still runs, please.
    pub async fn close(&self) {
        self.sessions.note_uses(clock::now());
        if !self.tasks.finished(LAST_CALLS).await {
            warn!("calls to the issuer were given up");
        }
    }

    async fn look_after_sessions(&self) {
        loop {
            let now = clock::now();
            let agenda = self.sessions.review(now);
            if agenda.note {
                self.sessions.note_uses(now);
            }
            if self.issuer.is_up() {
                for session in &agenda.due {
                    drop(self.renewal.refresh(session));
                }
            }
            // What is due but cannot be done yet is looked at again soon, not at once.
            let waiting = if agenda.due.is_empty() { u64::MAX } else { now + RECONSIDER };
            let next = agenda.next.unwrap_or(u64::MAX).min(waiting);
            let pause = next.saturating_sub(now).clamp(BREATH, FAR_AWAY);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(pause)) => {}
                () = self.sessions.changed() => {}
            }
        }
    }

    /// The issuer as it changes.
    pub fn issuer(&self) -> watch::Receiver<IssuerState> {
        self.issuer.state()
    }

    /// Names of cookies that are ours: the session's and the login attempts'. They never reach an
    /// app and an app never sets them.
    pub fn owns_cookie(&self, name: &str) -> bool {
        self.sessions.cookies.owns(name)
    }

    /// Who a request comes from. Ready at once unless the session has to be brought back or
    /// renewed; safe to drop at any time.
    pub async fn authenticate(&self, headers: &HeaderMap) -> Authentication {
        let now = clock::now();
        let (session, cookie) = match self.sessions.find(headers, now) {
            Found::Live(session, cookie) => (session, cookie),
            Found::Nobody { dead: false } => {
                return Authentication::Anonymous { clear: Vec::new() };
            }
            Found::Nobody { dead: true } => return self.nobody(headers),
            Found::Sealed(ticket) => match Box::pin(self.renewal.restore(ticket)).await {
                Restored::Live(session) => {
                    let cookie = session.grant().cookie.header.clone();
                    (session, Some(cookie))
                }
                Restored::Over => return self.nobody(headers),
                Restored::Unavailable => return Authentication::Unavailable,
            },
        };
        session.touch_at(now);
        if session.due().is_none_or(|due| now < due) {
            return Authentication::SignedIn { session, set_cookie: cookie };
        }
        let before = session.grant().cookie.clone();
        // Boxed, as above: rare and large, they would weigh on every other request.
        Box::pin(self.renewal.keep_in_step(&session, now)).await;
        if session.is_over() {
            return self.nobody(headers);
        }
        let current = session.grant().cookie.clone();
        let changed = !Arc::ptr_eq(&before, &current);
        let set_cookie = if changed { Some(current.header.clone()) } else { cookie };
        Authentication::SignedIn { session, set_cookie }
    }

    /// A dead cookie is removed by a navigation only: the answer to a request that a page sent
    /// before somebody signed in anew must not remove the new one.
    fn nobody(&self, headers: &HeaderMap) -> Authentication {
        let navigates = headers.get("sec-fetch-mode").is_some_and(|mode| mode == "navigate");
        let cookies = &self.sessions.cookies;
        let clear = if navigates { vec![cookies.clear(&cookies.session)] } else { Vec::new() };
        Authentication::Anonymous { clear }
    }

    /// `/oauth2/start?rd=`: a login attempt begins.
    pub fn start(&self, query: &str, headers: &HeaderMap) -> Reply {
        self.begin(self.way_back(&rd(query), headers), false, headers)
    }

    fn begin(&self, way_back: String, again: bool, headers: &HeaderMap) -> Reply {
        let Some(provider) = self.issuer.provider().filter(|_| self.issuer.is_up()) else {
            return Reply::unavailable();
        };
        let attempt = Attempt::begin(way_back, again);
        let (cookies, keyring) = (&self.sessions.cookies, &self.sessions.keyring);
        let reply = Reply::redirect(self.asked.url(
            &provider.client,
            &attempt,
            &self.places.of(headers).callback,
        ));
        let set: Vec<HeaderValue> = attempt.cookies(headers, cookies, keyring);
        set.into_iter().fold(reply, Reply::with_cookie)
    }

    /// Where a request without a session is sent: `/oauth2/start?rd=<path and query>`.
    pub fn login_path(path_and_query: &str) -> String {
        way_back::login_path(path_and_query)
    }

    fn way_back(&self, rd: &str, headers: &HeaderMap) -> String {
        way_back::checked(rd, self.origin(headers))
    }

    /// The origin that a request came to: of `public_url`, or of an app's own host.
    pub fn origin(&self, headers: &HeaderMap) -> &str {
        &self.places.of(headers).origin
    }
}

/// The parameter `rd`; nothing when it is missing or doubled.
fn rd(query: &str) -> String {
    let mut found = form_urlencoded::parse(query.as_bytes()).filter(|(name, _)| name == "rd");
    match (found.next(), found.next()) {
        (Some((_, value)), None) => value.into_owned(),
        _ => String::new(),
    }
}

fn resolve(
    key: &'static [&'static str; 2],
    source: &SecretSource,
    config: &Config,
) -> Result<String, SetupError> {
    let [section, name] = key;
    match source.resolve(&config.server.state_dir) {
        Ok(secret) if secret.expose_secret().is_empty() => {
            Err(SetupError::new(key, format!("[{section}] {name} is empty")))
        }
        Ok(secret) => Ok(secret.expose_secret().to_owned()),
        Err(error) => Err(SetupError::new(key, format!("[{section}] {name}: {error}"))),
    }
}
