//! The issuer: asked until it is right, then watched.
//!
//! Login opens when the discovery document is *right*, never before, and stays open: an outage
//! later is shown ([`IssuerState::Down`]), makes new logins wait and harms nobody who is signed
//! in. The last good answer is kept through it.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::{Request, StatusCode, header};
use openidconnect::core::CoreJsonWebKeySet;
use openidconnect::{ClientId, ClientSecret};
use serde_json::{Map, Value};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep};
use tracing::{info, warn};

use crate::auth::SetupError;
use crate::auth::issuer::http_client::Http;
use crate::auth::issuer::provider::{Document, Provider};
use crate::config::Oidc;

/// While the issuer starts, which is waited for: often, but not for ever, and with more restraint
/// when it is not ours.
const EAGER: Duration = Duration::from_millis(50);
const EAGER_FOR_OURS: Duration = Duration::from_mins(2);
const EAGER_FOR_OTHERS: Duration = Duration::from_secs(10);
/// While it is down, or takes very long to start.
const PATIENT: Duration = Duration::from_secs(1);
/// While it is well.
const WATCH: Duration = Duration::from_secs(30);
/// Between two questions that were asked out of turn.
const BREATH: Duration = Duration::from_millis(200);
/// Keys are fetched anew so often without a cause.
const KEYS_FOR: Duration = Duration::from_hours(1);
/// A token with an unknown key makes us ask for the keys, but no more often than this: anybody
/// can make up the name of a key.
const UNKNOWN_KEY_EVERY: Duration = Duration::from_secs(30);

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

/// Who we are to the issuer.
#[derive(Debug)]
pub(crate) struct Registration {
    pub(crate) client_id: ClientId,
    pub(crate) client_secret: ClientSecret,
}

/// The issuer as we know it.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) registration: Registration,
    pub(crate) http: Http,
    pub(crate) clock_skew: Duration,
    url: String,
    eager_for: Duration,
    provider: ArcSwapOption<Provider>,
    state: watch::Sender<IssuerState>,
    suspicion: Notify,
    /// From when on keys may be asked for because of an unknown one; held while they are fetched.
    unknown_key: tokio::sync::Mutex<Option<Instant>>,
}

impl Issuer {
    pub(crate) fn new(oidc: &Oidc, registration: Registration) -> Result<Self, SetupError> {
        let waiting = IssuerState::Waiting(format!("{} was not asked yet", oidc.issuer));
        Ok(Self {
            registration,
            http: Http::new(oidc)?,
            clock_skew: oidc.clock_skew,
            url: oidc.issuer.clone(),
            eager_for: if oidc.dial.is_some() { EAGER_FOR_OURS } else { EAGER_FOR_OTHERS },
            provider: ArcSwapOption::empty(),
            state: watch::Sender::new(waiting),
            suspicion: Notify::new(),
            unknown_key: tokio::sync::Mutex::new(None),
        })
    }

    /// Its state as it changes.
    pub(crate) fn state(&self) -> watch::Receiver<IssuerState> {
        self.state.subscribe()
    }

    /// `None` until it was right once.
    pub(crate) fn provider(&self) -> Option<Arc<Provider>> {
        self.provider.load_full()
    }

    /// It was right and is not known to be down.
    pub(crate) fn is_up(&self) -> bool {
        *self.state.borrow() == IssuerState::Right
    }

    /// A call to it has failed: it is looked at without delay.
    pub(crate) fn suspect(&self) {
        self.suspicion.notify_one();
    }

