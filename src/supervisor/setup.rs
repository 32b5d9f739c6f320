//! First-time setup: makes what an app needs before its first start.
//!
//! While the appliance runs, the setup is a state of its app: the supervisor runs it, and a failed
//! setup is the failure of that app. Only `appliance setup` runs all setups and nothing else.
//!
//! A step is skipped if the path that it creates exists. The setups of different apps run in
//! parallel; steps that create the same path run one at a time, so the second one is skipped. A
//! step runs as the app's user, and its output goes to the log under the app's name. Dropping the
//! future kills the running steps.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::net::unix::pipe::Receiver;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::exit::{Exit, INTERNAL};
use super::process::child::files::Files;
use super::process::child::{self, Child};
use super::process::output::forward;
use super::process::reaper::Reaper;
use super::process::spawn_error::SpawnError;
use super::process::spec::Spec;
use crate::config::{App, AppName, Setup, mask};
use crate::telemetry::{LogHandle, Stream};
use crate::threads::Turn;

/// How long the output of a step is read after the step has ended.
const LAST_LINES: Duration = Duration::from_secs(1);

/// How long a step waits for the processes that it left behind to disappear after KILL.
const KILL_GRACE: Duration = Duration::from_secs(2);

/// Why the setup of an app failed.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The step could not be started.
    #[error("setup of {app} failed: `{step}`: {error}")]
    Spawn {
        /// Name of the app.
        app: AppName,
        /// Command of the step.
        step: String,
        /// Why the step could not be started.
        error: SpawnError,
    },
    /// The step exited with a failure.
    #[error("setup of {app} failed: `{step}` ended with {exit}: {last}")]
    Ended {
        /// Name of the app.
        app: AppName,
        /// Command of the step.
        step: String,
        /// How the step ended.
        exit: Exit,
        /// The last line that the step wrote, or the line that says that the disk is full.
        last: String,
    },
    /// The step succeeded but did not create its path.
    #[error("setup of {app} failed: `{step}` did not create {creates}", creates = creates.display())]
    NotCreated {
        /// Name of the app.
        app: AppName,
        /// Command of the step.
        step: String,
        /// The path that is missing.
        creates: PathBuf,
    },
}

/// What a setup needs.
pub(super) struct Tools<'t> {
    pub(super) reaper: &'t Reaper,
    pub(super) files: Files,
    pub(super) log: &'t LogHandle,
}

/// Whether the app has a setup, which may have run already.
pub(super) fn has_setup(app: &App) -> bool {
    app.run.as_ref().is_some_and(|run| !run.setup.is_empty())
}

/// Whether a setup step of any app still has to run.
pub fn setup_is_due(apps: &[App]) -> bool {
    apps.iter().any(is_due)
}

/// Whether a setup step of the app still has to run.
pub(super) fn is_due(app: &App) -> bool {
    let mut steps = app.run.iter().flat_map(|run| &run.setup);
    steps.any(|step| !step.creates.exists())
}

/// Whether no process can use what the setup of the app still has to make: each step creates its path
/// in a folder that does not exist yet.
pub(super) fn is_apart(app: &App) -> bool {
    let steps = app.run.iter().flat_map(|run| &run.setup).filter(|step| !step.creates.exists());
    steps.map(|step| step.creates.parent()).all(|folder| folder.is_some_and(|one| !one.exists()))
}

/// Runs all setup steps that have not run yet.
///
/// # Errors
/// The first failure in the order of the file. Steps of the other apps still run to their end, so
/// that a finished download is not lost.
pub async fn setup(apps: &[App], reaper: &Reaper, log: &LogHandle) -> Result<(), SetupError> {
    let locks = Locks::default();
    let all = apps.iter().map(async |app| {
        let files = Files::new(reaper, &Turn::default());
        set_up(app, &locks, &Tools { reaper, files, log }).await
    });
    join_all(all).await.into_iter().collect()
}

/// One lock for each path that a step creates.
pub(super) type Locks = Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>;

/// Runs the setup steps of one app that have not run yet.
pub(super) async fn set_up(app: &App, locks: &Locks, tools: &Tools<'_>) -> Result<(), SetupError> {
    let Some(run) = &app.run else { return Ok(()) };
    for step in &run.setup {
        let lock = {
            let mut locks = locks.lock().unwrap_or_else(PoisonError::into_inner);
            locks.entry(step.creates.clone()).or_default().clone()
        };
        let _guard = lock.lock().await;
        if !tools.exists(app, step).await? {
            run_step(app, step, tools).await?;
        }
    }
    Ok(())
}

