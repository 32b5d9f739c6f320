//! The right by which a request was allowed, checked again for as long as its transfer lasts.
//!
//! A session can end, a person can lose a group, and a reload can change the rules, while a WebSocket, an event stream or a long
//! upload or download goes on. What lasts is bound to the right: it checks [`Right::holds`] as data
//! passes, and what lasts longer than a moment is watched, which also keeps the session refreshed.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::asked::Asked;
use crate::auth::policy::{Reason, Verdict, decide};
use crate::auth::{Person, Session, SessionState, TunnelGuard};
use crate::config::{Dial, Upstream};
use crate::proxy::answer::cause::Cause;
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
    /// The app has another upstream than the one that serves the transfer.
    Upstream,
}

/// The right of one request.
#[derive(Debug, Clone)]
pub(crate) struct Right {
    /// `None` for a request without a session, to a public app.
    caller: Option<Caller>,
    /// The app, and the policies that allowed the request.
    requirements: Requirements,
    asked: Rc<Asked>,
    /// The transfer must not outlive the session, also of a public app: the app knows the person.
    binds_identity: bool,
    /// The session is that of the app's frames: it lasts only as long as the app may be framed.
    in_frame: bool,
    /// The address that serves the transfer; `None` while it is not known.
    upstream: Option<Rc<Upstream>>,
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
    session: Option<(TunnelGuard, watch::Receiver<SessionState>)>,
}

impl Loss {
    /// The reason in the access log.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Session => "the session has ended",
            Self::Access => "the person lost access",
            Self::Identity => "the identity of the person has changed",
            Self::Upstream => "the app has another upstream now",
        }
    }

    /// What the access line says of a transfer that was ended.
    pub(crate) fn cause(self) -> Cause {
        let code = match self {
            Self::Session => "session_ended",
            Self::Access => Reason::AccessLost.as_str(),
            Self::Identity => "identity_changed",
            Self::Upstream => "upstream_changed",
        };
        Cause::new(code, self.reason())
    }
}

impl Right {
    pub(crate) fn new(
        session: Option<Arc<Session>>,
        person: Option<Arc<Person>>,
        requirements: Requirements,
        asked: Rc<Asked>,
    ) -> Self {
        let caller = session.zip(person).map(|(session, person)| Caller { session, person });
        let (binds_identity, in_frame) = (false, false);
        Self { caller, requirements, asked, binds_identity, in_frame, upstream: None }
    }

    /// The same for a request with the cookie of a frame, if it has one.
    pub(crate) fn of_frame(self, in_frame: bool) -> Self {
        Self { in_frame, ..self }
    }

    /// The same for a transfer that must not outlive the session.
    pub(crate) fn binding_identity(self) -> Self {
        Self { binds_identity: true, ..self }
    }

    /// The same for a transfer that this upstream serves.
    pub(crate) fn served_by(self, upstream: &Rc<Upstream>) -> Self {
        Self { upstream: Some(Rc::clone(upstream)), ..self }
    }

    /// Whether a reload has given the app other upstreams. What the old one still sends or receives is
    /// no longer the app: other rules may hold for that program. The process of an app that runs here
    /// ends by itself, and completes what it is sending.
    fn is_moved_from(&self, newest: &RoutedApp) -> bool {
        let is_gone = |one: &Upstream| {
            !matches!(one.dial, Dial::Loopback(_)) && !newest.route.upstreams.contains(one)
        };
        match &self.upstream {
            Some(upstream) => is_gone(upstream),
            None => self.app().route.upstreams.iter().any(is_gone),
        }
    }

    /// Whether everybody gets the same response.
    pub(crate) fn is_public(&self) -> bool {
        self.requirements.are_public()
    }

    /// Whether the caller may also read this path of the same app, and if so, whether everybody may.
    pub(crate) fn reach(&self, path: &str) -> Option<bool> {
        let policy = self.requirements.policy_of(path.as_bytes());
        let person = self.caller.as_ref().map(|caller| &*caller.person);
        let is_allowed = |person| decide(policy.access, policy.deny, person) == Verdict::Allow;
        is_allowed(person).then(|| is_allowed(None))
    }

    /// Whether the request has a session.
    pub(crate) fn has_session(&self) -> bool {
        self.caller.is_some()
    }

    /// Whether the request had a session, and the session has ended.
    pub(crate) fn is_session_over(&self) -> bool {
        self.caller.as_ref().is_some_and(|caller| caller.session.is_over())
    }

    /// Whether the right is not lost. Cheap.
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

    /// Why the right no longer holds, under the rules in force.
    pub(crate) fn loss(&self) -> Option<Loss> {
        self.loss_while(false)
    }

