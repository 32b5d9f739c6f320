//! Carries out what the life of an app asks for.

use std::time::SystemTime;

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::incarnation::{Incarnation, Which};
use super::log;
use super::supervisor::Supervisor;
use crate::supervisor::handle::Critical;
use crate::supervisor::life::action::{Action, Note};
use crate::supervisor::life::event::{Event, Generation};
use crate::supervisor::process::reaper::Reaper;

impl Supervisor {
    pub(super) fn carry_out(&mut self, place: usize, action: Action) -> Option<Event> {
        let owned = &mut self.apps[place];
        let pid = owned.incarnation.as_ref().and_then(|incarnation| incarnation.pid);
        let reaper = &self.launcher.reaper;
        match action {
            Action::Spawn(generation) => return Some(self.start(place, generation)),
            Action::AskLive(generation) => {
                let which = Which { app: owned.app.clone(), place, generation };
                if let Some(incarnation) = &mut owned.incarnation {
                    self.launcher.watch(&which, incarnation);
                }
            }
            Action::Quiet => {
                if let Some(incarnation) = &mut owned.incarnation {
                    incarnation.quiet();
                }
            }
            Action::Ask(_) => {
                if let Some(pid) = pid {
                    reaper.signal_group(pid, owned.app.stop.signal);
                    // One that was stopped could not even hear it.
                    reaper.signal_group(pid, Signal::SIGCONT);
                    ask_daemons(reaper, pid, owned.app.stop.signal);
                }
            }
            Action::AskDaemons(_) => {
                if let Some(pid) = pid {
                    ask_daemons(reaper, pid, owned.app.stop.signal);
                }
            }
            Action::Kill(_) => {
                if let Some(pid) = pid {
                    reaper.kill(pid);
                }
            }
            Action::Look(_) => {
                if let Some(pid) = pid {
                    reaper.look(pid);
                }
            }
            Action::Fail(code) => {
                let app = owned.app.name.clone();
                self.critical.send_if_modified(|critical| {
                    let first = critical.is_none();
                    critical.get_or_insert(Critical { app, code });
                    first
                });
            }
            Action::Say(note) => {
                let heard = owned.incarnation.as_ref().map(Incarnation::heard);
                log::note(&owned.app, note, heard.unwrap_or_default());
                if matches!(note, Note::Failed { .. } | Note::Stopped) && self.stopping.is_none() {
                    self.name_those_in_vain(place);
                }
            }
        }
        None
    }

    fn start(&mut self, place: usize, generation: Generation) -> Event {
        let owned = &mut self.apps[place];
        // A turn of its own, also when it fails at once and all looks as before.
        owned.since = SystemTime::now();
        let which = Which { app: owned.app.clone(), place, generation };
        match self.launcher.start(&which) {
            Ok(incarnation) => {
                owned.incarnation = Some(incarnation);
                Event::Spawned(generation)
            }
            Err(error) => {
                owned.incarnation = None;
                log::not_started(&owned.app, &error);
                Event::NotSpawned(generation, error.code())
            }
        }
    }
}

fn ask_daemons(reaper: &Reaper, leader: Pid, signal: Signal) {
    reaper.signal_daemons(leader, signal);
    reaper.signal_daemons(leader, Signal::SIGCONT);
}