impl Tools<'_> {
    /// Looks at the files of a step.
    async fn look<T: Send + 'static>(
        &self,
        app: &App,
        step: &Setup,
        work: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Result<T, SetupError> {
        let creates = step.creates.clone();
        let found = self.files.look(move || work(&creates)).await;
        found.map_err(|error| not_started(app, step, error))
    }

    async fn exists(&self, app: &App, step: &Setup) -> Result<bool, SetupError> {
        self.look(app, step, Path::exists).await
    }
}

fn not_started(app: &App, step: &Setup, error: SpawnError) -> SetupError {
    SetupError::Spawn { app: app.name.clone(), step: display_name(step), error }
}

async fn run_step(app: &App, step: &Setup, tools: &Tools<'_>) -> Result<(), SetupError> {
    let (name, words) = (&app.name, display_name(step));
    tracing::info!(app = %name, step = words, "setup begins");
    let missing = tools.look(app, step, highest_missing).await?;
    let outcome = match specify(app, step, &tools.files).await {
        Ok(child) => {
            let is_own_user = child.spec().account.is_none();
            let outcome = run_to_end(app, child, tools).await;
            if is_own_user {
                let clean = move |creates: &Path| {
                    if !creates.exists() {
                        remove_empty(creates, missing.as_deref());
                    }
                };
                tools.look(app, step, clean).await?;
            }
            outcome
        }
        Err(error) => Err(error),
    };
    let (exit, last) = outcome.map_err(|error| not_started(app, step, error))?;
    if exit != Exit::Code(0) {
        return Err(SetupError::Ended { app: name.clone(), step: words, exit, last });
    }
    if !tools.exists(app, step).await? {
        let creates = step.creates.clone();
        return Err(SetupError::NotCreated { app: name.clone(), step: words, creates });
    }
    tracing::info!(app = %name, creates = %step.creates.display(), "setup done");
    Ok(())
}

/// The highest folder above the path that does not exist.
fn highest_missing(path: &Path) -> Option<PathBuf> {
    let missing = path.ancestors().skip(1).take_while(|folder| !folder.exists());
    missing.last().map(Path::to_path_buf)
}

/// Removes the empty folders that a failed step leaves above its path, up to `highest`. The guard makes
/// one of them before a step; while it exists, the app would be stopped for the next attempt, as
/// [`is_apart`] says. Not for a step that runs as another user: it could lead the path elsewhere.
fn remove_empty(path: &Path, highest: Option<&Path>) {
    let Some(highest) = highest else { return };
    let folders = path.ancestors().skip(1).take_while(|folder| folder.starts_with(highest));
    for folder in folders {
        match std::fs::remove_dir(folder) {
            Err(error) if error.kind() != ErrorKind::NotFound => return,
            _ => {}
        }
    }
}

async fn specify(app: &App, step: &Setup, files: &Files) -> Result<Child, SpawnError> {
    let (app, step) = (app.clone(), step.clone());
    let prepared = files.look(move || {
        let run = app.run.as_ref().ok_or(SpawnError::Empty)?;
        child::prepare(Spec::of_setup(&app, run, &step)?)
    });
    prepared.await?
}

/// The command as people recognise it, with secrets masked: for a shell with an inline script, the name
/// that the script was given.
fn display_name(step: &Setup) -> String {
    let is_script = |word: &String| word.contains('\n');
    let script = step.run.iter().position(is_script);
    if let Some(name @ [_, ..]) = script.map(|script| &step.run[script + 1..]) {
        return mask::command(name.iter().map(String::as_str));
    }
    mask::command(step.run.iter().map(|word| if is_script(word) { "…" } else { word }))
}

/// Runs a step to its end and returns its exit and the last line that it wrote.
async fn run_to_end(
    app: &App,
    child: Child,
    Tools { reaper, files, log }: &Tools<'_>,
) -> Result<(Exit, String), SpawnError> {
    let pipes = || {
        let (receiver, writer) = reaper.pipe()?;
        Ok((Receiver::from_owned_fd(receiver.into())?, writer))
    };
    let (out, out_writer) = pipes().map_err(SpawnError::Descriptors)?;
    let (err, err_writer) = pipes().map_err(SpawnError::Descriptors)?;
    let forked = child.fork(reaper, out_writer.into(), err_writer.into())?;
    let mut process = forked.running(files).await?;
    let said = Arc::new(Mutex::new(Said::default()));
    let forwarders = [(out, Stream::Stdout), (err, Stream::Stderr)].map(|(pipe, stream)| {
        let said = said.clone();
        let observer = move |line: &[u8]| {
            said.lock().unwrap_or_else(PoisonError::into_inner).take(line);
        };
        let log = log.child(&app.name).stream(stream);
        AbortOnDropHandle::new(tokio::spawn(forward(pipe, log, Box::new(observer))))
    });
    let ended = (&mut process.ended).await;
    // What the step left behind would keep the output pipe open and run beside the app.
    process.end(reaper, KILL_GRACE).await;
    let _ = timeout(LAST_LINES, join_all(forwarders)).await;
    let exit = ended.map_or(Exit::Code(i32::from(INTERNAL)), |ended| ended.exit);
    let reason = said.lock().unwrap_or_else(PoisonError::into_inner).reason();
    Ok((exit, reason))
}

