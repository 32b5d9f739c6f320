//! The stop: first the proxy, then the apps, the log last, within one budget.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::auth::Auth;
use crate::config::Config;
use crate::proxy::RunningProxy;
use crate::supervisor::signals::{Received, Signals};
use crate::supervisor::{Handle, Reaper, sweep};
use crate::telemetry::LogHandle;

/// Part of the budget that the proxy may not use. Keycloak needs more than a second to store its
/// sessions, and a fresh login that is not stored is lost (measured).
const KEPT_FOR_APPS: Duration = Duration::from_secs(4);
/// After a second signal: time for killed processes to disappear.
const KEPT_FOR_KILLS: Duration = Duration::from_millis(500);
/// After the apps: time for the last lines of the log.
pub(super) const KEPT_FOR_LOG: Duration = Duration::from_millis(300);
/// After a failure: time for the first attempt to send the alert about it.
const KEPT_FOR_ALERTS: Duration = Duration::from_secs(1);

/// Everything that runs and must be ended.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) supervisor: Handle,
    pub(super) reaper: Reaper,
    /// Replaced by a reload.
    pub(super) auth: Option<watch::Receiver<Arc<Auth>>>,
    /// The task that watches the issuer; it must not end by itself.
    pub(super) watching: Option<JoinHandle<()>>,
    pub(super) serving: RunningProxy,
    /// The alerts that have not been tried once.
    pub(super) untried_alerts: TaskTracker,
    pub(super) stopping: watch::Sender<bool>,
    pub(super) log: LogHandle,
    /// The configuration in force.
    pub(super) config: watch::Receiver<Arc<Config>>,
    /// Notified by a signal that requests a reload.
    pub(super) reload: Arc<Notify>,
}

impl Running {
    /// Returns the name of a task that ended without a request. This is a bug; the appliance then
    /// stops in order.
    pub(super) async fn ended_task(&mut self) -> &'static str {
        let watching = async {
            match &mut self.watching {
                Some(watching) => drop(watching.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.serving.failed() => "a worker of the proxy ended unexpectedly",
            () = watching => "the task that watches the issuer ended unexpectedly",
        }
    }
}

/// How a run ends: the exit code, and the reason for a code other than 0.
#[derive(Debug)]
pub(super) struct End {
    pub(super) code: u8,
    pub(super) why: String,
    /// Whether a signal requested the stop.
    asked: bool,
}

impl End {
    pub(super) fn asked() -> Self {
        Self { code: 0, why: String::new(), asked: true }
    }

    pub(super) fn failed(code: u8, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), asked: false }
    }

    /// Returns when a signal requests an end at once: the second stop signal. If the stop has
    /// another reason, the first signal only confirms it.
    async fn asked_again(&mut self, signals: &mut Signals) {
        if !self.asked {
            asked_to_stop(signals).await;
            info!("asked to stop: already stopping");
            self.asked = true;
        }
        asked_to_stop(signals).await;
    }
}

/// Stops everything in order within the budget; a second signal ends it at once.
pub(super) async fn stop(
    running: Running,
    mut supervising: Option<JoinHandle<()>>,
    signals: &mut Signals,
    mut end: End,
) -> u8 {
    let config = running.config.borrow().clone();
    let budget = config.server.shutdown_timeout;
    // Without processes, the proxy may use the whole budget.
    let childless = config.apps.iter().all(|app| app.run.is_none());
    let deadline = Instant::now() + budget;
    if end.code != 0 {
        error!(code = end.code, why = end.why, "stopping");
    }
    running.stopping.send_replace(true);
    let (at_once, hurried) = oneshot::channel::<()>();
    let orderly = async {
        let for_apps = if childless { KEPT_FOR_LOG } else { KEPT_FOR_APPS.min(budget / 2) };
        running.serving.drain(budget.saturating_sub(for_apps)).await;
        let auth = running.auth.as_ref().map(|auth| auth.borrow().clone());
        if let Some(auth) = auth {
            auth.close().await;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(supervising) = &mut supervising {
            running.supervisor.stop_all(left);
            let _ = supervising.await;
        } else {
            // Processes of an interrupted setup, or of a supervisor that failed.
            let grace = left.saturating_sub(KEPT_FOR_KILLS + KEPT_FOR_LOG);
            sweep(&running.reaper, grace, hurried.map(drop)).await;
        }
    };
    let mut orderly = std::pin::pin!(orderly);
    let mut for_log = tokio::select! {
        () = &mut orderly => deadline.saturating_duration_since(Instant::now()),
        () = end.asked_again(signals) => {
            warn!("asked to stop again: ending at once");
            running.supervisor.kill_all();
            let _ = at_once.send(());
            let _ = tokio::time::timeout(KEPT_FOR_KILLS, orderly).await;
            Duration::ZERO
        }
    };
    if !end.asked {
        let for_alerts = KEPT_FOR_ALERTS.min(for_log.saturating_sub(KEPT_FOR_LOG));
        let began = Instant::now();
        running.untried_alerts.close();
        let _ = tokio::time::timeout(for_alerts, running.untried_alerts.wait()).await;
        for_log = for_log.saturating_sub(began.elapsed());
    }
    close(&running.log, for_log, signals, &mut end).await;
    end.code
}

/// Writes the rest of the log. The last line has the reason of the end, because people look at the
/// last line first.
async fn close(log: &LogHandle, budget: Duration, signals: &mut Signals, end: &mut End) {
    tokio::select! {
        () = log.flush(budget.saturating_sub(KEPT_FOR_LOG).max(KEPT_FOR_LOG)) => {}
        () = end.asked_again(signals) => warn!("asked to stop again: the log may be incomplete"),
    }
    let End { code, why, .. } = end;
    if *code == 0 {
        info!(code, "the appliance ends");
    } else {
        error!(code, why, "the appliance ends");
    }
    log.flush(KEPT_FOR_LOG).await;
}

/// Returns when a signal requests the stop. Nothing can be reloaded now.
pub(super) async fn asked_to_stop(signals: &mut Signals) {
    asked_to_stop_or(signals, || warn!("nothing can be reloaded now")).await;
}

/// The same; a signal that requests a reload is passed on.
pub(super) async fn asked_to_stop_or(signals: &mut Signals, reload: impl Fn()) {
    loop {
        match signals.recv().await {
            Received::Stop => return,
            Received::Reload => reload(),
            Received::Ignored => {}
        }
    }
}
