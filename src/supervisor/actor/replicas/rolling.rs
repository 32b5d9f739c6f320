//! Carries out the restarts of apps with several processes.

use tokio::sync::oneshot;
use tracing::error;

use super::roll::{Roll, Step};
use crate::config::Phase;
use crate::supervisor::actor::supervisor::Supervisor;
use crate::supervisor::actor::turn::Start;
use crate::supervisor::handle::CommandError;
use crate::supervisor::life::event::Event;

impl Supervisor {
    /// Restarts all processes of an app because of a command. `done` is told when the last one has
    /// settled.
    pub(in crate::supervisor::actor) fn roll_app(
        &mut self,
        app: &str,
        done: oneshot::Sender<()>,
    ) -> Result<(), CommandError> {
        if self.stopping.is_some() {
            return Err(CommandError::Stopping);
        }
        let mut members = Vec::new();
        for one in self.apps.iter_mut().filter(|one| one.is_process_of(app)) {
            one.outgrown = None;
            one.times.switch(true, &*self.clock);
            members.push(one.id);
        }
        if members.is_empty() {
            return Err(CommandError::Unknown(app.to_owned()));
        }
        for id in members {
            self.roll_one(id, Start::AtOnce);
        }
        if let Some(roll) = self.rolls.iter_mut().find(|roll| roll.app == app) {
            roll.done.push(done);
        }
        self.roll();
        Ok(())
    }

    /// Restarts one process of several when its turn has come.
    pub(in crate::supervisor::actor) fn roll_one(&mut self, id: u64, start: Start) {
        let Some(one) = self.apps.iter().find(|one| one.id == id) else { return };
        let app = one.name().app();
        let known = self.rolls.iter().position(|roll| roll.app == app);
        let at = known.unwrap_or_else(|| {
            let roll = Roll { app: app.to_owned(), due: Vec::new(), last: None, done: Vec::new() };
            self.rolls.push(roll);
            self.rolls.len() - 1
        });
        let due = &mut self.rolls[at].due;
        due.retain(|(known, _)| *known != id);
        due.push((id, start));
    }

    /// Goes on with the restarts, as far as the phases allow.
    pub(in crate::supervisor::actor) fn roll(&mut self) {
        if self.stopping.is_some() {
            self.rolls.clear();
        }
        let mut at = 0;
        while let Some(roll) = self.rolls.get(at) {
            let members: Vec<_> = self
                .apps
                .iter()
                .filter(|one| one.is_process_of(&roll.app))
                .map(|one| (one.id, one.life.phase()))
                .collect();
            match roll.step(&members) {
                Step::Wait => at += 1,
                Step::Restart(id) => self.restart_member(at, id),
                Step::GiveUp => {
                    error!(app = %roll.app, "a restarted process has failed: the other processes of the app stay as they are");
                    self.end_roll(at);
                }
                Step::Done => self.end_roll(at),
            }
        }
    }

    fn restart_member(&mut self, at: usize, id: u64) {
        let roll = &mut self.rolls[at];
        roll.last = Some(id);
        let due = roll.due.iter().position(|(due, _)| *due == id).map(|due| roll.due.remove(due));
        let index = self.apps.iter().position(|one| one.id == id);
        let (Some((_, start)), Some(index)) = (due, index) else { return };
        let one = &mut self.apps[index];
        // Only a command starts what an operator has stopped, and a request what sleeps.
        let is_down = matches!(one.life.phase(), Phase::Stopped | Phase::Idle | Phase::Stopping);
        if start != Start::AtOnce && is_down {
            return;
        }
        one.next_start = start;
        self.apply(index, Event::Restart);
    }

    fn end_roll(&mut self, at: usize) {
        for done in self.rolls.remove(at).done {
            // The client may have left.
            let _ = done.send(());
        }
    }
}