/// What a step has written that may say why it failed.
#[derive(Default)]
struct Said {
    last: String,
    /// The first line about a full disk. Programs write further lines after it.
    full: Option<String>,
}

impl Said {
    fn take(&mut self, line: &[u8]) {
        if line.trim_ascii().is_empty() {
            return;
        }
        self.last = String::from_utf8_lossy(line).into_owned();
        let lower = self.last.to_ascii_lowercase();
        // ENOSPC and EDQUOT, as the C library, Python, Rust and Node.js write them.
        let words = ["no space left on device", "disk quota exceeded", "[errno 28]", "enospc"];
        if self.full.is_none() && words.iter().any(|word| lower.contains(word)) {
            self.full = Some(self.last.clone());
        }
    }

    fn reason(&self) -> String {
        match &self.full {
            Some(line) => format!("the disk is full; free some space and start again ({line})"),
            None => self.last.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use nix::fcntl::{Flock, FlockArg};

    use super::*;
    use crate::one_process::alone;
    use crate::supervisor::sample_apps::app;
    use crate::telemetry::Selection;

    fn step(folder: &Path, creates: &str, script: &str) -> Setup {
        Setup {
            run: ["/bin/sh", "-c", script].map(str::to_owned).to_vec(),
            creates: folder.join(creates),
            env: vec![("OUT".into(), folder.display().to_string())],
        }
    }

    fn with(name: &str, steps: Vec<Setup>) -> App {
        let mut app = app(name, &["true"]);
        app.run.as_mut().unwrap().setup = steps;
        app
    }

    #[tokio::test]
    async fn a_step_runs_once() {
        let _alone = alone().await;
        let (reaper, log) = (Reaper::start().unwrap(), LogHandle::unwritten());
        let folder = tempfile::tempdir().unwrap();
        let made = |script| step(folder.path(), "made", script);
        let apps = ["a", "b"]
            .map(|name| with(name, vec![made("echo making; echo x >>$OUT/made; sleep 0.1")]));
        assert!(setup_is_due(&apps));
        setup(&apps, &reaper, &log).await.unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("made")).unwrap(), "x\n");
        assert!(
            log.tail(&Selection::All, 9).iter().any(|line| line.ends_with("a           | making"))
        );
        assert!(!setup_is_due(&apps));
        setup(&apps, &reaper, &log).await.unwrap();
        assert_eq!(std::fs::read_to_string(folder.path().join("made")).unwrap(), "x\n");
    }

    #[tokio::test]
    async fn a_failure_names_app_step_and_reason_and_other_apps_finish() {
        let _alone = alone().await;
        let (reaper, log) = (Reaper::start().unwrap(), LogHandle::unwritten());
        let folder = tempfile::tempdir().unwrap();
        let made = |creates, script| step(folder.path(), creates, script);
        let slow = with("slow", vec![made("slow", "sleep 0.3; echo x >$OUT/slow")]);
        for (app, expected) in [
            (
                with(
                    "a",
                    vec![made("a", "echo first; echo no network >&2; exit 4"), made("b", "exit 5")],
                ),
                "setup of a failed: `/bin/sh -c echo first; echo no network >&2; exit 4` ended with exit 4: no network",
            ),
            (
                with("a", vec![made("a", "cat /proc/version >/dev/full || echo bad file; exit 1")]),
                "ended with exit 1: the disk is full; free some space and start again (",
            ),
            (
                with("a", vec![made("a", "echo 'OSError: [Errno 28]'; echo bad file >&2; exit 1")]),
                "the disk is full; free some space and start again (OSError: [Errno 28])",
            ),
            (
                with("a", vec![made("a", "echo no space for device names; exit 1")]),
                "ended with exit 1: no space for device names",
            ),
            (with("a", vec![made("a", "true")]), "did not create"),
            (
                with("a", vec![Setup { run: vec!["/nowhere/x".into()], ..made("a", "") }]),
                "/nowhere/x: No such",
            ),
        ] {
            let failed = setup(&[app, slow.clone()], &reaper, &log).await.unwrap_err().to_string();
            assert!(failed.contains(expected), "{failed}");
            assert!(folder.path().join("slow").exists());
        }
    }

