//! The periodic review of all sessions: ends those whose limit is reached and says which ones need
//! a refresh.

use std::sync::Arc;

use super::sessions::Sessions;
use crate::auth::runtime::clock::Millis;
use crate::auth::session::Session;

/// What upkeep has to do, and when to review the sessions again.
#[derive(Debug, Default)]
pub(crate) struct Agenda {
    /// Sessions with open tunnels whose access token is due for a refresh.
    pub(crate) due: Vec<Arc<Session>>,
    /// Whether the last uses of the sessions have to be written to the disk.
    pub(crate) save_last_uses: bool,
    /// When the next session needs attention; `None` if none does.
    pub(crate) next: Option<Millis>,
}

impl Agenda {
    fn review_at(&mut self, at: Millis) {
        self.next = Some(self.next.map_or(at, |next| next.min(at)));
    }
}

impl Sessions {
    /// Ends the sessions whose limit is reached and lists what else has to be done.
    pub(crate) fn review(&self, now: Millis) -> Agenda {
        let all: Vec<_> = self.table.lock().sessions().cloned().collect();
        let save_last_uses = self.idle.as_ref().is_some_and(|idle| idle.next_save() <= now);
        let mut agenda = Agenda { save_last_uses, ..Agenda::default() };
        for session in all {
            if let Some(reason) = self.limit_reached(&session, now) {
                self.end_now(&session, reason);
                continue;
            }
            agenda.review_at(session.ends());
            if let Some(idle) = &self.idle {
                agenda.review_at(idle.ends_of(session.activity()).min(idle.next_save()));
            }
            if let Some(due) = session.due().filter(|_| session.has_tunnels()) {
                if due <= now {
                    agenda.due.push(session);
                } else {
                    agenda.review_at(due);
                }
            }
        }
        agenda
    }

    /// Starts writing the last use of every session to the disk, if there is an idle limit.
    pub(crate) fn save_last_uses(&self, now: Millis) {
        let Some(idle) = self.idle.clone() else { return };
        let last_use = |session: &Arc<Session>| (session.id, idle.last_use(session.activity()));
        let used: Vec<_> = self.table.lock().sessions().map(last_use).collect();
        self.tasks.spawn_blocking(move || idle.save(&used, now));
    }

    /// Waits until a session is added or needs upkeep earlier than the last review expected.
    pub(crate) async fn changed(&self) {
        self.wake.notified().await;
    }
}
