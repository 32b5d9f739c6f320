//! The issuer while the appliance runs: polled until it is ready, then watched.
//!
//! Sign-in opens once the discovery document is valid and at least one signing key is usable, for GitHub
//! once its API answers, and stays open. A later outage is reported ([`IssuerState::Down`]) and makes new logins wait;
//! existing sessions stay in force. The last valid document and keys are kept through an outage.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use super::github::GitHub;
use super::http_client::HttpClient;
use super::keys::{self, KeyFetches};
use super::metadata::Metadata;
use super::own_app::OwnApp;
use super::provider::{Provider, Registration};
use crate::auth::runtime::Tasks;
use crate::auth::setup_error::SetupError;
use crate::config::{ListenerCheck, Oidc, Phase, SignInProtocol};

/// Polling interval while the issuer starts: short, because people wait for it.
const STARTING_INTERVAL: Duration = Duration::from_millis(50);
/// How long the short interval is used: longer for an issuer that the appliance itself starts.
const STARTING_FOR_OWN_APP: Duration = Duration::from_mins(2);
const STARTING_FOR_REMOTE: Duration = Duration::from_secs(10);
/// Polling interval while the issuer is down, or takes longer than that to start.
const DOWN_INTERVAL: Duration = Duration::from_secs(1);
/// Polling interval while the issuer is up.
const UP_INTERVAL: Duration = Duration::from_secs(30);
/// Delay before the extra check after a failed call, so that many failures cause few checks.
const RECHECK_DELAY: Duration = Duration::from_millis(200);
/// How often the keys are fetched without a cause.
const KEYS_INTERVAL: Duration = Duration::from_hours(1);

/// Whether people can sign in at the issuer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IssuerState {
    /// The issuer has not been ready yet. Holds the reason, for people:
    /// `https://… answers 503 Service Unavailable`.
    Waiting(String),
    /// The discovery document is valid and a signing key is usable, or GitHub answers: sign-in is open.
    /// It stays open; a later outage shows as `Down`.
    Right,
    /// The issuer was ready and does not answer properly now. Holds the reason, for people.
    Down(String),
}

/// The issuer: its latest valid discovery document and keys, and its state.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) registration: Registration,
    pub(super) http: HttpClient,
    /// How far the issuer's clock and the local one may differ.
    pub(super) clock_skew: Duration,
    pub(super) known: Arc<Known>,
}

/// What is known of the issuer, whatever settings are used to ask it.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) app: Arc<OwnApp>,
    /// The issuer identifier, which is also its base URL.
    url: String,
    /// How long the issuer is polled at the short interval.
    starting_for: Duration,
    /// Set if the issuer is GitHub. Then `provider` stays empty.
    github: Option<GitHub>,
    pub(super) provider: ArcSwapOption<Provider>,
    state: watch::Sender<IssuerState>,
    /// A call has failed: check the issuer before its next turn.
    call_failed: Notify,
    pub(super) key_fetches: KeyFetches,
}

impl Issuer {
    /// The issuer of `[oidc]`, which is not contacted before [`Self::watch`].
    pub(crate) fn new(
        oidc: &Oidc,
        registration: Registration,
        tasks: Tasks,
    ) -> Result<Self, SetupError> {
        let own_app = oidc.dial.is_some();
        let app = Arc::new(OwnApp::new(oidc.served_by.clone()));
        let waiting = IssuerState::Waiting(format!("{} has not been contacted yet", oidc.issuer));
        let known = Known {
            app: app.clone(),
            url: oidc.issuer.clone(),
            starting_for: if own_app { STARTING_FOR_OWN_APP } else { STARTING_FOR_REMOTE },
            github: (oidc.protocol == SignInProtocol::GitHub).then(|| GitHub::new(&oidc.issuer)),
            provider: ArcSwapOption::empty(),
            state: watch::Sender::new(waiting),
            call_failed: Notify::new(),
            key_fetches: KeyFetches::new(tasks),
        };
        let issuer = Self::with(oidc, registration, Arc::new(known))?;
        issuer.http.take_over();
        Ok(issuer)
    }

    /// The same issuer, asked with other settings. What is known of it stays.
    pub(crate) fn successor(
        &self,
        oidc: &Oidc,
        registration: Registration,
    ) -> Result<Self, SetupError> {
        Self::with(oidc, registration, Arc::clone(&self.known))
    }

    fn with(
        oidc: &Oidc,
        registration: Registration,
        known: Arc<Known>,
    ) -> Result<Self, SetupError> {
        let http = HttpClient::new(oidc, known.app.clone())?;
        Ok(Self { registration, http, clock_skew: oidc.clock_skew, known })
    }

    /// Uses this registration for the document and keys that are known, and this address.
    pub(crate) fn take_over(&self) {
        self.http.take_over();
        // Keys that are fetched at the same moment stay.
        self.known.provider.rcu(|provider| {
            let renewed = provider.as_ref()?.with_registration(&self.registration).ok();
            renewed.map(Arc::new).or_else(|| provider.clone())
        });
    }

    /// The issuer identifier.
    pub(crate) fn url(&self) -> &str {
        &self.known.url
    }

    /// The state, and every change of it.
    pub(crate) fn state(&self) -> watch::Receiver<IssuerState> {
        self.known.state.subscribe()
    }

