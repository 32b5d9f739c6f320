//! The `exec` probe: a command that is run as the app is.

use std::process::Stdio;
use std::time::Duration;

use tokio::time::timeout;

use super::question::{Outcome, Target, silence};
use crate::supervisor::exit::Exit;
use crate::supervisor::process::spawn;
use crate::supervisor::process::spec::Spec;

/// For the group of an `exec` probe to go after it was killed.
const LAST_BREATH: Duration = Duration::from_secs(2);

pub(super) async fn exec(command: &[String], limit: Duration, target: &Target<'_>) -> Outcome {
    let Some(run) = &target.app.run else { return Err("it has no process".to_owned()).into() };
    let spawned = Spec::of(target.app, run, target.state_dir).and_then(|spec| {
        let spec = Spec { command, mark: None, ..spec };
        spawn::spawn(target.reaper, &spec, Stdio::null(), Stdio::null())
    });
    let mut process = match spawned {
        Ok(process) => process,
        Err(error) => return Err(error.to_string()).into(),
    };
    let program = command.first().map(String::as_str).unwrap_or_default();
    let heard = match timeout(limit, &mut process.ended).await {
        Ok(Ok(ended)) if ended.exit == Exit::Code(0) => Ok(()).into(),
        Ok(Ok(ended)) => Err(format!("{program}: {}", ended.exit)).into(),
        Ok(Err(_)) => Err(format!("{program}: its end was missed")).into(),
        Err(_) => silence(limit),
    };
    // The next one may not meet what this one left behind.
    process.kill(target.reaper);
    let _ = timeout(LAST_BREATH, &mut process.gone).await;
    heard
}
