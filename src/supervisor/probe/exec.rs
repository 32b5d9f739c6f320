//! The `exec` probe: a command that runs with the app's user, environment and limits.

use std::process::Stdio;
use std::time::Duration;

use tokio::time::timeout;

use super::question::{Outcome, Target, timed_out};
use crate::supervisor::exit::Exit;
use crate::supervisor::process::spawn;
use crate::supervisor::process::spec::Spec;

/// How long the probe waits for its processes to disappear after KILL.
const KILL_GRACE: Duration = Duration::from_secs(2);

pub(super) async fn exec(command: &[String], limit: Duration, target: &Target<'_>) -> Outcome {
    let Some(run) = &target.app.run else { return Err("the app has no process".to_owned()).into() };
    let spawned = Spec::of(target.app, run, target.state_dir).and_then(|spec| {
        let spec = Spec { command, mark: spec.mark.clone().of_step(), ..spec };
        spawn::spawn(target.reaper, &spec, Stdio::null(), Stdio::null())
    });
    let mut process = match spawned {
        Ok(process) => process,
        Err(error) => return Err(error.to_string()).into(),
    };
    let program = command.first().map(String::as_str).unwrap_or_default();
    let outcome = match timeout(limit, &mut process.ended).await {
        Ok(Ok(ended)) if ended.exit == Exit::Code(0) => Ok(()).into(),
        Ok(Ok(ended)) => Err(format!("{program}: {}", ended.exit)).into(),
        Ok(Err(_)) => Err(format!("{program}: its exit was missed")).into(),
        Err(_) => timed_out(limit),
    };
    // The next run must not meet processes that this run left behind.
    process.end(target.reaper, KILL_GRACE).await;
    outcome
}
