//! The right by which a request was allowed, checked again for as long as its transfer lasts.
//!
//! A session can end, and a person can lose a group, while a WebSocket, an event stream or a long
//! upload or download goes on. What lasts is bound to the right: it checks [`Right::holds`] as data
//! passes, and what lasts longer than a moment is watched, which also keeps the session refreshed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::auth::{Person, Session, SessionState, TunnelGuard};
use crate::proxy::phases::route::requirements::Requirements;
use crate::proxy::phases::route::routed_app::{Attribute, RoutedApp};

/// From the moment that an app knows an outdated identity until its connection is closed. The app can
/// complete what it is sending.
const IDENTITY_DELAY: Duration = Duration::from_millis(700);

/// Why a transfer may not go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The session has ended.
    Session,
    /// The person no longer has access to the app.
    Access,
    /// The identity that the app received with the request is no longer right.
    Identity,
}

/// The right of one request.
#[derive(Debug, Clone)]
pub(crate) struct Right {
    session: Arc<Session>,
    /// The person at the time of the request: the app received this identity.
    person: Arc<Person>,
    /// The app, and the policies that allowed the request.
    requirements: Requirements,
}

/// A right that is watched. The session is refreshed without a request for as long as this exists.
#[derive(Debug)]
pub(crate) struct WatchedRight {
    right: Right,
    changes: watch::Receiver<SessionState>,
    _guard: TunnelGuard,
}

impl Loss {
    /// The reason in the access log.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Session => "the session has ended",
            Self::Access => "the person lost access",
            Self::Identity => "the identity of the person has changed",
        }
    }
}

impl Right {
    pub(crate) fn new(
        session: Arc<Session>,
        person: Arc<Person>,
        requirements: Requirements,
    ) -> Self {
        Self { session, person, requirements }
    }

    /// Whether the session is in force and its person has access. Cheap.
    pub(crate) fn holds(&self) -> bool {
        self.loss().is_none()
    }

    /// Whether the session is in force and belongs to the same person with the same rights.
    pub(crate) fn is_unchanged(&self) -> bool {
        !self.session.is_over() && self.session.has_person(&self.person)
    }

    /// Why the right no longer holds.
    pub(crate) fn loss(&self) -> Option<Loss> {
        if self.session.is_over() {
            Some(Loss::Session)
        } else if self.session.has_person(&self.person) || self.admits(&self.session.person()) {
            None
        } else {
            Some(Loss::Access)
        }
    }

    /// The name of the person.
    pub(super) fn user(&self) -> &str {
        &self.person.user
    }

    pub(super) fn app(&self) -> &RoutedApp {
        self.requirements.app()
    }

    /// Watches the right from now on.
    pub(crate) fn watch(self) -> WatchedRight {
        let (guard, changes) = self.session.tunnel();
        WatchedRight { right: self, changes, _guard: guard }
    }

    /// Keeps the session refreshed for as long as the guard exists.
    pub(crate) fn keep_refreshed(&self) -> TunnelGuard {
        self.session.tunnel().0
    }

    fn admits(&self, person: &Person) -> bool {
        self.requirements.admit(person)
    }

    /// Whether the app would receive the same identity for `person`. Tokens do not count: they change
    /// with every refresh.
    fn told(&self, person: &Person) -> bool {
        let (before, now) = (&self.person, person);
        self.app().identity.iter().all(|(_, attribute)| match attribute {
            Attribute::User => before.headers.user == now.headers.user,
            Attribute::Email => before.headers.email == now.headers.email,
            Attribute::Groups => before.headers.groups == now.headers.groups,
            Attribute::PreferredUsername => {
                before.headers.preferred_username == now.headers.preferred_username
            }
            Attribute::Name => before.headers.name == now.headers.name,
            Attribute::Assertion => before.email == now.email && before.groups == now.groups,
            Attribute::AccessToken => true,
        })
    }
}

impl WatchedRight {
    pub(crate) fn session(&self) -> &Session {
        &self.right.session
    }

    /// Waits until the right is lost. `identity`: an outdated identity of the app counts as well.
    pub(crate) async fn lost(&self, identity: bool) -> Loss {
        tokio::select! {
            biased;
            loss = self.access_lost() => loss,
            () = self.identity_outdated(), if identity => Loss::Identity,
        }
    }

    async fn access_lost(&self) -> Loss {
        let mut changes = self.changes.clone();
        let lost = changes
            .wait_for(|state| match state {
                SessionState::Live(person) => !self.right.admits(person),
                SessionState::Ended => true,
            })
            .await;
        match lost.as_deref() {
            Ok(SessionState::Live(_)) => Loss::Access,
            // The session owns the sender: a closed channel means that the session has ended.
            Ok(SessionState::Ended) | Err(_) => Loss::Session,
        }
    }

    async fn identity_outdated(&self) {
        let mut changes = self.changes.clone();
        let outdated = changes.wait_for(|state| match state {
            SessionState::Live(person) => !self.right.told(person),
            SessionState::Ended => false,
        });
        match outdated.await {
            Ok(state) => drop(state),
            Err(_) => return std::future::pending().await,
        }
        tokio::time::sleep(IDENTITY_DELAY).await;
    }
}
