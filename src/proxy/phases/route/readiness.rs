//! Whether a request can be served now: the appliance is not stopping, the issuer is up, and the
//! app is ready.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Response, StatusCode};
use tokio::sync::watch;

use super::routed_app::RoutedApp;
use crate::auth::IssuerState;
use crate::config::{AppName, Config, Phase};
use crate::proxy::answer::refusal::Refusal;
use crate::texts::{Message, Text};

/// Opens when the issuer's discovery document is valid for the first time, and then stays open. While
/// the gate is shut, requests that may need a login get 503.
#[derive(Debug)]
pub(crate) struct Gate {
    issuer: Option<watch::Receiver<IssuerState>>,
    /// The app that is the issuer.
    served_by: Option<AppName>,
    apps: Vec<AppState>,
    opened: AtomicBool,
    /// Shared by the gates of all configurations.
    stopping: Arc<AtomicBool>,
}

/// The state of an app, with or without a route, for the probes and the operator page.
#[derive(Debug)]
pub(crate) struct AppState {
    /// The app's name.
    pub name: AppName,
    /// `/_appliance/ready` answers 503 while this app is not ready.
    pub critical: bool,
    /// The app has an `idle_stop`.
    sleeps: bool,
    phase: Option<watch::Receiver<Phase>>,
}

impl AppState {
    /// The current phase; an app that runs elsewhere counts as ready.
    pub(crate) fn phase(&self) -> Phase {
        self.phase.as_ref().map_or(Phase::Ready, |phase| *phase.borrow())
    }
}

impl Gate {
    /// A shut gate, or an open one if no issuer is configured. `before`: the gate that it replaces.
    pub(crate) fn new(
        config: &Config,
        issuer: Option<watch::Receiver<IssuerState>>,
        phases: &HashMap<AppName, watch::Receiver<Phase>>,
        before: Option<&Self>,
    ) -> Self {
        let apps = config.apps.iter().map(|app| AppState {
            name: app.name.clone(),
            critical: app.critical,
            sleeps: app.idle_stop.is_some(),
            phase: phases.get(&app.name).cloned(),
        });
        Self {
            opened: AtomicBool::new(issuer.is_none()),
            stopping: before.map(|gate| Arc::clone(&gate.stopping)).unwrap_or_default(),
            served_by: config.oidc.as_ref().and_then(|oidc| oidc.served_by.clone()),
            apps: apps.collect(),
            issuer,
        }
    }

    /// Marks the appliance as stopping: `/_appliance/ready` answers 503 from now on.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Checks that the gate is open.
    ///
    /// # Errors
    ///
    /// The gate is shut: the refusal says why nobody can sign in yet.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.opened.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.issuer.as_ref().map(|issuer| issuer.borrow()).as_deref() {
            Some(IssuerState::Waiting(why)) => {
                let (message, in_progress) = self.waiting_message(why);
                Err(Refusal::Starting { message, reason: why.clone(), in_progress })
            }
            Some(IssuerState::Right | IssuerState::Down(_)) | None => {
                self.opened.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// A sentence for people that says why nobody can sign in yet, and whether the sign-in service is
    /// on its way up. While the issuer's app is starting, the phase of the app says more than the
    /// response of its address.
    fn waiting_message(&self, why: &str) -> (Message, bool) {
        let waited_for = || Text::IssuerWaitedFor.with("reason", why);
        let is_issuer = |app: &&AppState| Some(&app.name) == self.served_by.as_ref();
        let Some(app) = self.apps.iter().find(is_issuer) else { return (waited_for(), true) };
        let of_app = |text: Text| text.with("app", app.name.as_str());
        let message = match app.phase() {
            Phase::Waiting | Phase::Setup => of_app(Text::IssuerSetup),
            Phase::Starting => of_app(Text::IssuerStarting),
            Phase::Backoff => of_app(Text::IssuerRestarting),
            Phase::Failed | Phase::Stopped | Phase::Idle => {
                return (of_app(Text::IssuerNotRunning), false);
            }
            Phase::Ready | Phase::Unready | Phase::Stopping | Phase::Finished => waited_for(),
        };
        (message, true)
    }

    /// The state of the issuer as the word of `/_appliance/ready`, and the reason if nobody can sign
    /// in. `None` if no issuer is configured.
    pub(crate) fn issuer(&self) -> Option<(&'static str, Option<String>)> {
        let issuer = self.issuer.as_ref()?;
        Some(match &*issuer.borrow() {
            IssuerState::Waiting(why) => ("waiting", Some(why.clone())),
            IssuerState::Right => ("right", None),
            IssuerState::Down(why) => ("down", Some(why.clone())),
        })
    }

    /// Whether `/_appliance/ready` answers 200: the gate is open, all critical apps are ready, and the
    /// appliance is not stopping.
    pub(crate) fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
            && self.check().is_ok()
            && self.apps.iter().all(|app| !app.critical || app.phase().is_available(app.sleeps))
    }

    /// All apps in the order of the configuration file.
    pub(crate) fn apps(&self) -> &[AppState] {
        &self.apps
    }
}

/// Checks that requests to an app are served at all. While the gate is shut, only an app whose whole
/// access is public is served; the issuer's app never is.
pub(crate) fn check_gate(gate: &Gate, app: &RoutedApp) -> Result<(), Refusal> {
    if app.is_issuer || !app.is_public() { gate.check() } else { Ok(()) }
}

/// Checks that an app can respond now. The refusal names the app, so this comes after the check that
/// the caller has access.
pub(crate) fn check_app(app: &RoutedApp) -> Result<(), Refusal> {
    let phase = app.phase();
    if phase.is_ready() { Ok(()) } else { Err(not_ready(app, phase)) }
}

/// The refusal of a request to an app in a phase in which it cannot respond.
pub(super) fn not_ready(app: &RoutedApp, phase: Phase) -> Refusal {
    Refusal::NotReady { app: app.title.clone(), phase }
}

/// Replaces the responses of the issuer's app while that app starts again. At first it does not
/// listen, then it sends 503 to every request; people get the page that refreshes itself instead.
pub(crate) fn replace_response_of_starting_issuer<B, C>(
    app: &RoutedApp,
    sent: Result<(Response<B>, C), Refusal>,
) -> Result<(Response<B>, C), Refusal> {
    let turned_away = match &sent {
        Ok((response, _)) => response.status() == StatusCode::SERVICE_UNAVAILABLE,
        Err(refusal) => matches!(refusal, Refusal::Upstream { .. }),
    };
    let phase = app.phase();
    if turned_away && app.is_issuer && !phase.is_ready() {
        return Err(not_ready(app, phase));
    }
    sent
}
