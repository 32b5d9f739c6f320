//! Changes the list of apps, and the apps themselves, while they run.
//!
//! An app whose process is replaced keeps its place in the list. The changed app waits as its
//! successor until the process has ended, so that two processes of an app never run at the same
//! time. Its dependents stay as they are.

use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::idle::company::{is_awake, nap_of};
use super::supervised::Supervised;
use super::supervisor::Supervisor;
use crate::config::{App, AppName, Phase, Probe};
use crate::supervisor::handle::CommandError;
use crate::supervisor::life::event::Event;

/// What becomes of a known app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    /// New settings are in force at once.
    Keep,
    /// The same, and the probes begin anew with their new times.
    AskAgain,
    /// The process is replaced.
    Replace,
    /// The app was removed before, its process is still ending, and it is back.
    Return,
    /// The app is gone.
    Remove,
}

impl Supervisor {
    /// See [`crate::supervisor::Handle::reconfigure`].
    pub(super) fn reconfigure(
        &mut self,
        apps: Vec<App>,
        replaced: &[AppName],
        parallel_starts: usize,
    ) -> Result<(), CommandError> {
        if self.stopping.is_some() {
            return Err(CommandError::Stopping);
        }
        self.parallel_starts = parallel_starts;
        let mut known = std::mem::take(&mut self.apps);
        let mut changes = Vec::new();
        for app in apps {
            let at = known.iter().position(|one| one.name().is_same_process(&app.name));
            let Some(mut one) = at.map(|at| known.remove(at)) else {
                let new = self.new_process(app, &known);
                self.apps.push(new);
                continue;
            };
            let is_replaced = replaced.iter().any(|name| name.as_str() == app.name.app());
            self.launcher.log.rename(one.name(), &app.name);
            let change = match (std::mem::take(&mut one.is_removed), is_replaced) {
                (true, _) => Change::Return,
                (false, true) => Change::Replace,
                (false, false) if ask_differently(&one.app, &app) => Change::AskAgain,
                (false, false) => Change::Keep,
            };
            changes.push((one.id, change));
            if change != Change::Keep && change != Change::AskAgain {
                one.preparation = None;
            }
            let is_new = matches!(change, Change::Return | Change::Replace);
            one.change(Arc::new(app), is_new, &*self.clock);
            self.apps.push(one);
        }
        for mut one in known {
            one.is_removed = true;
            (one.preparation, one.successor) = (None, None);
            changes.push((one.id, Change::Remove));
            self.apps.push(one);
        }
        self.set_order();
        self.publish_all();
        for (id, change) in changes {
            if let Some(index) = self.apps.iter().position(|one| one.id == id) {
                self.carry_out_change(index, change);
            }
        }
        let now = self.clock.now();
        for index in 0..self.apps.len() {
            self.keep_warm(index, now);
        }
        self.start_external_apps();
        Ok(())
    }

    /// A process that the configuration did not have before. `known`: the others, beside those in the
    /// list of apps.
    fn new_process(&mut self, app: App, known: &[Supervised]) -> Supervised {
        self.last_id += 1;
        let others = || known.iter().chain(&self.apps);
        let nap = nap_of(&app, others(), &self.bell);
        let mut new = Supervised::new(self.last_id, app, nap, &*self.clock);
        let others = others().filter(|one| one.belongs_with(&new));
        let phases: Vec<_> = others.map(|one| one.life.phase()).collect();
        if !phases.is_empty() && phases.iter().all(|phase| *phase == Phase::Stopped) {
            // An operator has stopped the app: its further processes stay down as well.
            new.rest();
        } else if new.life.phase() == Phase::Idle && phases.into_iter().any(is_awake) {
            new.rise();
        }
        new
    }

    fn carry_out_change(&mut self, index: usize, change: Change) {
        let others_sleep = self.sleeps_beside(index);
        let one = &mut self.apps[index];
        let is_scheduled = one.latest().schedule.is_some();
        match (change, one.life.phase()) {
            (Change::AskAgain, phase) => {
                let subject = one.subject(one.life.generation());
                let was_ready = matches!(phase, Phase::Ready | Phase::Unready);
                let asks = was_ready || phase == Phase::Starting;
                if let Some(incarnation) = one.incarnation.as_mut().filter(|_| asks) {
                    self.launcher.ask_again(&subject, incarnation, was_ready);
                }
                self.publish(index);
            }
            (Change::Remove, _) => self.apply(index, Event::Stop { within: Duration::MAX }),
            // As a new app: its restart policy is that of the earlier one.
            (Change::Replace, Phase::Stopping) if one.life.ends_by_itself() && !is_scheduled => {
                self.apply(index, Event::Start);
            }
            // An app that an operator has stopped stays down.
            (Change::Keep, _)
            | (Change::Replace, Phase::Stopped | Phase::Stopping | Phase::Idle) => {
                self.publish(index);
            }
            (Change::Replace, Phase::Starting | Phase::Ready | Phase::Unready) => {
                self.replace(index);
            }
            (Change::Replace, Phase::Setup) => {
                self.apply(index, Event::Stop { within: Duration::ZERO });
                self.apply(index, Event::Start);
            }
            // The new command is tried with the others, at the next request.
            (Change::Replace, Phase::Failed) if others_sleep => {
                one.life.await_a_need();
                self.publish(index);
            }
            // As a new app.
            (Change::Return, _) if !one.app.autostart => self.publish(index),
            // It runs at its time.
            (Change::Replace | Change::Return, _) if is_scheduled => self.publish(index),
            (Change::Replace | Change::Return, _) => self.apply(index, Event::Start),
        }
    }

    /// Forgets the apps that are gone from the configuration and have ended.
    pub(super) fn forget_removed(&mut self) {
        let has_ended = |one: &Supervised| {
            one.is_removed
                && matches!(one.life.phase(), Phase::Stopped | Phase::Failed | Phase::Finished)
        };
        if !self.apps.iter().any(has_ended) {
            return;
        }
        for one in self.apps.iter().filter(|one| has_ended(one)) {
            info!(app = %one.app.name, "app removed");
        }
        self.apps.retain(|one| !has_ended(one));
        self.set_order();
        self.publish_all();
    }
}

/// Whether the probes of two configurations of an app differ, though its process stays: in their
/// times, or in the address of an app that runs elsewhere.
fn ask_differently(before: &App, after: &App) -> bool {
    let questions = |probe: Option<&Probe>| {
        probe.map(|probe| {
            let target = format!("{:?}", probe.kind);
            (target, probe.interval, probe.timeout, probe.deadline)
        })
    };
    questions(before.ready.as_ref()) != questions(after.ready.as_ref())
        || questions(before.live.as_ref()) != questions(after.live.as_ref())
}
