//! In which order the processes of an app are restarted. Pure.
//!
//! One after the other: a process that serves requests is restarted when the one before is ready
//! again and another one serves meanwhile.

use tokio::sync::oneshot;

use crate::config::Phase;
use crate::supervisor::actor::turn::Start;

/// The restart of all processes of an app.
#[derive(Debug)]
pub(in crate::supervisor::actor) struct Roll {
    /// Name of the app.
    pub(super) app: String,
    /// The processes that are still to be restarted, by the number of their supervision, and what
    /// their start waits for.
    pub(super) due: Vec<(u64, Start)>,
    /// The process that was restarted last.
    pub(super) last: Option<u64>,
    /// Who waits for the end.
    pub(super) done: Vec<oneshot::Sender<()>>,
}

/// What happens next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// This process is restarted.
    Restart(u64),
    /// Nothing, until a phase changes.
    Wait,
    /// The restarted process has failed: the others stay as they are.
    GiveUp,
    /// All have been restarted.
    Done,
}

impl Roll {
    /// The next step. `members`: all processes of the app with their phases.
    pub(super) fn step(&self, members: &[(u64, Phase)]) -> Step {
        let phase = |id: u64| members.iter().find(|one| one.0 == id).map(|one| one.1);
        let is_up = |id: u64| phase(id).is_some_and(Phase::is_ready);
        let last = self.last.and_then(phase);
        if last.is_some_and(|phase| !phase.is_settled()) {
            return Step::Wait;
        }
        let is_due = |id: u64| self.due.iter().any(|(due, _)| *due == id);
        let mut due = self.due.iter().map(|(id, _)| *id).filter(|id| phase(*id).is_some());
        if last == Some(Phase::Failed) && due.clone().any(is_up) {
            return Step::GiveUp;
        }
        // One that does not serve requests is missed by nobody.
        let idle = due.clone().find(|id| !is_up(*id));
        let Some(next) = idle.or_else(|| due.next()) else { return Step::Done };
        let mut others = members.iter().filter(|(id, _)| *id != next);
        let serves = others.clone().any(|(_, phase)| phase.is_ready());
        // One that is not to be restarted and is on its way up will serve soon.
        let is_awaited = others.any(|(id, phase)| !is_due(*id) && !phase.is_settled());
        if is_up(next) && !serves && is_awaited { Step::Wait } else { Step::Restart(next) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Phase::{Backoff, Failed, Ready, Starting, Stopped, Stopping};

    #[test]
    fn one_after_the_other_and_never_none() {
        for (row, (members, due, last, wanted)) in [
            (&[Ready, Ready] as &[Phase], &[0_u64, 1] as &[u64], None, Step::Restart(0)),
            (&[Stopping, Ready], &[1], Some(0), Step::Wait),
            (&[Starting, Ready, Ready], &[1, 2], Some(0), Step::Wait),
            (&[Backoff, Ready], &[1], Some(0), Step::Wait),
            (&[Ready, Ready], &[1], Some(0), Step::Restart(1)),
            (&[Ready, Starting], &[], Some(1), Step::Wait),
            (&[Ready, Ready], &[], Some(1), Step::Done),
            // The new version does not work: the earlier one goes on serving.
            (&[Failed, Ready], &[1], Some(0), Step::GiveUp),
            (&[Failed, Failed], &[1], Some(0), Step::Restart(1)),
            (&[Failed, Ready], &[], Some(0), Step::Done),
            // One that does not serve comes first.
            (&[Ready, Failed], &[0, 1], None, Step::Restart(1)),
            (&[Ready, Backoff], &[0, 1], None, Step::Restart(1)),
            // New processes are on their way: the only one that serves waits for them.
            (&[Ready, Starting, Starting], &[0], None, Step::Wait),
            (&[Ready, Ready, Starting], &[0], None, Step::Restart(0)),
            // No other one will serve.
            (&[Ready, Stopped], &[0], None, Step::Restart(0)),
            (&[Ready], &[0], None, Step::Restart(0)),
            // An operator has stopped the restarted one.
            (&[Stopped, Ready], &[1], Some(0), Step::Restart(1)),
            // The process is gone.
            (&[Ready], &[7], None, Step::Done),
        ]
        .into_iter()
        .enumerate()
        {
            let due = due.iter().map(|id| (*id, Start::InOrder)).collect();
            let roll = Roll { app: "a".to_owned(), due, last, done: Vec::new() };
            let members: Vec<_> = (0..).zip(members.iter().copied()).collect();
            assert_eq!(roll.step(&members), wanted, "row {row}");
        }
    }
}
