//! The orderly end: the front door first, then the apps, the log last, inside one budget.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tracing::{error, info, warn};

use crate::auth::Auth;
use crate::proxy::RunningProxy;
use crate::supervisor::signals::{Received, Signals};
use crate::supervisor::{Handle, Reaper, sweep};
use crate::telemetry::LogHandle;

/// What the front door may not use of a stop's budget: Keycloak needs more than a second to write
/// its sessions down, and a session that it has not written is lost (measured: a fresh login).
const KEPT_FOR_APPS: Duration = Duration::from_secs(4);
/// After a second signal: for what was killed to be gone.
const KEPT_FOR_KILLS: Duration = Duration::from_millis(500);
/// After the apps: for the last lines of the log.
pub(super) const KEPT_FOR_LOG: Duration = Duration::from_millis(300);

/// Everything that is running, so that it can be ended.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) supervisor: Handle,
    pub(super) reaper: Reaper,
    pub(super) auth: Option<Arc<Auth>>,
    /// The task that watches the issuer; it never ends by itself.
    pub(super) watching: Option<JoinHandle<()>>,
    pub(super) serving: RunningProxy,
    pub(super) stopping: watch::Sender<bool>,
    pub(super) log: LogHandle,
    pub(super) budget: Duration,
    /// No app is a process of ours: the whole budget is the front door's.
    pub(super) childless: bool,
}

impl Running {
    /// Returns what has ended although nobody asked it to: a bug, after which we stop in order.
    pub(super) async fn broken(&mut self) -> &'static str {
        let watching = async {
            match &mut self.watching {
                Some(watching) => drop(watching.await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.serving.failed() => "a worker of the front door ended by itself",
            () = watching => "the watch over the issuer ended by itself",
        }
    }
}

/// How a run ends: the exit code, and why it is not 0.
#[derive(Debug)]
pub(super) struct End {
    pub(super) code: u8,
    pub(super) why: String,
    /// A signal has asked for it.
    asked: bool,
}

impl End {
    pub(super) fn asked() -> Self {
        Self { code: 0, why: String::new(), asked: true }
    }

    pub(super) fn failed(code: u8, why: impl Into<String>) -> Self {
        Self { code, why: why.into(), asked: false }
    }

    /// Returns when a signal asks for an end at once: the second, also where the first asks only
    /// for what is on its way already.
    async fn asked_again(&mut self, signals: &mut Signals) {
        if !self.asked {
            asked_to_stop(signals).await;
            info!("asked to stop: that is on its way");
            self.asked = true;
        }
        asked_to_stop(signals).await;
    }
}

/// The orderly end, inside one budget; a second signal ends it at once.
pub(super) async fn stop(
    running: Running,
    mut supervising: Option<JoinHandle<()>>,
    signals: &mut Signals,
    mut end: End,
) -> u8 {
    let deadline = Instant::now() + running.budget;
    if end.code != 0 {
        error!(code = end.code, why = end.why, "stopping");
    }
    running.stopping.send_replace(true);
    let (at_once, hurried) = oneshot::channel::<()>();
    let orderly = async {
        let for_apps =
            if running.childless { KEPT_FOR_LOG } else { KEPT_FOR_APPS.min(running.budget / 2) };
        running.serving.drain(running.budget.saturating_sub(for_apps)).await;
        if let Some(auth) = &running.auth {
            auth.close().await;
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if let Some(supervising) = &mut supervising {
            running.supervisor.stop_all(left);
            let _ = supervising.await;
        } else {
            // Of a setup that was broken off, or of a supervisor that failed.
            let grace = left.saturating_sub(KEPT_FOR_KILLS + KEPT_FOR_LOG);
            sweep(&running.reaper, grace, hurried.map(drop)).await;
        }
    };
    let mut orderly = std::pin::pin!(orderly);
    let for_log = tokio::select! {
        () = &mut orderly => deadline.saturating_duration_since(Instant::now()),
        () = end.asked_again(signals) => {
            warn!("asked again: ending at once");
            running.supervisor.kill_all();
            let _ = at_once.send(());
            let _ = tokio::time::timeout(KEPT_FOR_KILLS, orderly).await;
            Duration::ZERO
        }
    };
    close(&running.log, for_log, signals, &mut end).await;
    end.code
}

/// Writes what is left to be said. The last line says why we end: it is what people look at first.
async fn close(log: &LogHandle, budget: Duration, signals: &mut Signals, end: &mut End) {
    tokio::select! {
        () = log.flush(budget.saturating_sub(KEPT_FOR_LOG).max(KEPT_FOR_LOG)) => {}
        () = end.asked_again(signals) => warn!("asked again: the log may be incomplete"),
    }
    let End { code, why, .. } = end;
    if *code == 0 {
        info!(code, "the appliance ends");
    } else {
        error!(code, why, "the appliance ends");
    }
    log.flush(KEPT_FOR_LOG).await;
}

/// Returns when a signal asks for the end.
pub(super) async fn asked_to_stop(signals: &mut Signals) {
    loop {
        match signals.recv().await {
            Received::Stop => return,
            Received::Reload => warn!("reload is not supported: restart the appliance instead"),
            Received::Ignored => {}
        }
    }
}
