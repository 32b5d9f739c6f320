//! First-time setup: what an app needs before it can run at all.
//!
//! Each step runs unless what it creates is there. Apps are set up side by side; steps that
//! create the same thing run once. Setup runs as we do, not as the app's user, and its output
//! goes to the log under the app's name. Dropping the future kills what runs.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::Exit;
use super::output::carry;
use super::reaper::Reaper;
use super::spawn::{self, SpawnError, Spec};
use crate::config::{App, AppName, Run, Setup};
use crate::telemetry::{LogHandle, Stream};

/// For the rest of its output when a step has ended.
const LAST_LINES: Duration = Duration::from_secs(1);

/// A step that failed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// It could not be started.
    #[error("setup of {app} failed: `{step}`: {error}")]
    Spawn {
        /// Whose.
        app: AppName,
        /// Its command.
        step: String,
        /// Why.
        error: SpawnError,
    },
    /// It ended with a failure.
    #[error("setup of {app} failed: `{step}` ended with {exit}: {last}")]
    Ended {
        /// Whose.
        app: AppName,
        /// Its command.
        step: String,
        /// How.
        exit: Exit,
        /// The last line that it wrote.
        last: String,
    },
    /// It succeeded, but what it was to create is not there.
    #[error("setup of {app} failed: `{step}` did not create {creates}", creates = creates.display())]
    Nothing {
        /// Whose.
        app: AppName,
        /// Its command.
        step: String,
        /// What is missing.
        creates: PathBuf,
    },
}

/// Whether any app lacks something that its setup creates.
pub fn setup_is_due(apps: &[App]) -> bool {
    let steps = apps.iter().filter_map(|app| app.run.as_ref()).flat_map(|run| &run.setup);
    steps.into_iter().any(|step| !step.creates.exists())
}

/// Runs the missing steps of all apps.
///
/// # Errors
/// The first failure in the order of the file; steps of other apps are still run to their end, so
/// that nothing that was fetched is lost.
pub async fn setup(apps: &[App], reaper: &Reaper, log: &LogHandle) -> Result<(), SetupError> {
    let turns = Turns::default();
    let all = apps.iter().filter_map(|app| {
        let run = app.run.as_ref()?;
        Some(set_up(app, run, &turns, reaper, log))
    });
    join_all(all).await.into_iter().collect()
}

/// Who makes which thing: one at a time.
type Turns = Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>;

async fn set_up(
    app: &App,
    run: &Run,
    turns: &Turns,
    reaper: &Reaper,
    log: &LogHandle,
) -> Result<(), SetupError> {
    for step in &run.setup {
        let turn = {
            let mut turns = turns.lock().unwrap_or_else(PoisonError::into_inner);
            turns.entry(step.creates.clone()).or_default().clone()
        };
        let _mine = turn.lock().await;
        if !step.creates.exists() {
            take(app, run, step, reaper, log).await?;
        }
    }
    Ok(())
}

async fn take(
    app: &App,
    run: &Run,
    step: &Setup,
    reaper: &Reaper,
    log: &LogHandle,
) -> Result<(), SetupError> {
    let (name, words) = (&app.name, shown(step));
    tracing::info!(app = %name, step = words, "setup begins");
    let outcome = match Spec::of_setup(app, run, step) {
        Ok(spec) => carry_out(app, &spec, reaper, log).await,
        Err(error) => Err(error),
    };
    let (exit, last) = outcome.map_err(|error| SetupError::Spawn {
        app: name.clone(),
        step: words.clone(),
        error,
    })?;
    if exit != Exit::Code(0) {
        return Err(SetupError::Ended { app: name.clone(), step: words, exit, last });
    }
    if !step.creates.exists() {
        let creates = step.creates.clone();
        return Err(SetupError::Nothing { app: name.clone(), step: words, creates });
    }
    tracing::info!(app = %name, creates = %step.creates.display(), "setup done");
    Ok(())
}

/// The command as people recognise it: of a shell with a script, the name that the script is given.
fn shown(step: &Setup) -> String {
    let is_script = |word: &String| word.contains('\n');
    let script = step.run.iter().position(is_script);
    if let Some(name @ [_, ..]) = script.map(|script| &step.run[script + 1..]) {
        return name.join(" ");
    }
    let words = step.run.iter().map(|word| if is_script(word) { "…" } else { word });
    words.collect::<Vec<_>>().join(" ")
}

/// Runs it to its end, and gives the last line that it wrote.
async fn carry_out(
    app: &App,
    spec: &Spec<'_>,
    reaper: &Reaper,
    log: &LogHandle,
) -> Result<(Exit, String), SpawnError> {
    let pipes = || {
        let (ours, theirs) = io::pipe()?;
        Ok((Receiver::from_owned_fd(ours.into())?, theirs))
    };
    let (out, theirs_out) = pipes().map_err(SpawnError::Descriptors)?;
    let (err, theirs_err) = pipes().map_err(SpawnError::Descriptors)?;
    let mut process = spawn::spawn(reaper, spec, theirs_out.into(), theirs_err.into())?;
    let last = Arc::new(Mutex::new(String::new()));
    let carriers = [(out, Stream::Stdout), (err, Stream::Stderr)].map(|(pipe, stream)| {
        let last = last.clone();
        let seen = move |line: &[u8]| {
            if !line.trim_ascii().is_empty() {
                let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
                *last = String::from_utf8_lossy(line).into_owned();
            }
        };
        let log = log.child(&app.name).stream(stream);
        AbortOnDropHandle::new(tokio::spawn(carry(pipe, log, Box::new(seen))))
    });
    let ended = (&mut process.ended).await;
    // What it left in its group would hold its output, and go on beside the app.
    process.kill(reaper);
    let _ = timeout(LAST_LINES, join_all(carriers)).await;
    let exit = ended.map_or(Exit::Code(i32::from(super::INTERNAL)), |ended| ended.exit);
    let last = last.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok((exit, last))
}

#[cfg(test)]
#[path = "../../tests/unit/setup.rs"]
mod tests;
