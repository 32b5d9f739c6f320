//! Fetches the issuer's keys again, because a token names one that is not known.

use std::sync::Arc;

use tracing::warn;

use super::fetches::{self, Source};
use crate::auth::issuer::provider::Provider;
use crate::auth::issuer::watch::Issuer;

impl Issuer {
    /// Fetches the keys because a token names a key that `stale` does not have, at most every 30 seconds.
    /// Returns whether there are other keys than those of `stale`.
    pub(in crate::auth::issuer) async fn renew_keys(
        &self,
        source: Source,
        stale: &Provider,
    ) -> bool {
        let are_new = || self.provider().is_some_and(|known| known.keys != stale.keys);
        let Some(before) = self.provider() else { return false };
        if !are_new() {
            let fetches = &self.known.key_fetches;
            let flight = fetches.join_or_start(source, || self.renewal(source, before));
            if let Some(flight) = flight {
                flight.result().await;
            }
        }
        are_new()
    }

    fn renewal(
        &self,
        source: Source,
        before: Arc<Provider>,
    ) -> impl Future<Output = ()> + Send + use<> {
        let (http, registration) = (self.http.clone(), self.registration.clone());
        let known = Arc::clone(&self.known);
        async move {
            let fetched = fetches::fetch(&http, &before.metadata.jwks_uri).await;
            let renewed = known.app.check().and(fetched);
            match renewed.and_then(|keys| before.with_keys(keys, &registration)) {
                Ok(provider) => known.provider.store(Some(Arc::new(provider))),
                Err(reason) => {
                    known.key_fetches.retry_soon(source);
                    warn!(reason, "cannot fetch the issuer's keys");
                }
            }
        }
    }
}
