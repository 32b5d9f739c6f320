//! The routes in force, for requests that last longer than a configuration.

use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::watch;

use super::routes::Routes;

/// The newest routes. All proxies of the process share it.
#[derive(Debug)]
pub(crate) struct RoutesInForce {
    newest: ArcSwap<Routes>,
    changes: watch::Sender<()>,
}

impl RoutesInForce {
    pub(crate) fn new(routes: Arc<Routes>) -> Self {
        Self { newest: ArcSwap::new(routes), changes: watch::Sender::new(()) }
    }

    pub(crate) fn set(&self, routes: Arc<Routes>) {
        self.newest.store(routes);
        self.changes.send_replace(());
    }

    pub(crate) fn newest(&self) -> Arc<Routes> {
        self.newest.load_full()
    }

    /// Whether these are the routes in force. Cheap.
    pub(crate) fn are(&self, routes: &Arc<Routes>) -> bool {
        Arc::ptr_eq(&self.newest.load(), routes)
    }

    /// Waits until other routes than these are in force.
    pub(crate) async fn replaced(&self, routes: &Arc<Routes>) {
        let mut changes = self.changes.subscribe();
        while self.are(routes) {
            // The sender lives as long as `self`.
            let _ = changes.changed().await;
        }
    }
}
