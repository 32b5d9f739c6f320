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
            let group =
                group.or_insert_with(|| Group { phase: phase.subscribe(), processes: Vec::new() });
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
        let Some((_, published)) = self.phases.iter().find(|(name, _)| name.as_str() == app) else {
            return;
        };
        let phases = apps.iter().filter(|one| one.is_process_of(app));
        if let Some(phase) = best(phases.map(|one| one.life.phase())) {
            published.send_if_modified(|before| std::mem::replace(before, phase) != phase);
        }
    }
}

/// The phase of an app whose processes have these phases: the one that is nearest to serving
/// requests.
fn best(phases: impl Iterator<Item = Phase>) -> Option<Phase> {
    phases.min_by_key(|phase| match phase {
        Phase::Ready | Phase::Finished => 0,
        Phase::Unready => 1,
        Phase::Starting => 2,
        Phase::Setup => 3,
        Phase::Waiting => 4,
        Phase::Backoff => 5,
        Phase::Stopping => 6,
        Phase::Failed => 7,
        Phase::Idle => 8,
        Phase::Stopped => 9,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_as_near_to_serving_as_its_best_process() {
        use Phase::{Backoff, Failed, Ready, Starting, Stopped, Stopping, Unready};
        for (phases, wanted) in [
            (&[] as &[Phase], None),
            (&[Failed, Ready, Starting], Some(Ready)),
            (&[Failed, Unready, Starting], Some(Unready)),
            (&[Backoff, Starting], Some(Starting)),
            (&[Stopping, Backoff], Some(Backoff)),
            (&[Stopped, Failed], Some(Failed)),
            (&[Stopped, Stopped], Some(Stopped)),
        ] {
            assert_eq!(best(phases.iter().copied()), wanted, "{phases:?}");
        }
    }
}