    #[tokio::test]
    async fn dropping_the_setup_kills_its_processes() {
        let _alone = alone().await;
        let (reaper, log) = (Reaper::start().unwrap(), LogHandle::unwritten());
        let folder = tempfile::tempdir().unwrap();
        let apps = [with("a", vec![step(folder.path(), "a", "sleep 100 & sleep 100")])];
        let cut = timeout(Duration::from_millis(200), setup(&apps, &reaper, &log)).await;
        assert!(cut.is_err());
        timeout(Duration::from_secs(5), async {
            while reaper.has_children() {
                let _ = timeout(Duration::from_millis(20), reaper.reaped()).await;
            }
        })
        .await
        .unwrap();
    }

    #[test]
    fn what_a_setup_makes_in_a_new_folder_is_used_by_no_process() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path();
        std::fs::create_dir(dir.join("used")).unwrap();
        std::fs::write(dir.join("used/.complete"), "").unwrap();
        for (creates, apart) in [
            (&["new/.complete"][..], true),
            (&["used/.complete", "new/.complete"], true),
            (&["used/.other"], false),
            (&["new/.complete", "used/.other"], false),
            (&["file"], false),
        ] {
            let steps = creates.iter().map(|creates| step(dir, creates, "true")).collect();
            let app = with("a", steps);
            assert_eq!((is_due(&app), is_apart(&app)), (true, apart), "{creates:?}");
        }
    }

    #[tokio::test]
    async fn a_failed_step_leaves_no_empty_folder_and_everything_else() {
        let _alone = alone().await;
        let (reaper, log) = (Reaper::start().unwrap(), LogHandle::unwritten());
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("before")).unwrap();
        for (creates, script, left) in [
            ("new/deep/done", "mkdir -p $OUT/new/deep; exit 3", &[][..]),
            ("half/deep/done", "mkdir -p $OUT/half/deep; echo x >$OUT/half/x", &["half"]),
            ("before/done", "exit 3", &["before", "half"]),
            ("never/done", "exit 3", &["before", "half"]),
        ] {
            let apps = [with("a", vec![step(folder.path(), creates, script)])];
            assert!(setup(&apps, &reaper, &log).await.is_err());
            let entries = std::fs::read_dir(folder.path()).unwrap().flatten();
            let mut names: Vec<_> =
                entries.map(|entry| entry.file_name().into_string().unwrap()).collect();
            names.sort();
            assert!(left.iter().all(|name| names.contains(&(*name).to_owned())), "{names:?}");
            assert!(
                !names.iter().any(|name| ["new", "never"].contains(&name.as_str())),
                "{names:?}"
            );
        }
    }

    /// Whether a process of the script still runs: it keeps the lock.
    fn lives(folder: &Path) -> bool {
        let file = std::fs::File::open(folder.join("held")).unwrap();
        Flock::lock(file, FlockArg::LockExclusiveNonblock).is_err()
    }

    #[tokio::test]
    async fn what_a_step_leaves_behind_in_a_session_of_its_own_ends_with_the_step() {
        let _alone = alone().await;
        let (reaper, log) = (Reaper::start().unwrap(), LogHandle::unwritten());
        let daemon = "exec 9>$OUT/held; flock 9; \
             (setsid sh -c 'while :; do setsid sleep 1000 & sleep 0.01; done' >/dev/null 2>&1 &); \
             sleep 0.2";
        for (end, is_right) in
            [("echo x >$OUT/made", true), ("exit 3", false), ("sleep 100", false)]
        {
            let folder = tempfile::tempdir().unwrap();
            let script = format!("{daemon}; {end}");
            let apps = [with("a", vec![step(folder.path(), "made", &script)])];
            let done = timeout(Duration::from_millis(1500), setup(&apps, &reaper, &log)).await;
            assert_eq!(matches!(done, Ok(Ok(()))), is_right, "{end}");
            if end.starts_with("sleep") {
                // Its future was dropped.
                timeout(Duration::from_secs(5), async {
                    while lives(folder.path()) {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                })
                .await
                .unwrap();
            }
            assert!(!lives(folder.path()), "{end}");
        }
    }

    #[test]
    fn an_inline_script_is_not_shown() {
        let mut step = step(Path::new("/x"), "a", "line\nline");
        assert_eq!(display_name(&step), "/bin/sh -c …");
        step.run.push("a-setup".into());
        assert_eq!(display_name(&step), "a-setup");
        step.run = ["fetch", "--token", "abc", "https://me:pw@host"].map(str::to_owned).to_vec();
        assert_eq!(display_name(&step), "fetch --token *** https://me:***@host");
    }
}
