//! The app that serves the issuer. The issuer's address is called only while that app is ready.
//!
//! The address is a port on loopback. While the app does not listen, any local program can take the
//! port and pose as the issuer. A ready app owns the socket that listens there.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwapOption;
use tokio::sync::watch;

use super::loopback::Loopback;
use crate::config::{AppName, Ends, ListenerCheck, ListenerFault, Phase};

/// The app of `[oidc] served_by`, if there is one.
#[derive(Debug)]
pub(super) struct OwnApp {
    name: Option<AppName>,
    phase: OnceLock<watch::Receiver<Phase>>,
    listener: OnceLock<Arc<dyn ListenerCheck>>,
    /// Where the app is dialled. All clients share it: the app may move while a call waits.
    loopback: ArcSwapOption<Loopback>,
}

impl OwnApp {
    /// An app whose phase is not known counts as not ready.
    pub(super) fn new(name: Option<AppName>) -> Self {
        let (phase, listener) = (OnceLock::new(), OnceLock::new());
        Self { name, phase, listener, loopback: ArcSwapOption::empty() }
    }

    /// From now on the app's phase is known, and its listener is checked.
    pub(super) fn follow(
        &self,
        phase: watch::Receiver<Phase>,
        listener: Option<Arc<dyn ListenerCheck>>,
    ) {
        if let Some(listener) = listener {
            self.check_by(listener);
        }
        let _ = self.phase.set(phase);
    }

    /// From now on the listener is checked.
    pub(super) fn check_by(&self, listener: Arc<dyn ListenerCheck>) {
        let _ = self.listener.set(listener);
    }

    /// From now on the app is dialled there.
    pub(super) fn set_loopback(&self, loopback: Option<Arc<Loopback>>) {
        self.loopback.store(loopback);
    }

    pub(super) fn loopback(&self) -> Option<Arc<Loopback>> {
        self.loopback.load_full()
    }

    /// Whether a connection that was just made has reached the app.
    pub(super) async fn check_connection(&self, ends: Ends) -> Result<(), ListenerFault> {
        match self.listener.get() {
            Some(listener) => listener.check(ends).await,
            None => Ok(()),
        }
    }

    /// Whether the issuer may be asked; the error says, for people, why not.
    pub(super) fn check(&self) -> Result<(), String> {
        let Some(name) = &self.name else { return Ok(()) };
        // The phase is not told: a reason that changes all the time would fill the log.
        if self.phase.get().is_some_and(|phase| phase.borrow().is_ready()) {
            Ok(())
        } else {
            Err(format!("its app {name} is not ready"))
        }
    }

    /// Whether the issuer may be asked.
    pub(super) fn is_ready(&self) -> bool {
        self.check().is_ok()
    }

    /// Resolves when the app is ready and was not, or the other way round.
    pub(super) async fn turned(&self, was_ready: bool) {
        if let (Some(_), Some(phase)) = (&self.name, self.phase.get()) {
            let turned = |phase: &Phase| phase.is_ready() != was_ready;
            if phase.clone().wait_for(turned).await.is_ok() {
                return;
            }
        }
        std::future::pending::<()>().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn the_issuer_is_asked_only_while_its_app_is_ready() {
        let remote = OwnApp::new(None);
        assert!(remote.is_ready());
        let app = OwnApp::new(AppName::new("keycloak"));
        assert!(!app.is_ready(), "its phase is not known yet");
        let (phase, seen) = watch::channel(Phase::Starting);
        app.follow(seen, None);
        for (now, ready) in [
            (Phase::Starting, false),
            (Phase::Ready, true),
            (Phase::Unready, false),
            (Phase::Stopping, false),
            (Phase::Backoff, false),
            (Phase::Ready, true),
        ] {
            phase.send_replace(now);
            assert_eq!(app.is_ready(), ready, "{now:?}");
            let soon = Duration::from_millis(20);
            assert!(timeout(soon, app.turned(ready)).await.is_err(), "{now:?}");
            assert!(timeout(soon, app.turned(!ready)).await.is_ok(), "{now:?}");
        }
        phase.send_replace(Phase::Unready);
        assert_eq!(app.check(), Err("its app keycloak is not ready".to_owned()));
    }
}
