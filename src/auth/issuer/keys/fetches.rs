//! Fetches of the issuer's keys, and their limits.

use std::collections::HashMap;
use std::time::Duration;

use openidconnect::core::CoreJsonWebKeySet;
use tokio::time::Instant;

use crate::auth::issuer::http_client::HttpClient;
use crate::auth::runtime::{Flight, Mutex, SingleFlight, Tasks};

/// How often the keys are fetched at most because a token names an unknown key. Anybody can invent
/// a key id, so this limits the requests that a forged token can cause.
const UNKNOWN_KEY_INTERVAL: Duration = Duration::from_secs(30);
/// The pause after a fetch that failed.
const RETRY: Duration = Duration::from_secs(1);

/// Where a token comes from. Each source has its own limit: a stranger who invents key ids must not delay
/// the logins after the issuer has changed its keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::auth::issuer) enum Source {
    /// The issuer has sent it to the appliance itself.
    Issuer,
    /// Anybody may have invented it.
    Client,
}

/// The fetches that run, and when the next ones may.
#[derive(Debug)]
pub(in crate::auth::issuer) struct KeyFetches {
    tasks: Tasks,
    running: SingleFlight<Source, ()>,
    next: Mutex<HashMap<Source, Instant>>,
}

impl KeyFetches {
    pub(in crate::auth::issuer) fn new(tasks: Tasks) -> Self {
        Self { tasks, running: SingleFlight::new(), next: Mutex::default() }
    }

    /// Joins the fetch that runs for this source, or starts `work`. `None` if none runs and the next one has
    /// to wait. `work` runs in a task of its own: the client whose token has caused it may leave, and others
    /// wait for the same keys.
    pub(super) fn join_or_start<F>(
        &self,
        source: Source,
        work: impl FnOnce() -> F,
    ) -> Option<Flight<()>>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut next = self.next.lock();
        if let Some(flight) = self.running.join(&source) {
            return Some(flight);
        }
        if next.get(&source).is_some_and(|at| Instant::now() < *at) {
            return None;
        }
        next.insert(source, Instant::now() + UNKNOWN_KEY_INTERVAL);
        Some(self.running.join_or_start(&self.tasks, source, work))
    }

    /// A fetch has failed, so the next one may run soon.
    pub(super) fn retry_soon(&self, source: Source) {
        self.next.lock().insert(source, Instant::now() + RETRY);
    }
}

/// The keys at `url`. The error is for people.
pub(in crate::auth::issuer) async fn fetch(
    http: &HttpClient,
    url: &str,
) -> Result<CoreJsonWebKeySet, String> {
    let body = http.get(url, None).await?;
    serde_json::from_slice(&body).map_err(|_| format!("{url} answers with no JWK set"))
}