    /// Asks until it is right, then looks after it. Never returns.
    pub(crate) async fn watch(&self) {
        self.become_right().await;
        let mut keys_since = Instant::now();
        loop {
            let pause = if self.is_up() { WATCH } else { PATIENT };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.suspicion.notified() => sleep(BREATH).await,
            }
            // An issuer that comes back may have made new keys.
            let fetch_keys = !self.is_up() || keys_since.elapsed() >= KEYS_FOR;
            match self.look(fetch_keys).await {
                Ok(()) => {
                    if fetch_keys {
                        keys_since = Instant::now();
                    }
                    self.announce(IssuerState::Right);
                }
                Err(reason) => self.announce(IssuerState::Down(reason)),
            }
        }
    }

    async fn become_right(&self) {
        let begun = Instant::now();
        let mut patient = false;
        while let Err(reason) = self.look(true).await {
            if !patient && begun.elapsed() >= self.eager_for {
                patient = true;
                warn!(reason, "nobody can sign in: the issuer is still not right");
            }
            self.announce(IssuerState::Waiting(reason));
            sleep(if patient { PATIENT } else { EAGER }).await;
        }
        self.announce(IssuerState::Right);
    }

    /// Reads the document, and the keys when wanted. The error is for people.
    async fn look(&self, fetch_keys: bool) -> Result<(), String> {
        let url = format!("{}/.well-known/openid-configuration", self.url.trim_end_matches('/'));
        let body = self.get(&url, None).await?;
        let document = Document::read(&body, &self.url).map_err(|what| format!("{url} {what}"))?;
        let known = self.provider();
        let keys = match known {
            Some(known) if !fetch_keys => known.keys.clone(),
            _ => self.keys(&document.jwks_uri).await?,
        };
        let jwks_uri = document.jwks_uri.clone();
        let provider = Provider::new(document, keys, &self.registration)
            .map_err(|what| format!("{jwks_uri} {what}"))?;
        self.provider.store(Some(Arc::new(provider)));
        Ok(())
    }

    async fn keys(&self, url: &str) -> Result<CoreJsonWebKeySet, String> {
        let body = self.get(url, None).await?;
        serde_json::from_slice(&body).map_err(|_| format!("{url} answers no set of keys"))
    }

    /// A token names a key that `stale` does not have. Whether there are newer keys now.
    pub(crate) async fn renew_keys(&self, stale: &Arc<Provider>) -> bool {
        let mut again = self.unknown_key.lock().await;
        let Some(known) = self.provider() else { return false };
        if !Arc::ptr_eq(&known, stale) && known.keys != stale.keys {
            return true;
        }
        if again.is_some_and(|at| Instant::now() < at) {
            return false;
        }
        *again = Some(Instant::now() + UNKNOWN_KEY_EVERY);
        let renewed = match self.keys(&known.document.jwks_uri).await {
            Ok(keys) => known.with_keys(keys, &self.registration),
            Err(reason) => Err(reason),
        };
        match renewed {
            Ok(provider) => {
                let changed = provider.keys != known.keys;
                self.provider.store(Some(Arc::new(provider)));
                changed
            }
            Err(reason) => {
                // That was no answer: the next one to need them may ask soon.
                *again = Some(Instant::now() + PATIENT);
                warn!(reason, "the issuer's keys could not be renewed");
                false
            }
        }
    }

    /// What the userinfo endpoint says about the bearer of a token (OpenID Connect Core §5.3).
    pub(crate) async fn userinfo(
        &self,
        url: &str,
        token: &str,
    ) -> Result<Map<String, Value>, String> {
        let body = self.get(url, Some(token)).await?;
        serde_json::from_slice(&body).map_err(|_| format!("{url} answers no JSON object"))
    }

    async fn get(&self, url: &str, bearer: Option<&str>) -> Result<Vec<u8>, String> {
        let mut request = Request::get(url).header(header::ACCEPT, "application/json");
        if let Some(token) = bearer {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request.body(Vec::new()).map_err(|_| format!("{url} is no address"))?;
        let answer = self.http.send(request).await.map_err(|error| format!("{url} {error}"))?;
        match answer.status() {
            StatusCode::OK => Ok(answer.into_body()),
            status => Err(format!("{url} answers {status}")),
        }
    }

    fn announce(&self, state: IssuerState) {
        let changed = self.state.send_if_modified(|known| {
            let changed = *known != state;
            known.clone_from(&state);
            changed
        });
        if changed {
            match state {
                IssuerState::Waiting(reason) => info!(reason, "waiting for the issuer"),
                IssuerState::Right => info!(issuer = self.url, "issuer is right"),
                IssuerState::Down(reason) => warn!(reason, "issuer is down"),
            }
        }
    }
}
