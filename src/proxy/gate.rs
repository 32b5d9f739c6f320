//! What must be so before a request may go on: we are not stopping, the issuer is right, the app
//! is ready.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use http::StatusCode;
use tokio::sync::watch;

use super::forward::Answered;
use super::refusal::Refusal;
use super::routes::Target;
use crate::auth::IssuerState;
use crate::config::{AppName, Config, Phase};

/// The gate in front of everything that needs the issuer. Once open, it stays open.
#[derive(Debug)]
pub(super) struct Gate {
    issuer: Option<watch::Receiver<IssuerState>>,
    /// The app that is the issuer.
    served_by: Option<AppName>,
    apps: Vec<AppState>,
    opened: AtomicBool,
    stopping: AtomicBool,
}

/// An app, routed or not, as probes and operators see it.
#[derive(Debug)]
pub(super) struct AppState {
    /// Its name.
    pub name: AppName,
    /// We are not ready without it.
    pub critical: bool,
    phase: Option<watch::Receiver<Phase>>,
}

impl AppState {
    /// Where it is now; what runs elsewhere counts as ready.
    pub(super) fn phase(&self) -> Phase {
        self.phase.as_ref().map_or(Phase::Ready, |phase| *phase.borrow())
    }
}

impl Gate {
    /// Without an issuer it is open.
    pub(super) fn new(
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

    /// From now on we are not ready.
    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether login works, else what is waited for.
    pub(super) fn check(&self) -> Result<(), Refusal> {
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

    /// What people wait for, in a sentence. What the issuer's address answers means something to
    /// them only once its app is up, or when it is nobody of ours.
    fn waiting_for(&self, why: &str) -> String {
        let ours = |app: &&AppState| Some(&app.name) == self.served_by.as_ref();
        let Some(app) = self.apps.iter().find(ours) else {
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

    /// The state of the issuer as a word, and why it is not right.
    pub(super) fn issuer(&self) -> Option<(&'static str, Option<String>)> {
        let issuer = self.issuer.as_ref()?;
        Some(match &*issuer.borrow() {
            IssuerState::Waiting(why) => ("waiting", Some(why.clone())),
            IssuerState::Right => ("right", None),
            IssuerState::Down(why) => ("down", Some(why.clone())),
        })
    }

    /// `/_appliance/ready`: the issuer has been right, all critical apps are ready, we do not stop.
    pub(super) fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::Relaxed)
            && self.check().is_ok()
            && self.apps.iter().all(|app| !app.critical || app.phase().is_ready())
    }

    /// All apps in the order of the file.
    pub(super) fn apps(&self) -> &[AppState] {
        &self.apps
    }
}

/// Whether an app can be asked now. Before the issuer is right only an app whose whole access is
/// public is; the issuer's own is not.
pub(super) fn readiness(gate: &Gate, target: &Target) -> Result<(), Refusal> {
    if target.is_issuer || !target.is_public() {
        gate.check()?;
    }
    let phase = target.phase();
    // Once the issuer is right it is ready, whatever its own next probe has still to say.
    if phase.is_ready() || (target.is_issuer && phase == Phase::Starting) {
        Ok(())
    } else {
        Err(Refusal::NotReady { app: target.title.clone(), phase })
    }
}

/// Hears what an issuer's app answers before its probe calls it ready. Started again, it first does
/// not listen and then turns everybody away: people get our page instead, which asks again.
pub(super) fn starting_issuer(
    target: &Target,
    sent: Result<Answered, Refusal>,
) -> Result<Answered, Refusal> {
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