    /// The same for a transfer. One that `lasts` also ends when a reload gives the app other upstreams,
    /// while a short one is completed.
    pub(crate) fn loss_while(&self, lasts: bool) -> Option<Loss> {
        if !self.asked.is_stale() {
            let is_known = |caller: &Caller| caller.session.has_person(&caller.person);
            // A reload puts its claims in force before its rules: old rules judge by old claims.
            let read = |caller: &Caller| caller.person.read_like(&caller.session.person());
            return self.loss_under(&self.requirements, is_known, read);
        }
        match self.judged_again() {
            Some(requirements) => {
                let newest = |caller: &Caller| caller.session.person();
                self.loss_under(&requirements, |_| false, newest).or_else(|| {
                    let moved = lasts && self.is_moved_from(requirements.app());
                    moved.then_some(Loss::Upstream)
                })
            }
            None => Some(Loss::Access),
        }
    }

    /// `is_known`: the person was allowed before, and nothing has changed. `read`: the person as the
    /// configuration of these rules reads the claims.
    fn loss_under(
        &self,
        requirements: &Requirements,
        is_known: impl Fn(&Caller) -> bool,
        read: impl Fn(&Caller) -> Arc<Person>,
    ) -> Option<Loss> {
        let is_public = requirements.are_public();
        let Some(caller) = &self.caller else { return (!is_public).then_some(Loss::Session) };
        if is_public && !self.binds_identity {
            None
        } else if caller.session.is_over() {
            Some(Loss::Session)
        } else if is_public
            || is_known(caller)
            || requirements.admit_session(&caller.session, &read(caller))
        {
            None
        } else {
            Some(Loss::Access)
        }
    }

    /// The app of the request as it is in force; `None` if a reload has changed what it takes.
    pub(crate) fn newest_app(&self, app: &Arc<RoutedApp>) -> Option<Arc<RoutedApp>> {
        if !self.asked.is_stale() {
            return Some(Arc::clone(app));
        }
        let again = self.asked.judged_like(&self.requirements)?;
        Some(Arc::clone(again.app()))
    }

    /// What the routes in force require; `None` if another app, or none, has the path now, or if no frame
    /// may show the app any more.
    fn judged_again(&self) -> Option<Requirements> {
        self.asked.judge().filter(|again| self.leads_to(again.app()))
    }

    /// Whether an app is that of the request, and all sites that could frame it still can if a frame has
    /// sent the request.
    fn leads_to(&self, newest: &RoutedApp) -> bool {
        let may_frame = || match (&self.app().embedding, &newest.embedding) {
            (Some(before), Some(newest)) => newest.cookie.allows(&before.cookie.origins),
            _ => false,
        };
        newest.name == self.app().name && (!self.in_frame || may_frame())
    }

    /// The name of the person.
    pub(super) fn user(&self) -> Option<&str> {
        self.caller.as_ref().map(|caller| caller.person.user.as_str())
    }

    pub(crate) fn app(&self) -> &Arc<RoutedApp> {
        self.requirements.app()
    }

    /// Watches the right from now on.
    pub(crate) fn watch(self) -> WatchedRight {
        let session = self.caller.as_ref().map(|caller| caller.session.tunnel());
        WatchedRight { right: self, session }
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
            Attribute::Assertion => {
                before.email == now.email && before.told_groups() == now.told_groups()
            }
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
        let (right, asked) = (&self.right, &self.right.asked);
        let (mut routes, mut requirements) =
            (Arc::clone(&asked.judged_by), right.requirements.clone());
        loop {
            let (newest, again) = tokio::select! {
                biased;
                loss = self.lost_under(&requirements) => return loss,
                again = asked.judged_after(&routes) => again,
            };
            match again {
                Some(again) if right.leads_to(again.app()) => {
                    if right.is_moved_from(again.app()) {
                        return right.loss().unwrap_or(Loss::Upstream);
                    }
                    requirements = again;
                }
                // Another app, or none, has the path now, or no frame may show the app.
                _ => return Loss::Access,
            }
            routes = newest;
        }
    }

    async fn lost_under(&self, requirements: &Requirements) -> Loss {
        let is_public = requirements.are_public();
        let session = self.session();
        let Some(((_, changes), session)) = self.session.as_ref().zip(session) else {
            if is_public {
                return std::future::pending().await;
            }
            return Loss::Session;
        };
        if is_public && !self.right.binds_identity {
            return std::future::pending().await;
        }
        let mut changes = changes.clone();
        let lost = changes
            .wait_for(|state| match state {
                SessionState::Live(person) => !requirements.admit_session(session, person),
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
