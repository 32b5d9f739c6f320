//! Carries out the commands of a [`crate::supervisor::Handle`].

use std::time::Duration;

use super::incarnation::Incarnation;
use super::stop_budget::StopBudget;
use super::supervisor::Supervisor;
use super::turn::Start;
use crate::supervisor::handle::{Change, Command, CommandError};
use crate::supervisor::life::event::Event;

impl Supervisor {
    pub(super) fn handle_command(&mut self, command: Command) {
        match command {
            Command::Change { app, change, reply } => {
                let _ = reply.send(self.change(&app, change));
            }
            Command::Roll { app, reply, done } => {
                let _ = reply.send(self.roll_app(&app, done));
            }
            Command::Reconfigure { apps, replaced, parallel_starts, reply } => {
                let _ = reply.send(self.reconfigure(apps, &replaced, parallel_starts));
            }
            Command::StopAll { budget } => {
                let deadline = StopBudget::new(budget);
                self.stopping.get_or_insert(deadline);
            }
            Command::KillAll => {
                self.stopping.get_or_insert(StopBudget::new(Duration::ZERO)).expire();
                for index in 0..self.apps.len() {
                    self.apps[index].stop_sent = true;
                    self.apply(index, Event::Kill);
                }
            }
        }
    }

    fn change(&mut self, app: &str, change: Change) -> Result<(), CommandError> {
        let index = self
            .apps
            .iter()
            .position(|supervised| supervised.name().as_str() == app && !supervised.is_removed);
        let index = index.ok_or_else(|| CommandError::Unknown(app.to_owned()))?;
        let supervised = &mut self.apps[index];
        if let Change::Signal { signal, group } = change {
            let reaper = &self.launcher.reaper;
            let pid = supervised.incarnation.as_ref().and_then(Incarnation::pid);
            let sent = pid.is_some_and(|pid| {
                if group { reaper.signal_group(pid, signal) } else { reaper.signal(pid, signal) }
            });
            return if sent {
                Ok(())
            } else {
                Err(CommandError::NotRunning(supervised.app.name.clone()))
            };
        }
        if self.stopping.is_some() {
            return Err(CommandError::Stopping);
        }
        supervised.outgrown = None;
        let starts = !matches!(change, Change::Stop);
        supervised.next_start = if starts { Start::AtOnce } else { Start::InOrder };
        supervised.times.switch(starts, &*self.clock);
        let event = match change {
            Change::Start => Event::Start,
            Change::Restart => Event::Restart,
            Change::Stop | Change::Signal { .. } => Event::Stop { within: Duration::MAX },
        };
        self.apply(index, event);
        Ok(())
    }
}
