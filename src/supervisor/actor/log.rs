//! What the supervisor says about its apps in the log.

use std::time::Duration;

use crate::config::{App, Phase, ProbeKind};
use crate::supervisor::life::action::Note;
use crate::supervisor::process::spawn_error::SpawnError;

/// A process that could not be started.
pub(super) fn not_started(app: &App, error: &SpawnError) {
    let app = &app.name;
    tracing::error!(%app, %error, "app could not be started");
}

/// An app that waits for one that has ended for good.
pub(super) fn waits_in_vain(app: &App, ended: &App, phase: Phase) {
    let (app, ended) = (&app.name, &ended.name);
    if phase == Phase::Failed {
        tracing::error!(%app, waits_for = %ended, "app will not start: what it waits for has failed");
    } else {
        tracing::warn!(%app, waits_for = %ended, "app will not start: what it waits for is stopped");
    }
}

/// A turn in the life of an app. `heard`: what a probe of it heard last that was no yes.
pub(super) fn note(app: &App, note: Note, heard: String) {
    let name = &app.name;
    match note {
        Note::Ready { after } => tracing::info!(app = %name, after = %brief(after), "app ready"),
        Note::ReadyAgain => tracing::info!(app = %name, "app ready again"),
        Note::Unready => tracing::warn!(app = %name, heard, "app not ready any more"),
        Note::Late(deadline) => {
            let deadline = brief(deadline);
            let heard = if heard.is_empty() { unheard(app).unwrap_or_default() } else { heard };
            tracing::warn!(app = %name, %deadline, heard, "app was not ready in time and is ended");
        }
        Note::Hangs(failures) => {
            tracing::warn!(app = %name, failures, heard, "app's live probe fails, it is ended");
        }
        Note::Killed => tracing::warn!(app = %name, "app did not stop in time and is killed"),
        Note::Undead => {
            tracing::error!(app = %name, "app is still there after it was killed");
        }
        Note::Restarts { after } => {
            tracing::warn!(app = %name, after = %brief(after), "app will be restarted");
        }
        Note::Stopped => tracing::info!(app = %name, "app stopped"),
        Note::Finished => tracing::info!(app = %name, "app finished"),
        Note::Failed { exit: Some(exit), why } => {
            tracing::error!(app = %name, %exit, why, critical = app.critical, "app failed for good");
        }
        Note::Failed { exit: None, why } => {
            tracing::error!(app = %name, why, critical = app.critical, "app failed for good");
        }
    }
}

/// What did not come from an app that says by itself that it is ready.
fn unheard(app: &App) -> Option<String> {
    match &app.ready.as_ref()?.kind {
        ProbeKind::Log(pattern) => Some(format!("no line that matches {pattern}")),
        ProbeKind::Notify(_) => Some("no notification".to_owned()),
        ProbeKind::Http { .. } | ProbeKind::Tcp(_) | ProbeKind::Exec(_) => None,
    }
}

/// A duration as people read it: to the millisecond, a long one less exactly.
pub(super) fn brief(duration: Duration) -> humantime::FormattedDuration {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let step = match ms {
        0..1_000 => 1,
        1_000..10_000 => 100,
        _ => 1_000,
    };
    humantime::format_duration(Duration::from_millis(ms / step * step))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_durations_are_told_less_exactly() {
        for (ms, told) in [(7, "7ms"), (1_868, "1s 800ms"), (33_268, "33s"), (60_000, "1m")] {
            assert_eq!(brief(Duration::from_millis(ms)).to_string(), told);
        }
    }
}
