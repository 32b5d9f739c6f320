//! The processes of an app that sleeps and wakes as a whole.

use super::company::is_awake;
use crate::config::Phase;
use crate::supervisor::actor::supervised::Supervised;
use crate::supervisor::actor::supervisor::Supervisor;
use crate::supervisor::idle::rule::Member;

impl Supervised {
    /// The process as the verdict on its app sees it.
    pub(super) fn member(&self) -> Member {
        let limit = self.app.idle_stop.filter(|_| !self.times.is_warm());
        Member { phase: self.life.phase(), limit, up_since: self.up_since }
    }
}

impl Supervisor {
    /// The processes of the app of a process, without those that are gone from the configuration.
    pub(super) fn members(&self, index: usize) -> Vec<usize> {
        let app = self.apps[index].name().app();
        let members = self.apps.iter().enumerate().filter(|(_, one)| one.is_process_of(app));
        members.map(|(at, _)| at).collect()
    }

    /// Whether the app sleeps, apart from this process of it.
    pub(in crate::supervisor::actor) fn sleeps_beside(&self, index: usize) -> bool {
        let others = self.members(index).into_iter().filter(|at| *at != index);
        let phases: Vec<_> = others.map(|at| self.apps[at].life.phase()).collect();
        phases.contains(&Phase::Idle) && !phases.into_iter().any(is_awake)
    }

    /// Shows the app of a process in another phase than its own, or in its own again.
    pub(super) fn show_as(&self, index: usize, phase: Option<Phase>) {
        let one = &self.apps[index];
        match phase {
            // A request has passed the phase of its app when it comes to that of a process.
            Some(phase) if one.name().is_replica() => self.groups.show(one.name().app(), phase),
            None if one.name().is_replica() => self.groups.publish(one.name().app(), &self.apps),
            phase => {
                one.phase.send_replace(phase.unwrap_or(one.life.phase()));
            }
        }
    }

    /// Tells the proxy what the sleep of the app of a process depends on, before the new phase of the
    /// process is published. Returns whether the app wakes: that it does not is told afterwards.
    pub(in crate::supervisor::actor) fn show_sleep(&self, index: usize) -> bool {
        let name = self.apps[index].name().app();
        let members = || self.apps.iter().filter(|one| one.is_process_of(name));
        let is_in = |phases: &[Phase]| members().any(|one| phases.contains(&one.life.phase()));
        let is_waking = members().any(|one| one.is_waking) && !is_in(&[Phase::Ready]);
        let nap = &self.apps[index].nap;
        // A request that sees the new phase must not miss that the app wakes.
        if is_waking {
            nap.set_waking(true);
        }
        let is_up = is_in(&[Phase::Ready, Phase::Unready]);
        nap.set_partly_asleep(is_up && is_in(&[Phase::Idle]));
        is_waking
    }
}
