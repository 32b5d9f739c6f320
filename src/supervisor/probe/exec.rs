//! The `exec` probe: a command that runs with the app's user, environment and limits.

use std::process::Stdio;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::question::{Outcome, Target, timed_out};
use crate::supervisor::exit::Exit;
use crate::supervisor::process::child;
use crate::supervisor::process::reaper::Process;
use crate::supervisor::process::spawn_error::SpawnError;
use crate::supervisor::process::spec::Spec;

/// How long the probe waits for its processes to disappear after KILL.
const KILL_GRACE: Duration = Duration::from_secs(2);

pub(super) async fn exec(command: &[String], limit: Duration, target: &Target<'_>) -> Outcome {
    if target.app.run.is_none() {
        return Err("the app has no process".to_owned()).into();
    }
    let program = command.first().map(String::as_str).unwrap_or_default();
    let began = Instant::now();
    let mut process = match timeout(limit, started(command, target)).await {
        Ok(Ok(process)) => process,
        Ok(Err(error)) => return Err(error.to_string()).into(),
        // A process that has not begun is dropped and killed.
        Err(_) => return timed_out(limit),
    };
    // One limit for the start and the run: a probe that takes longer counts as a frozen machine.
    let left = limit.saturating_sub(began.elapsed());
    let outcome = match timeout(left, &mut process.ended).await {
        Ok(Ok(ended)) if ended.exit == Exit::Code(0) => Ok(()).into(),
        Ok(Ok(ended)) => Err(format!("{program}: {}", ended.exit)).into(),
        Ok(Err(_)) => Err(format!("{program}: its exit was missed")).into(),
        Err(_) => timed_out(limit),
    };
    // The next run must not meet processes that this run left behind.
    process.end(target.reaper, KILL_GRACE).await;
    outcome
}

async fn started(command: &[String], target: &Target<'_>) -> Result<Process, SpawnError> {
    let (app, state_dir) = (target.app.clone(), target.state_dir.clone());
    let command = command.to_vec();
    let child = target.files.look(move || {
        let run = app.run.as_ref().ok_or(SpawnError::Empty)?;
        let spec = Spec::of(&app, run, &state_dir)?;
        let mark = spec.mark.clone().of_step();
        child::prepare(Spec { command, mark, ..spec })
    });
    let child = child.await??;
    child.fork(target.reaper, Stdio::null(), Stdio::null())?.running(&target.files).await
}