    /// The latest valid document and keys; `None` before the issuer is ready for the first time, and of
    /// GitHub.
    pub(super) fn provider(&self) -> Option<Arc<Provider>> {
        self.known.provider.load_full()
    }

    /// GitHub, if it is the issuer.
    pub(super) fn github(&self) -> Option<&GitHub> {
        self.known.github.as_ref()
    }

    /// Whether the issuer has been ready.
    pub(super) fn was_ready(&self) -> bool {
        !matches!(*self.known.state.borrow(), IssuerState::Waiting(_))
    }

    /// The phase of the app that serves the issuer.
    pub(crate) fn follow_app(
        &self,
        phase: watch::Receiver<Phase>,
        listener: Option<Arc<dyn ListenerCheck>>,
    ) {
        self.known.app.follow(phase, listener);
    }

    /// Each new connection to an issuer on this machine is checked.
    pub(crate) fn check_by(&self, listener: Arc<dyn ListenerCheck>) {
        self.known.app.check_by(listener);
    }

    /// Whether the issuer was ready at the last check, and its own app has been ready since.
    pub(crate) fn is_up(&self) -> bool {
        *self.known.state.borrow() == IssuerState::Right && self.known.app.is_ready()
    }

    /// Reports that a call to the issuer has failed; the issuer is checked without delay.
    pub(super) fn report_failure(&self) {
        self.known.call_failed.notify_one();
    }

    /// Polls the issuer until it is ready, then watches it. Never returns.
    pub(crate) async fn watch(&self) {
        if !self.was_ready() {
            self.wait_until_ready().await;
        }
        let (mut keys_fetched, mut app_was_ready) = (Instant::now(), true);
        loop {
            let pause = if self.is_up() { UP_INTERVAL } else { DOWN_INTERVAL };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.known.app.turned(app_was_ready) => {}
                () = self.known.call_failed.notified() => sleep(RECHECK_DELAY).await,
            }
            app_was_ready = self.known.app.is_ready();
            // An issuer that comes back after an outage may have new keys.
            let fetch_keys = !self.is_up() || keys_fetched.elapsed() >= KEYS_INTERVAL;
            match self.check(fetch_keys).await {
                Ok(()) => {
                    if fetch_keys {
                        keys_fetched = Instant::now();
                    }
                    self.announce(IssuerState::Right);
                }
                Err(reason) => self.announce(IssuerState::Down(reason)),
            }
        }
    }

    async fn wait_until_ready(&self) {
        let started = Instant::now();
        let mut overdue = false;
        loop {
            let app_is_ready = self.known.app.is_ready();
            let Err(reason) = self.check(true).await else { break };
            if !overdue && started.elapsed() >= self.known.starting_for {
                overdue = true;
                warn!(reason, "nobody can sign in: the issuer is still not ready");
            }
            self.announce(IssuerState::Waiting(reason));
            let often = app_is_ready && !overdue;
            tokio::select! {
                () = sleep(if often { STARTING_INTERVAL } else { DOWN_INTERVAL }) => {}
                () = self.known.app.turned(app_is_ready) => {}
            }
        }
        self.announce(IssuerState::Right);
    }

    /// Reads the discovery document, and the keys if `fetch_keys`; asks GitHub whether it answers. The error
    /// is for people.
    async fn check(&self, fetch_keys: bool) -> Result<(), String> {
        if let Some(github) = self.github() {
            return github.check(&self.http).await;
        }
        let url =
            format!("{}/.well-known/openid-configuration", self.known.url.trim_end_matches('/'));
        let body = self.http.get(&url, None).await?;
        let metadata =
            Metadata::read(&body, &self.known.url).map_err(|problem| format!("{url} {problem}"))?;
        let known = self.provider();
        let keys = match known {
            Some(known) if !fetch_keys => known.keys.clone(),
            _ => keys::fetch(&self.http, &metadata.jwks_uri).await?,
        };
        let jwks_uri = metadata.jwks_uri.clone();
        let provider = Provider::new(metadata, keys, &self.registration)
            .map_err(|problem| format!("{jwks_uri} {problem}"))?;
        // An answer that came while the app ended may be of another program.
        self.known.app.check()?;
        self.known.provider.store(Some(Arc::new(provider)));
        Ok(())
    }

    /// The claims that the userinfo endpoint `url` returns for an access token
    /// (OpenID Connect Core §5.3). The error is for people.
    pub(super) async fn userinfo(
        &self,
        url: &str,
        token: &str,
    ) -> Result<Map<String, Value>, String> {
        let body = self.http.get(url, Some(token)).await?;
        serde_json::from_slice(&body).map_err(|_| format!("{url} answers with no JSON object"))
    }

    /// Publishes the state and logs it if it has changed.
    fn announce(&self, state: IssuerState) {
        let changed = self.known.state.send_if_modified(|known| {
            let changed = *known != state;
            known.clone_from(&state);
            changed
        });
        if changed {
            match state {
                IssuerState::Waiting(reason) => info!(reason, "waiting for the issuer"),
                IssuerState::Right => info!(issuer = self.known.url, "issuer is right"),
                IssuerState::Down(reason) => warn!(reason, "issuer is down"),
            }
        }
    }
}
