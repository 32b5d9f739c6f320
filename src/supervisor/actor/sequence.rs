//! Who starts next, and who stops next.

use super::log;
use super::supervisor::Supervisor;
use crate::config::{Phase, Until};
use crate::supervisor::life::event::Event;

impl Supervisor {
    pub(super) fn is_done(&self) -> bool {
        self.stopping.as_ref().is_some_and(|stopping| {
            let all_down = self.apps.iter().all(|owned| !owned.life.is_alive());
            (all_down && self.apps.iter().all(|owned| owned.told)) || stopping.is_over()
        })
    }

    /// Who may start because all that it waits for has come, or may stop because nobody needs it
    /// any more. One at a time: each move may allow the next.
    pub(super) fn next_move(&self) -> Option<(usize, Event)> {
        let mut places = 0..self.apps.len();
        let Some(stopping) = &self.stopping else {
            let waiting = |place: &usize| {
                self.apps[*place].life.phase() == Phase::Waiting
                    && self
                        .order
                        .may_start(*place, |need, until| self.has_come(*place, need, until))
            };
            return places.find(waiting).map(|place| (place, Event::Go));
        };
        let alive = |place: usize| self.apps[place].life.is_alive();
        let place = places.find(|place| {
            let free = !alive(*place) || self.order.may_stop(*place, |other| !alive(other));
            !self.apps[*place].told && free
        })?;
        Some((place, Event::Stop { within: self.order.share(place, stopping.left()) }))
    }

    pub(super) fn make_move(&mut self, place: usize, event: Event) {
        let owned = &mut self.apps[place];
        owned.by_hand = false;
        owned.told = self.stopping.is_some();
        // How an app ended is still to be seen while the others stop.
        let rests = matches!(owned.life.phase(), Phase::Stopped | Phase::Failed | Phase::Finished);
        if !rests {
            self.feed(place, event);
        }
    }

    fn has_come(&self, place: usize, need: usize, until: Until) -> bool {
        let life = &self.apps[need].life;
        let hopeless = matches!(life.phase(), Phase::Stopped | Phase::Failed);
        let come = match until {
            Until::Started => life.has_started(),
            Until::Ready => life.phase().is_ready(),
            Until::Finished => life.has_finished(),
        };
        come || (hopeless && self.apps[place].by_hand)
    }

    /// Who waits for an app that has ended for good would otherwise wait without a word.
    pub(super) fn name_those_in_vain(&self, ended: usize) {
        for (place, owned) in self.apps.iter().enumerate() {
            let come = |need, until| need != ended || self.has_come(place, need, until);
            if owned.life.phase() == Phase::Waiting && !self.order.may_start(place, come) {
                let phase = self.apps[ended].life.phase();
                log::waits_in_vain(&owned.app, &self.apps[ended].app, phase);
            }
        }
    }
}
