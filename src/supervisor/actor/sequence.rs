//! Which app starts or stops next.

use tokio::time::Instant;

use super::log;
use super::supervised::Supervised;
use super::supervisor::Supervisor;
use super::turn::{self, Candidate, Claim, Start};
use crate::config::{Phase, Until};
use crate::supervisor::life::event::Event;
use crate::supervisor::timeline;

impl Supervisor {
    pub(super) fn is_done(&self) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| {
            let all_down = self.apps.iter().all(|supervised| !supervised.life.is_alive());
            (all_down && self.apps.iter().all(|supervised| supervised.stop_sent))
                || stopping.is_over()
        })
    }

    /// The next app that may start because its dependencies are met, or that may stop because no
    /// running app needs it. One at a time: each step may allow the next.
    pub(super) fn next_step(&self) -> Option<(usize, Event)> {
        let mut indexes = 0..self.apps.len();
        let Some(stopping) = &self.stopping else {
            let due = |index: &usize| self.apps[*index].awaits_setup();
            // Setups do not wait for dependencies: a download runs while other apps start.
            if let Some(index) = indexes.clone().find(due) {
                return Some((index, Event::SetUp));
            }
            return self.next_start();
        };
        let alive = |index: usize| self.apps[index].life.is_alive();
        let index = indexes.find(|index| {
            let free = !alive(*index) || self.order.may_stop(*index, |other| !alive(other));
            !self.apps[*index].stop_sent && free
        })?;
        Some((index, Event::Stop { within: self.order.share(index, stopping.left()) }))
    }

    /// The next app that starts, if one of the places is free for it.
    fn next_start(&self) -> Option<(usize, Event)> {
        let now = Instant::now();
        let candidates = (0..self.apps.len()).filter_map(|app| {
            let claim = self.claim(app, now)?;
            let urgency = self.order.urgency(app);
            Some(Candidate { app, claim, urgency, beside: self.starting_beside(app) })
        });
        let candidates: Vec<_> = candidates.collect();
        let app = turn::next(&candidates, self.starting(), self.parallel_starts)?;
        let restarts = self.apps[app].life.pause_end().is_some();
        Some((app, if restarts { Event::Tick } else { Event::Proceed }))
    }

    /// Why the app could start now.
    fn claim(&self, index: usize, now: Instant) -> Option<Claim> {
        let supervised = &self.apps[index];
        if let Some(since) = supervised.life.pause_end() {
            return (since <= now).then_some(Claim::Restart(since));
        }
        let may_start = supervised.life.awaits_its_turn()
            && self.order.may_start(index, |need, until| self.is_met(index, need, until));
        let at_once = supervised.next_start == Start::AtOnce || !takes_place(supervised);
        may_start.then_some(if at_once { Claim::AtOnce } else { Claim::First })
    }

    /// Reports how the start went, once no app is on its way up. Apps that run elsewhere, and those that
    /// wait for something that does not come, are not waited for.
    pub(super) fn report_start(&mut self) {
        let Some(zero) = self.starting_since else { return };
        let moves = |one: &Supervised| {
            let moves = [Phase::Setup, Phase::Starting, Phase::Backoff, Phase::Stopping];
            one.app.run.is_some() && moves.contains(&one.life.phase())
        };
        if self.stopping.is_none() && self.apps.iter().any(moves) {
            return;
        }
        self.starting_since = None;
        if self.stopping.is_none() {
            let courses = self.apps.iter().map(|one| (&*one.app, one.course));
            let courses: Vec<_> = courses.collect();
            self.started.send_replace(Some(timeline::report(&courses, zero, Instant::now())));
        }
    }

    /// Number of apps that take a place.
    pub(super) fn starting(&self) -> usize {
        self.apps.iter().filter(|one| is_in_place(one)).count()
    }

    /// Number of places that processes of the same app take.
    fn starting_beside(&self, index: usize) -> usize {
        let name = self.apps[index].app.name.app();
        let same = |one: &&Supervised| is_in_place(one) && one.app.name.app() == name;
        self.apps.iter().filter(same).count()
    }

    /// Whether a restart whose pause ends may begin. `starting`: the number of apps that take a place.
    pub(super) fn has_free_place(&self, index: usize, starting: usize) -> bool {
        let urgency = self.order.urgency(index);
        turn::fits(urgency, self.starting_beside(index), starting, self.parallel_starts)
    }

    pub(super) fn take_step(&mut self, index: usize, event: Event) {
        let supervised = &mut self.apps[index];
        if event != Event::SetUp {
            supervised.next_start = Start::InOrder;
        }
        supervised.stop_sent = self.stopping.is_some();
        // `status` must still show how an app ended while the others stop.
        let rests = matches!(
            supervised.life.phase(),
            Phase::Stopped | Phase::Idle | Phase::Failed | Phase::Finished
        );
        if !rests {
            self.apply(index, event);
        }
    }

    fn is_met(&self, index: usize, need: usize, until: Until) -> bool {
        self.has_come(need, until)
            || self.apps[index].next_start != Start::InOrder && self.is_hopeless(need)
    }

    fn has_come(&self, need: usize, until: Until) -> bool {
        let life = &self.apps[need].life;
        match until {
            Until::Started => life.has_started(),
            Until::Ready => life.phase().is_ready(),
            Until::Finished => life.has_finished(),
        }
    }

    /// Whether an app is down for now: it has stopped or failed, waits for its time, or waits for an app
    /// that is down.
    fn is_hopeless(&self, index: usize) -> bool {
        let life = &self.apps[index].life;
        let may_come = |need, until| self.has_come(need, until) || !self.is_hopeless(need);
        match life.phase() {
            Phase::Stopped | Phase::Failed => true,
            Phase::Waiting => life.is_at_rest() || !self.order.may_start(index, may_come),
            _ => false,
        }
    }

    /// Logs every app that waits for an app which has ended for good.
    pub(super) fn log_blocked_dependents(&self, ended: usize) {
        for (index, supervised) in self.apps.iter().enumerate() {
            let come = |need, until| need != ended || self.is_met(index, need, until);
            if supervised.life.awaits_its_turn() && !self.order.may_start(index, come) {
                let phase = self.apps[ended].life.phase();
                log::blocked(&supervised.app, &self.apps[ended].app, phase);
            }
        }
    }
}

/// Whether the process takes a place now.
fn is_in_place(one: &Supervised) -> bool {
    one.life.phase() == Phase::Starting && takes_place(one)
}

/// The start of an app that runs elsewhere costs nothing, and a scheduled app keeps to its times: it
/// is `starting` as long as it runs.
fn takes_place(supervised: &Supervised) -> bool {
    supervised.app.run.is_some() && supervised.app.schedule.is_none()
}
