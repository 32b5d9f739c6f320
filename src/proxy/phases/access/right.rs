//! The right by which a request was allowed, checked again for as long as its transfer lasts.
//!
//! A session can end, a person can lose a group, and a reload can change the rules, while a WebSocket, an event stream or a long
//! upload or download goes on. What lasts is bound to the right: it checks [`Right::holds`] as data
//! passes, and what lasts longer than a moment is watched, which also keeps the session refreshed.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::asked::Asked;
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
    /// `None` for a request without a session, to a public app.
    caller: Option<Caller>,
    /// The app, and the policies that allowed the request.
    requirements: Requirements,
}

#[derive(Debug, Clone)]
struct Caller {
    session: Arc<Session>,
    /// The person at the time of the request: the app received this identity.
    person: Arc<Person>,
}

/// A right that is watched. The session is refreshed without a request for as long as this exists.
#[derive(Debug)]
pub(crate) struct WatchedRight {
    right: Right,
    asked: Box<Asked>,
    session: Option<(TunnelGuard, watch::Receiver<SessionState>)>,
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
        session: Option<Arc<Session>>,
        person: Option<Arc<Person>>,
        requirements: Requirements,
    ) -> Self {
        let caller = session.zip(person).map(|(session, person)| Caller { session, person });
        Self { caller, requirements }
    }

    /// Whether the request has a session.
    pub(crate) fn has_session(&self) -> bool {
        self.caller.is_some()
    }

    /// Whether the session is in force and its person has access. Cheap.
    pub(crate) fn holds(&self) -> bool {
        self.loss().is_none()
    }

    /// Whether the session is in force and belongs to the same person with the same rights.
    pub(crate) fn is_unchanged(&self) -> bool {
        let same = |caller: &Caller| {
            !caller.session.is_over() && caller.session.has_person(&caller.person)
        };
        self.caller.as_ref().is_none_or(same)
    }

    /// Why the right no longer holds.
    pub(crate) fn loss(&self) -> Option<Loss> {
        let Caller { session, person } = self.caller.as_ref()?;
        if session.is_over() {
            Some(Loss::Session)
        } else if session.has_person(person) || self.requirements.admit(&session.person()) {
            None
        } else {
            Some(Loss::Access)
        }
    }

    /// The name of the person.
    pub(super) fn user(&self) -> Option<&str> {
        self.caller.as_ref().map(|caller| caller.person.user.as_str())
    }

    pub(super) fn app(&self) -> &RoutedApp {
        self.requirements.app()
    }

    /// Watches the right from now on.
    pub(crate) fn watch(self, asked: Box<Asked>) -> WatchedRight {
        let session = self.caller.as_ref().map(|caller| caller.session.tunnel());
        WatchedRight { right: self, asked, session }
    }

    /// Keeps the session refreshed for as long as the guard exists.
    pub(crate) fn keep_refreshed(&self) -> Option<TunnelGuard> {
        self.caller.as_ref().map(|caller| caller.session.tunnel().0)
    }

    /// Whether the app would receive the same identity for `person`. Tokens do not count: they change
    /// with every refresh.
    fn told(&self, person: &Person) -> bool {
        let Some(Caller { person: before, .. }) = &self.caller else { return true };
        let now = person;
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
    pub(crate) fn session(&self) -> Option<&Session> {
        self.right.caller.as_ref().map(|caller| &*caller.session)
    }

    /// Waits until the right is lost. `identity`: an outdated identity of the app counts as well.
    pub(crate) async fn lost(&self, identity: bool) -> Loss {
        tokio::select! {
            biased;
            loss = self.access_lost() => loss,
            () = self.identity_outdated(), if identity => Loss::Identity,
        }
    }

    /// Judges by the rules of the configuration in force, also after a reload.
    async fn access_lost(&self) -> Loss {
        let (mut requirements, mut asked) = (self.right.requirements.clone(), self.asked.clone());
        loop {
            let again = tokio::select! {
                biased;
                loss = self.lost_under(&requirements) => return loss,
                again = asked.judged_again() => again,
            };
            match again {
                Some(again) if again.app().name == self.right.app().name => requirements = again,
                // Another app, or none, has the path now.
                _ => return Loss::Access,
            }
        }
    }

    async fn lost_under(&self, requirements: &Requirements) -> Loss {
        let Some((_, changes)) = &self.session else {
            if requirements.are_public() {
                return std::future::pending().await;
            }
            return Loss::Access;
        };
        let mut changes = changes.clone();
        let lost = changes
            .wait_for(|state| match state {
                SessionState::Live(person) => !requirements.admit(person),
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
        let Some((_, changes)) = &self.session else { return std::future::pending().await };
        let mut changes = changes.clone();
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
