//! What a request that lasts has asked for, so that it can be judged again: after a reload, other
//! rules may hold for it.

use std::sync::Arc;

use http::{HeaderValue, Method};
use tokio::sync::watch;

use crate::proxy::phases::admit::host::parse_host;
use crate::proxy::phases::admit::path::AdmittedPath;
use crate::proxy::phases::route::requirements::Requirements;
use crate::proxy::phases::route::routes::Routes;

/// What a request has asked for, and the routes of the configuration in force.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub method: Method,
    /// The effective `Host` header.
    pub host: Option<HeaderValue>,
    pub path: AdmittedPath,
    /// The routes that the request was judged by.
    pub judged_by: Arc<Routes>,
    /// The routes in force, and every change of them.
    pub newest: watch::Receiver<Arc<Routes>>,
}

impl Asked {
    /// Waits until there are other routes than those that the request was judged by, then returns
    /// what they require. `None` if they do not lead to an app.
    pub(super) async fn judged_again(&mut self) -> Option<Requirements> {
        let judged_by = Arc::clone(&self.judged_by);
        let newest = match self.newest.wait_for(|newest| !Arc::ptr_eq(newest, &judged_by)).await {
            Ok(newest) => Arc::clone(&newest),
            // The proxy owns the sender.
            Err(_) => return std::future::pending().await,
        };
        self.judged_by = Arc::clone(&newest);
        let host = self.host.as_ref().and_then(|host| parse_host(host.to_str().ok()?))?;
        let found = newest.find(host, self.path.decoded())?;
        Requirements::new(found, &self.method, &self.path)
    }
}
