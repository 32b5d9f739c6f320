//! Fetches the issuer's keys again, because a token names one that is not known.

use std::sync::Arc;

use openidconnect::core::CoreJsonWebKeySet;
use tracing::warn;

use super::fetches::{self, Source};
use crate::auth::issuer::provider::Provider;
use crate::auth::issuer::watch::{Issuer, Known};

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
        let (http, known) = (self.http.clone(), Arc::clone(&self.known));
        async move {
            let fetched = fetches::fetch(&http, &before.metadata.jwks_uri).await;
            let renewed = known.app.check().and(fetched);
            if let Err(reason) = renewed.and_then(|keys| known.put_keys(&before, &keys)) {
                known.key_fetches.retry_soon(source);
                warn!(reason, "cannot fetch the issuer's keys");
            }
        }
    }
}

impl Known {
    /// Puts keys in force that were fetched for `before`. During the fetch, the issuer's document or the
    /// registration may have changed: they stay.
    fn put_keys(&self, before: &Provider, keys: &CoreJsonWebKeySet) -> Result<(), String> {
        loop {
            let newest = self.provider.load();
            let Some(known) = newest.as_deref() else { return Ok(()) };
            let Some(renewed) = known.renewed(before, keys)? else { return Ok(()) };
            let replaced = self.provider.compare_and_swap(&*newest, Some(Arc::new(renewed)));
            let was_newest = replaced.as_ref().map(Arc::as_ptr) == newest.as_ref().map(Arc::as_ptr);
            if was_newest {
                return Ok(());
            }
        }
    }
}
