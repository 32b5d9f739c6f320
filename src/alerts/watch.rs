//! The task that turns troubles of apps and outages of the issuer into alerts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, interval, sleep_until};
use tokio_util::task::TaskTracker;

use super::alert::Alert;
use super::throttle::Throttle;
use super::webhook::Webhook;
use crate::auth::IssuerState;
use crate::supervisor::Incident;
use crate::tls::Front;

/// An issuer that is not ready for this long after the start counts as down.
const LONGEST_START: Duration = Duration::from_mins(2);

/// Time between two looks at the certificates.
const DAY: Duration = Duration::from_hours(24);

/// What the alerts are about.
#[derive(Debug)]
pub struct Subjects {
    /// The troubles of apps.
    pub incidents: broadcast::Receiver<Incident>,
    /// The issuer, if people sign in.
    pub issuer: Option<watch::Receiver<IssuerState>>,
    /// The certificates.
    pub front: watch::Receiver<Option<Arc<Front>>>,
    /// Whether the appliance stops: then apps and the issuer end as they should.
    pub stopping: watch::Receiver<bool>,
}

/// Sends alerts to the webhook in force.
#[derive(Debug)]
pub struct Alerts {
    webhook: watch::Receiver<Option<Arc<Webhook>>>,
    throttle: Throttle,
    /// The alerts that have not been tried once.
    untried: TaskTracker,
}

impl Alerts {
    /// Alerts for the webhook in force; a reload replaces it.
    pub fn new(webhook: watch::Receiver<Option<Arc<Webhook>>>) -> Self {
        Self { webhook, throttle: Throttle::default(), untried: TaskTracker::new() }
    }

    /// Tracks the alerts that have not been tried once.
    pub fn untried(&self) -> TaskTracker {
        self.untried.clone()
    }

    /// Watches until the appliance stops.
    pub async fn run(mut self, mut subjects: Subjects) {
        let mut outages = Outages { issuer: subjects.issuer, is_down: false };
        let mut orders = Orders { fronts: subjects.front.clone(), known: None, failures: None };
        orders.look();
        let mut days = interval(DAY);
        let mut patience = Some(Instant::now() + LONGEST_START);
        loop {
            // Incidents come first: what ends the appliance is one of them.
            tokio::select! {
                biased;
                incident = subjects.incidents.recv() => match incident {
                    Ok(incident) => self.send(incident.into()),
                    Err(RecvError::Lagged(_)) => {}
                    Err(RecvError::Closed) => return,
                },
                _ = subjects.stopping.wait_for(|stopping| *stopping) => return,
                _ = days.tick() => {
                    let front = subjects.front.borrow().clone();
                    let expiring = front.map(|front| front.expiring()).unwrap_or_default();
                    // One alert for all: of several at once, only the first would be sent.
                    if let Some(alert) = Alert::of_certificates(&expiring) {
                        self.send(alert);
                    }
                }
                (names, why) = orders.next() => self.send(Alert::of_failed_order(&names, &why)),
                reason = outages.next() => {
                    patience = None;
                    self.report_issuer(&reason);
                }
                () = sleep_until(patience.unwrap_or_else(Instant::now)), if patience.is_some() => {
                    patience = None;
                    if let Some(reason) = outages.waiting() {
                        self.report_issuer(&reason);
                    }
                }
            }
        }
    }

    fn report_issuer(&mut self, reason: &str) {
        let webhook = self.webhook.borrow().clone();
        let app = webhook.as_ref().and_then(|webhook| webhook.issuer.as_deref());
        self.send(Alert::of_issuer(app, reason));
    }

    /// Sends an alert in a task of its own, if somebody wants it and it is not one too many.
    fn send(&mut self, alert: Alert) {
        let webhook = self.webhook.borrow().clone();
        let Some(webhook) = webhook.filter(|webhook| webhook.wants(alert.event)) else { return };
        if self.throttle.admits(alert.event, &alert.app, Instant::now()) {
            let untried = self.untried.token();
            tokio::spawn(async move { webhook.deliver(&alert, untried).await });
        }
    }
}

/// The orders of certificates that fail.
struct Orders {
    fronts: watch::Receiver<Option<Arc<Front>>>,
    known: Option<Arc<Front>>,
    /// The hosts of the certificate, and why its orders fail.
    failures: Option<(Vec<String>, watch::Receiver<Option<String>>)>,
}

impl Orders {
    fn look(&mut self) {
        let newest = self.fronts.borrow_and_update().clone();
        if newest.as_ref().map(Arc::as_ptr) != self.known.as_ref().map(Arc::as_ptr) {
            self.failures = newest.as_ref().and_then(|front| front.failures());
            self.known = newest;
        }
    }

    /// The next failure: the hosts, and why.
    async fn next(&mut self) -> (Vec<String>, String) {
        loop {
            let failing = async {
                let Some((names, failures)) = &mut self.failures else {
                    return std::future::pending().await;
                };
                match failures.changed().await {
                    Ok(()) => failures.borrow_and_update().clone().map(|why| (names.clone(), why)),
                    Err(_) => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = self.fronts.changed() => match changed {
                    Ok(()) => self.look(),
                    Err(_) => std::future::pending().await,
                },
                failed = failing => if let Some(failed) = failed { return failed },
            }
        }
    }
}

/// The outages of the issuer. One outage is reported once, also when its reason changes.
struct Outages {
    issuer: Option<watch::Receiver<IssuerState>>,
    is_down: bool,
}

impl Outages {
    /// The reason of the next outage.
    async fn next(&mut self) -> String {
        if let Some(issuer) = &mut self.issuer {
            while issuer.changed().await.is_ok() {
                let state = issuer.borrow_and_update();
                let was_down =
                    std::mem::replace(&mut self.is_down, matches!(&*state, IssuerState::Down(_)));
                if let (IssuerState::Down(reason), false) = (&*state, was_down) {
                    return reason.clone();
                }
            }
        }
        std::future::pending().await
    }

    /// Why the issuer has not been ready since the start.
    fn waiting(&self) -> Option<String> {
        match &*self.issuer.as_ref()?.borrow() {
            IssuerState::Waiting(reason) => Some(reason.clone()),
            IssuerState::Right | IssuerState::Down(_) => None,
        }
    }
}
