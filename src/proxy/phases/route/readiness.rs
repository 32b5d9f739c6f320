//! Whether a request can be served now: the appliance is not stopping, the issuer is up, and the
//! app is ready.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use http::{Response, StatusCode};
use tokio::sync::watch;

use super::target::Target;
use crate::auth::IssuerState;
use crate::config::{AppName, Config, Phase};
use crate::proxy::answer::refusal::Refusal;

/// Opens when the issuer's discovery document is right for the first time, and then stays open.
/// Everything that needs a login waits for it.
#[derive(Debug)]
pub(crate) struct Gate {
    issuer: Option<watch::Receiver<IssuerState>>,
    /// The app that is the issuer.
    served_by: Option<AppName>,
    apps: Vec<AppState>,
    opened: AtomicBool,
    stopping: AtomicBool,
}

/// An app, routed or not, as probes and operators see it.
#[derive(Debug)]
pub(crate) struct AppState {
    /// The app's name.
    pub name: AppName,
    /// The appliance is not ready without it.
    pub critical: bool,
    phase: Option<watch::Receiver<Phase>>,
}

impl AppState {
    /// The current phase; an app that runs elsewhere counts as ready.
    pub(crate) fn phase(&self) -> Phase {
        self.phase.as_ref().map_or(Phase::Ready, |phase| *phase.borrow())
    }
}

impl Gate {
    /// A gate that is open from the start when no issuer is configured.
    pub(crate) fn new(
        config: &Config,
        issuer: Option<watch::Receiver<IssuerState>>,
        phases: &HashMap<AppName, watch::Receiver<Phase>>,
    ) -> Self {
        let apps = config.apps.iter().map(|app| AppState {
            name: app.name.clone(),
            critical: app.critical,
            phase: phases.get(&app.name).cloned(),
        });
        Self {
            opened: AtomicBool::new(issuer.is_none()),
            stopping: AtomicBool::new(false),
            served_by: config.oidc.as_ref().and_then(|oidc| oidc.served_by.clone()),
            apps: apps.collect(),
            issuer,
        }
    }

    /// Marks the appliance as stopping: `/_appliance/ready` answers 503 from now on.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether people can sign in; if not, what they wait for.
    pub(crate) fn check(&self) -> Result<(), Refusal> {
        if self.opened.load(Ordering::Relaxed) {
            return Ok(());
        }
        match self.issuer.as_ref().map(|issuer| issuer.borrow()).as_deref() {
            Some(IssuerState::Waiting(why)) => {
                Err(Refusal::Starting { told: self.waiting_for(why), why: why.clone() })
            }
            Some(IssuerState::Right | IssuerState::Down(_)) | None => {
                self.opened.store(true, Ordering::Relaxed);
                Ok(())
            }
        }
    }

    /// What people wait for, in a sentence. While the issuer's app is starting, its state tells more
    /// than what its address answers.
    fn waiting_for(&self, why: &str) -> String {
        let is_issuer = |app: &&AppState| Some(&app.name) == self.served_by.as_ref();
        let Some(app) = self.apps.iter().find(is_issuer) else {
            return format!("The sign-in service is not ready yet: {why}.");
        };
        let name = &app.name;
        match app.phase() {
            Phase::Waiting => {
                format!(
                    "{name}, the sign-in service, is being set up. The first time takes some minutes."
                )
            }
            Phase::Starting => format!("{name}, the sign-in service, is starting."),
            Phase::Backoff => format!("{name}, the sign-in service, ended and is started again."),
            Phase::Failed | Phase::Stopped => format!(
                "{name}, the sign-in service, does not run. Its lines in the log say why; \
                 `appliance start {name}` tries again."
            ),
            Phase::Ready | Phase::Unready | Phase::Stopping | Phase::Finished => {
                format!("The sign-in service is not ready yet: {why}.")
            }
        }
    }

    /// The state of the issuer as a word, and the reason if it is not up.
    pub(crate) fn issuer(&self) -> Option<(&'static str, Option<String>)> {
        let issuer = self.issuer.as_ref()?;
        Some(match &*issuer.borrow() {
            IssuerState::Waiting(why) => ("waiting", Some(why.clone())),
            IssuerState::Right => ("right", None),
            IssuerState::Down(why) => ("down", Some(why.clone())),
        })
    }

    /// `/_appliance/ready`: the gate is open, all critical apps are ready, and no stop has begun.
    pub(crate) fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
            && self.check().is_ok()
            && self.apps.iter().all(|app| !app.critical || app.phase().is_ready())
    }

    /// All apps in the order of the file.
    pub(crate) fn apps(&self) -> &[AppState] {
        &self.apps
    }
}

/// Whether an app can serve requests now. Before the gate is open only apps that are public as a
/// whole can; the issuer's app cannot.
pub(crate) fn readiness(gate: &Gate, target: &Target) -> Result<(), Refusal> {
    if target.is_issuer || !target.is_public() {
        gate.check()?;
    }
    let phase = target.phase();
    if phase.is_ready() {
        Ok(())
    } else {
        Err(Refusal::NotReady { app: target.title.clone(), phase })
    }
}

/// Replaces the answers of an issuer's app that is starting again. It first does not listen and then
/// answers 503 to everyone; people get the starting page instead, which refreshes itself.
pub(crate) fn starting_issuer<B, C>(
    target: &Target,
    sent: Result<(Response<B>, C), Refusal>,
) -> Result<(Response<B>, C), Refusal> {
    let turned_away = match &sent {
        Ok((response, _)) => response.status() == StatusCode::SERVICE_UNAVAILABLE,
        Err(refusal) => matches!(refusal, Refusal::Upstream { .. }),
    };
    let phase = target.phase();
    if turned_away && target.is_issuer && !phase.is_ready() {
        return Err(Refusal::NotReady { app: target.title.clone(), phase });
    }
    sent
}
