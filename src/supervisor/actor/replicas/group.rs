//! The phase of an app with several processes: that of its best one.

use std::collections::HashMap;

use tokio::sync::watch;

use crate::config::{AppName, Phase};
use crate::supervisor::actor::supervised::Supervised;
use crate::supervisor::handle::Group;

/// The apps with several processes.
#[derive(Debug, Default)]
pub(in crate::supervisor::actor) struct Groups {
    phases: HashMap<AppName, watch::Sender<Phase>>,
}

impl Groups {
    /// Follows a changed list of processes.
    pub(in crate::supervisor::actor) fn follow(
        &mut self,
        apps: &[Supervised],
    ) -> HashMap<AppName, Group> {
        let mut groups: HashMap<AppName, Group> = HashMap::new();
        for one in apps.iter().filter(|one| one.name().is_replica() && !one.is_removed) {
            let Some(app) = AppName::new(one.name().app()) else { continue };
            let phase = self.phases.entry(app.clone());
            let phase = phase.or_insert_with(|| watch::Sender::new(Phase::Waiting));
            let group = groups.entry(app);
            let group = group.or_insert_with(|| Group {
                phase: phase.subscribe(),
                processes: Vec::new(),
                nap: one.nap.clone(),
            });
            group.processes.push(one.name().clone());
        }
        self.phases.retain(|app, _| groups.contains_key(app));
        for app in groups.keys() {
            self.publish(app.as_str(), apps);
        }
        groups
    }

    /// Publishes the phase of an app after a change of one of its processes.
    pub(in crate::supervisor::actor) fn publish(&self, app: &str, apps: &[Supervised]) {
        let phases = apps.iter().filter(|one| one.is_process_of(app));
        if let Some(phase) = best(phases.map(|one| one.life.phase())) {
            self.show(app, phase);
        }
    }

    /// Shows an app in this phase, whatever the phases of its processes are.
    pub(in crate::supervisor::actor) fn show(&self, app: &str, phase: Phase) {
        if let Some((_, published)) = self.phases.iter().find(|(name, _)| name.as_str() == app) {
            published.send_if_modified(|before| std::mem::replace(before, phase) != phase);
        }
    }
}

/// The phase of an app whose processes have these phases: the one that is nearest to serving
/// requests. A request starts processes that sleep, whatever has become of the others.
fn best(phases: impl Iterator<Item = Phase>) -> Option<Phase> {
    phases.min_by_key(|phase| match phase {
        Phase::Ready | Phase::Finished => 0,
        Phase::Unready => 1,
        Phase::Starting => 2,
        Phase::Setup => 3,
        Phase::Waiting => 4,
        Phase::Idle => 5,
        Phase::Backoff => 6,
        Phase::Stopping => 7,
        Phase::Failed => 8,
        Phase::Stopped => 9,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_as_near_to_serving_as_its_best_process() {
        use Phase::{Backoff, Failed, Idle, Ready, Starting, Stopped, Stopping, Unready, Waiting};
        for (phases, wanted) in [
            (&[] as &[Phase], None),
            (&[Failed, Ready, Starting], Some(Ready)),
            (&[Failed, Unready, Starting], Some(Unready)),
            (&[Backoff, Starting], Some(Starting)),
            (&[Stopping, Backoff], Some(Backoff)),
            (&[Stopped, Failed], Some(Failed)),
            (&[Stopped, Stopped], Some(Stopped)),
            (&[Idle, Starting], Some(Starting)),
            (&[Waiting, Idle], Some(Waiting)),
            // A request starts what sleeps.
            (&[Failed, Idle], Some(Idle)),
            (&[Backoff, Idle], Some(Idle)),
            (&[Stopping, Idle], Some(Idle)),
            (&[Stopped, Idle], Some(Idle)),
        ] {
            assert_eq!(best(phases.iter().copied()), wanted, "{phases:?}");
        }
    }
}
