//! Runs apps at the times of their `schedule`, and restarts apps at the times of `restart_at`.

use jiff::Timestamp;

use super::log;
use super::supervisor::Supervisor;
use super::turn::Start;
use crate::config::Phase;
use crate::supervisor::life::event::Event;

impl Supervisor {
    /// When the wall clock must be looked at.
    pub(super) fn next_time(&self) -> Option<Timestamp> {
        let apps = self.apps.iter().filter(|one| !one.is_removed);
        apps.filter_map(|one| one.times.next()).min().filter(|_| self.stopping.is_none())
    }

    /// Looks at the wall clock: it shows the time of an app, or it was set.
    pub(super) fn keep_time(&mut self) {
        let now = self.clock.now();
        for index in 0..self.apps.len() {
            self.keep_warm(index, now);
            let times = &mut self.apps[index].times;
            let run = times.runs.as_mut().filter(|_| !times.is_off).and_then(|one| one.look(now));
            let restart = times.restarts.as_mut().and_then(|one| one.look(now));
            if run.is_none() && restart.is_none() {
                // Another time may be the next one now.
                self.publish(index);
                continue;
            }
            if let Some(run) = run {
                self.run_at_its_time(index, run.missed);
            }
            if restart.is_some() {
                self.restart_at_its_time(index);
            }
        }
    }

    fn run_at_its_time(&mut self, index: usize, missed: bool) {
        let one = &mut self.apps[index];
        if one.is_removed {
            return;
        }
        if one.life.is_at_rest() {
            one.times.skip_is_logged = false;
            log::runs_at_its_time(&one.app, missed);
            self.apply(index, Event::Start);
        } else {
            let again = std::mem::replace(&mut one.times.skip_is_logged, true);
            log::run_is_skipped(&one.app, one.life.phase(), again);
            self.publish(index);
        }
    }

    fn restart_at_its_time(&mut self, index: usize) {
        let one = &mut self.apps[index];
        if one.is_removed || !matches!(one.life.phase(), Phase::Ready | Phase::Unready) {
            return;
        }
        log::restarts_at_its_time(&one.app);
        if one.name().is_replica() {
            let id = one.id;
            return self.roll_one(id, Start::InTurn);
        }
        // A dependency that has failed since must not keep the app down.
        one.next_start = Start::InTurn;
        self.apply(index, Event::Restart);
    }
}
