//! Stops apps that nobody uses, and starts them for a request or for the hours of `keep_warm`.

use jiff::Timestamp;
use tokio::time::Instant;

use super::supervised::Supervised;
use super::supervisor::Supervisor;
use crate::config::{Phase, Sleeper as _};
use crate::supervisor::idle::rule::{Use, Verdict, judge};
use crate::supervisor::life::event::{Event, Need};

impl Supervised {
    /// What is known of the use of an app that may be stopped; `None` if the app is not up or must
    /// run.
    fn unused(&self) -> Option<Use> {
        let limit = self.app.idle_stop.filter(|_| !self.times.is_warm() && !self.is_removed)?;
        let is_up = matches!(self.life.phase(), Phase::Ready | Phase::Unready);
        let (last, busy) = (self.nap.last(), false);
        is_up.then_some(Use { limit, up_since: self.up_since, last, busy })
    }

    /// Sets or removes the time at which the use of the app is looked at.
    pub(super) fn plan_look(&mut self) {
        let unused = self.unused();
        // The app may be used until then, so this is no verdict yet.
        let first = |found: Use| found.up_since.max(found.last) + found.limit;
        self.look_at = unused.map(|found| self.look_at.unwrap_or_else(|| first(found)));
    }
}

impl Supervisor {
    /// When the use of an app is looked at next.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let looks = self.apps.iter().filter_map(|one| one.look_at);
        looks.min().filter(|_| self.stopping.is_none())
    }

    /// Stops the app if nobody uses it.
    pub(super) fn look_at_use(&mut self, index: usize) {
        let now = Instant::now();
        let one = &mut self.apps[index];
        if self.stopping.is_some() || one.look_at.is_none_or(|due| now < due) {
            return;
        }
        let Some(found) = one.unused() else {
            one.look_at = None;
            return;
        };
        // `is_busy` first: what ends meanwhile is part of `last` then.
        let verdict = |one: &Supervised| {
            let busy = one.nap.is_busy();
            judge(&Use { busy, last: one.nap.last(), ..found }, now)
        };
        if let Verdict::LookAt(due) = verdict(one) {
            one.look_at = Some(due);
            return;
        }
        // From here on, no request counts on the app. One that has done so shortly before is seen.
        let before = one.phase.send_replace(Phase::Stopping);
        if let Verdict::LookAt(due) = verdict(one) {
            one.phase.send_replace(before);
            one.look_at = Some(due);
            return;
        }
        one.since = std::time::SystemTime::now();
        self.apply(index, Event::Sleep);
    }

    /// Starts the apps that requests need.
    pub(super) fn answer_requests(&mut self) {
        for index in 0..self.apps.len() {
            if self.apps[index].nap.take_wanted() {
                self.wake(index, Need::Request);
            }
        }
    }

    fn wake(&mut self, index: usize, need: Need) {
        if self.stopping.is_none() && !self.apps[index].is_removed {
            self.apply(index, Event::Wake(need));
        }
    }

    /// Starts the app if it is in the hours of its `keep_warm`, and lets it rest after them.
    pub(super) fn keep_warm(&mut self, index: usize, now: Timestamp) {
        let times = &mut self.apps[index].times;
        times.look_at_hours(now);
        if times.is_warm() {
            self.wake(index, Need::Hours);
        }
    }

    /// The apps were suspended as well, and nobody could use them.
    pub(super) fn forgive_unused(&mut self) {
        for one in self.apps.iter_mut().filter(|one| one.look_at.is_some()) {
            one.nap.used(Instant::now());
        }
    }
}
