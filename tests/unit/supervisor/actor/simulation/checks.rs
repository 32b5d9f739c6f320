//! What is checked of a run at every spawn, and whenever nothing happens.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use super::apps::{Configuration, key};
use super::kernel::SimulatedKernel;
use super::process::Role;
use crate::config::{Phase, Until, app_of};
use crate::supervisor::handle::{AppStatus, Handle};

/// What the operator has asked for, by configuration number and by app.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) configurations: BTreeMap<u64, Configuration>,
    /// Apps that somebody has started by command: they need not wait for dependencies that are down.
    pub(super) urged: BTreeSet<String>,
    /// Apps that got two commands in one moment: an attempt may be between them.
    pub(super) rushed: BTreeSet<String>,
    /// Apps of which a process has failed since the last change: the others keep their version.
    pub(super) failed: BTreeSet<String>,
}

/// Whether the restart limit holds.
pub(super) fn too_often(
    app: &str,
    number: u64,
    attempts: u32,
    known: &Mutex<Known>,
) -> Option<String> {
    let known = known.lock().unwrap();
    let (config, _) = known.configurations.get(&number)?.get(app)?;
    // Each time of the clock has restarts of its own.
    let begins_anew =
        config.schedule.is_some() || config.restart_at.is_some() || config.keep_warm.is_some();
    let limit = config.max_restarts;
    (attempts > limit + 1 && !begins_anew && !known.rushed.contains(app_of(app)))
        .then(|| format!("{app} is started {attempts} times, limit {limit}"))
}

/// Why a leader must not be spawned now.
pub(super) fn too_early(
    app: &str,
    number: u64,
    handle: &Handle,
    known: &Mutex<Known>,
) -> Option<String> {
    let known = known.lock().unwrap();
    let Some((config, _)) = known.configurations.get(&number)?.get(app) else {
        return Some(format!("{app} is started, which is not in configuration {number}"));
    };
    let due = config.run.iter().flat_map(|run| &run.setup).any(|step| !step.creates.exists());
    let statuses = handle.status();
    let phase = |name: &str| {
        let of_process = |one: &&AppStatus| key(one.name.as_str()) == key(name);
        statuses.iter().find(of_process).map(|one| one.phase)
    };
    if due && phase(app) == Some(Phase::Waiting) {
        return Some(format!("{app} is started before its setup"));
    }
    // A restart waits for nothing.
    if phase(app) != Some(Phase::Waiting) {
        return None;
    }
    let missing = config.after.iter().find(|need| {
        phase(need.app.as_str()).is_some_and(|phase| {
            let is_urged = known.urged.contains(app_of(app)) || config.restart_at.is_some();
            // One that waits may wait for something that is down.
            let given_up =
                is_urged && matches!(phase, Phase::Stopped | Phase::Failed | Phase::Waiting);
            !is_met(phase, need.until) && !given_up
        })
    })?;
    Some(format!("{app} is started while {} is {:?}", missing.app, phase(missing.app.as_str())))
}

/// Whether an app in this phase may have what another waits for.
fn is_met(phase: Phase, until: Until) -> bool {
    match until {
        Until::Ready => phase.is_ready(),
        // It was started before it failed, stopped or waits again.
        Until::Started => !matches!(phase, Phase::Waiting | Phase::Setup),
        Until::Finished => matches!(phase, Phase::Finished | Phase::Stopped),
    }
}

/// Whether nothing is missing from an app in this phase.
pub(super) fn is_surely_met(phase: Phase, until: Until) -> bool {
    match until {
        Until::Ready => phase.is_ready(),
        Until::Started => matches!(phase, Phase::Starting | Phase::Ready | Phase::Unready),
        Until::Finished => phase == Phase::Finished,
    }
}

/// Whether an app in this phase has no process.
fn is_down(phase: Phase) -> bool {
    matches!(
        phase,
        Phase::Stopped
            | Phase::Idle
            | Phase::Failed
            | Phase::Finished
            | Phase::Waiting
            | Phase::Backoff
    )
}

/// What everybody can see agrees with what runs.
pub(super) fn agree(kernel: &SimulatedKernel, statuses: &[AppStatus], clock: SystemTime) {
    for status in statuses {
        let late = status.next_run.and_then(|next| clock.duration_since(next).ok());
        if late.is_some_and(|late| late > Duration::from_millis(100)) {
            let text = format!("{} should have run {late:?} ago", status.name);
            kernel.state().violate(text);
        }
        let app = status.name.as_str();
        let living = kernel.living(app);
        let leads = living.iter().any(|(_, role, _)| *role == Role::Leader);
        let problem = match status.phase {
            Phase::Ready if status.pid.is_some() && !leads => {
                Some("its process has ended".to_owned())
            }
            phase if is_down(phase) && !living.is_empty() => Some(format!("{living:?} live")),
            _ if status.pid.is_some_and(|pid| leads && !kernel.leads(app, pid)) => {
                Some(format!("it is not the process of {living:?}"))
            }
            _ => None,
        };
        if let Some(problem) = problem {
            kernel.state().violate(format!(
                "status of {app} is {:?}, pid {:?}: {problem}",
                status.phase, status.pid
            ));
        }
    }
}
