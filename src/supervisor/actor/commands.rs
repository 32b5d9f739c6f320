//! Commands that come through a [`crate::supervisor::Handle`].

use std::time::Duration;

use super::stop_budget::StopBudget;
use super::supervisor::Supervisor;
use crate::supervisor::handle::{Change, Command, CommandError};
use crate::supervisor::life::event::Event;

impl Supervisor {
    pub(super) fn obey(&mut self, said: Command) {
        match said {
            Command::Change { app, change, reply } => {
                let _ = reply.send(self.change(&app, change));
            }
            Command::StopAll { budget } => {
                let deadline = StopBudget::new(budget);
                self.stopping.get_or_insert(deadline);
            }
            Command::KillAll => {
                self.stopping.get_or_insert(StopBudget::new(Duration::ZERO)).now();
                for place in 0..self.apps.len() {
                    self.apps[place].told = true;
                    self.feed(place, Event::Kill);
                }
            }
        }
    }

    fn change(&mut self, app: &str, change: Change) -> Result<(), CommandError> {
        let place = self.apps.iter().position(|owned| owned.app.name.as_str() == app);
        let place = place.ok_or_else(|| CommandError::Unknown(app.to_owned()))?;
        let owned = &mut self.apps[place];
        if let Change::Signal { signal, group } = change {
            let reaper = &self.launcher.reaper;
            let pid = owned.incarnation.as_ref().and_then(|incarnation| incarnation.pid);
            let sent = pid.is_some_and(|pid| {
                if group { reaper.signal_group(pid, signal) } else { reaper.signal(pid, signal) }
            });
            return if sent {
                Ok(())
            } else {
                Err(CommandError::NotRunning(owned.app.name.clone()))
            };
        }
        if self.stopping.is_some() {
            return Err(CommandError::Stopping);
        }
        owned.by_hand = !matches!(change, Change::Stop);
        let event = match change {
            Change::Start => Event::Start,
            Change::Restart => Event::Restart,
            Change::Stop | Change::Signal { .. } => Event::Stop { within: Duration::MAX },
        };
        self.feed(place, event);
        Ok(())
    }
}
