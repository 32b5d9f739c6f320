//! Stops apps that nobody uses, and starts them for a request or for the hours of `keep_warm`. An app
//! with several processes sleeps and wakes as a whole.

pub(super) mod company;
mod members;

use std::time::SystemTime;

use jiff::Timestamp;
use tokio::time::Instant;

use super::supervisor::Supervisor;
use super::turn::Start;
use crate::config::Phase;
use crate::supervisor::idle::nap::Nap;
use crate::supervisor::idle::rule::{Use, Verdict, judge, whole};
use crate::supervisor::life::event::{Event, Need};

impl Supervisor {
    /// What is known of the use of the app of a process, if the app may be stopped.
    fn unused(&self, members: &[usize]) -> Option<Use> {
        let nap = &self.apps[*members.first()?].nap;
        let found: Vec<_> = members.iter().map(|at| self.apps[*at].member()).collect();
        let (limit, up_since) = whole(&found)?;
        Some(Use { limit, up_since, last: nap.last(), busy: false })
    }

    /// Sets or removes the time at which the use of the app of a process is looked at.
    pub(super) fn plan_look(&mut self, index: usize) {
        let members = self.members(index);
        let unused = self.unused(&members);
        let known = self.apps[index].look_at;
        // The app may be used until then, so this is no verdict yet.
        let first = |found: Use| found.up_since.max(found.last) + found.limit;
        let at = unused.map(|found| known.unwrap_or_else(|| first(found)));
        self.set_look(index, &members, at);
    }

    fn set_look(&mut self, index: usize, members: &[usize], at: Option<Instant>) {
        // A process that is gone from the configuration is no member.
        for one in members.iter().chain([&index]) {
            self.apps[*one].look_at = at;
        }
    }

    /// When the use of an app is looked at next.
    pub(super) fn next_look(&self) -> Option<Instant> {
        let looks = self.apps.iter().filter_map(|one| one.look_at);
        looks.min().filter(|_| self.stopping.is_none())
    }

    /// Stops the app of a process, with all its processes, if nobody uses it.
    pub(super) fn look_at_use(&mut self, index: usize) {
        let now = Instant::now();
        if self.stopping.is_some() || self.apps[index].look_at.is_none_or(|due| now < due) {
            return;
        }
        let members = self.members(index);
        let Some(found) = self.unused(&members) else {
            return self.set_look(index, &members, None);
        };
        // `is_busy` first: what ends meanwhile is part of `last` then.
        let verdict = |nap: &Nap| {
            let busy = nap.is_busy();
            judge(&Use { busy, last: nap.last(), ..found }, now)
        };
        if let Verdict::LookAt(due) = verdict(&self.apps[index].nap) {
            return self.set_look(index, &members, Some(due));
        }
        // From here on, no request counts on the app. One that has done so shortly before is seen.
        self.show_as(index, Some(Phase::Stopping));
        if let Verdict::LookAt(due) = verdict(&self.apps[index].nap) {
            self.show_as(index, None);
            return self.set_look(index, &members, Some(due));
        }
        for at in &members {
            let one = &mut self.apps[*at];
            if matches!(one.life.phase(), Phase::Ready | Phase::Unready) {
                one.since = SystemTime::now();
            }
            one.next_start = Start::InOrder;
        }
        self.apply_to_all(&members, Event::Sleep);
    }

    /// Starts the apps that requests need.
    pub(super) fn answer_requests(&mut self) {
        for index in 0..self.apps.len() {
            if self.apps[index].nap.take_wanted() {
                for member in self.members(index) {
                    self.wake(member, Need::Request);
                }
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
            one.nap.note_use(Instant::now());
        }
    }
}
