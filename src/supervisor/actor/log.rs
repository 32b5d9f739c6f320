//! What the log says about apps.

use crate::config::{App, Phase, ProbeKind};
use crate::supervisor::life::action::Note;
use crate::supervisor::life::event::{Excess, Need};
use crate::supervisor::process::spawn_error::SpawnError;
pub(super) use crate::supervisor::timeline::brief;
use crate::supervisor::usage::amount;

/// The process could not be started.
pub(super) fn not_started(app: &App, error: &SpawnError) {
    let app = &app.name;
    tracing::error!(%app, %error, "app could not be started");
}

/// The app waits for another app that has ended for good.
pub(super) fn blocked(app: &App, ended: &App, phase: Phase) {
    let (app, ended) = (&app.name, &ended.name);
    if phase == Phase::Failed {
        tracing::error!(%app, waits_for = %ended, "app will not start: the app that it waits for has failed");
    } else {
        tracing::warn!(%app, waits_for = %ended, "app will not start: the app that it waits for is stopped");
    }
}

/// A scheduled app starts. `missed`: it should have run more than once since its last run.
pub(super) fn runs_at_its_time(app: &App, missed: bool) {
    let app = &app.name;
    if missed {
        tracing::warn!(%app, "app runs once for all times of its schedule that were missed: the machine slept or its clock was set");
    } else {
        tracing::info!(%app, "app runs as scheduled");
    }
}

/// A time of a schedule passes without a run. `again`: not the first one during this run.
pub(super) fn run_is_skipped(app: &App, phase: Phase, again: bool) {
    let (app, state) = (&app.name, phase.as_str());
    if again {
        tracing::debug!(%app, state, "another run of the app is skipped");
    } else {
        tracing::warn!(%app, state, "a run of the app is skipped: the one before has not ended");
    }
}

/// A restart by `restart_at`.
pub(super) fn restarts_at_its_time(app: &App) {
    tracing::info!(app = %app.name, "app is restarted as `restart_at` says");
}

/// A step in the life of an app. `reason`: the last answer of a probe that was not a success.
pub(super) fn note(app: &App, note: Note, reason: String) {
    let name = &app.name;
    match note {
        Note::Ready { after } => tracing::info!(app = %name, after = %brief(after), "app ready"),
        Note::ReadyAgain => tracing::info!(app = %name, "app ready again"),
        Note::Unready => tracing::warn!(app = %name, reason, "app no longer ready"),
        Note::Late(deadline) => {
            let deadline = brief(deadline);
            let missing = || missing_notification(app).unwrap_or_default();
            let reason = if reason.is_empty() { missing() } else { reason };
            tracing::warn!(app = %name, %deadline, reason, "app was not ready in time; ending it");
        }
        Note::Hangs(failures) => {
            tracing::warn!(app = %name, failures, reason, "live probe failed; ending the app");
        }
        Note::TooMuchMemory(excess) => {
            let reason = self::excess(excess);
            tracing::warn!(app = %name, reason, "app uses too much memory; restarting it");
        }
        Note::Killed => tracing::warn!(app = %name, "app did not stop in time; killing it"),
        Note::Unkillable => {
            tracing::error!(app = %name, "app is still running after it was killed");
        }
        Note::Restarts { after } => {
            tracing::warn!(app = %name, after = %brief(after), "app will be restarted");
        }
        Note::Stopped => tracing::info!(app = %name, "app stopped"),
        Note::Asleep => {
            tracing::info!(app = %name, "app stopped: nobody uses it, and the next request starts it");
        }
        Note::Wakes(Need::Request) => tracing::info!(app = %name, "a request starts the app"),
        Note::Wakes(Need::Hours) => tracing::info!(app = %name, "app starts as `keep_warm` says"),
        Note::Finished => tracing::info!(app = %name, "app finished"),
        Note::Failed { exit: Some(exit), why } => {
            tracing::error!(app = %name, %exit, why, critical = app.critical, "app failed for good");
        }
        Note::Failed { exit: None, why } => {
            tracing::error!(app = %name, why, critical = app.critical, "app failed for good");
        }
    }
}

/// How much an app exceeds its `max_memory`.
pub(super) fn excess(excess: Excess) -> String {
    let Excess { used, limit } = excess;
    format!("it used {} of memory, and `max_memory` is {}", amount(used), amount(limit))
}

/// What is missing from an app that reports its readiness itself.
pub(super) fn missing_notification(app: &App) -> Option<String> {
    match &app.ready.as_ref()?.kind {
        ProbeKind::Log(pattern) => Some(format!("no line matched {pattern}")),
        ProbeKind::Notify(_) => Some("no notification".to_owned()),
        ProbeKind::Http { .. } | ProbeKind::Tcp(_) | ProbeKind::Accepts(_) | ProbeKind::Exec(_) => {
            None
        }
    }
}
