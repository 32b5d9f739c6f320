//! Takes up new, changed and removed apps of a folder while the appliance runs.
//!
//! The folder is looked at twice a second: file systems that a container shares with another system do
//! not tell of changes. A change is taken up when two looks have found the same, so that an editor or a
//! copy can finish.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::sleep;
use tracing::{info, warn};

use super::stamps::Stamps;
use crate::config::{Config, FoundApp, Plan};
use crate::control::ReloadRequest;
use crate::supervisor::Handle;
use crate::threads::Turn;

/// Between two looks at the folder.
const PAUSE: Duration = Duration::from_millis(500);

/// These read their files for each page or session, so that a change needs no restart.
const READ_ANEW: [&str; 2] = ["voila", "static"];

/// What follows the folder.
#[derive(Debug)]
pub(in crate::app) struct Follower {
    folder: PathBuf,
    config: watch::Receiver<Arc<Config>>,
    supervisor: Handle,
    reloads: mpsc::UnboundedSender<ReloadRequest>,
    taken_up: Stamps,
    disk: Turn,
}

impl Follower {
    /// `None` if the configuration is a file.
    pub(in crate::app) fn new(
        config: watch::Receiver<Arc<Config>>,
        supervisor: Handle,
        reloads: mpsc::UnboundedSender<ReloadRequest>,
    ) -> Option<Self> {
        let folder = config.borrow().apps_folder.as_ref().map(|_| config.borrow().dir.clone())?;
        let taken_up = Stamps::of(&folder).unwrap_or_default();
        Some(Self { folder, config, supervisor, reloads, taken_up, disk: Turn::default() })
    }
}

/// Follows the folder until the appliance stops.
pub(in crate::app) async fn follow(mut follower: Follower) {
    let mut seen = follower.taken_up.clone();
    loop {
        sleep(PAUSE).await;
        let folder = follower.folder.clone();
        let stamps = follower.disk.blocking(move || Stamps::of(&folder)).await;
        // A folder that is away for a moment, such as a share, ends no app.
        let Ok(stamps) = stamps else { continue };
        let is_settled = stamps == seen;
        seen.clone_from(&stamps);
        if is_settled && stamps != follower.taken_up {
            let changed = follower.taken_up.changed(&stamps);
            follower.taken_up = stamps;
            if follower.take_up(&changed).await.is_none() {
                return;
            }
        }
    }
}

impl Follower {
    /// `None` if the appliance stops.
    async fn take_up(&mut self, changed: &[String]) -> Option<()> {
        let before = self.config.borrow().clone();
        let (reply, outcome) = oneshot::channel();
        self.reloads.send(ReloadRequest { dry_run: false, reply }).ok()?;
        let outcome = outcome.await.ok()?;
        // The reload has logged why it was refused. The apps that it knows still get their new code.
        let plan = outcome.plan.unwrap_or_default();
        let config = self.config.borrow_and_update().clone();
        for app in restarts((&before, &config), changed, &plan) {
            info!(app, "the code of the app has changed: it restarts");
            if let Err(error) = self.supervisor.restart(&app, false).await {
                warn!(app, why = %error, "the app was not restarted");
            }
        }
        Some(())
    }
}

/// The apps that run old code: the reload has not restarted them, but their files have changed. A module
/// beside the scripts may be a part of each of them.
fn restarts((before, config): (&Config, &Config), changed: &[String], plan: &Plan) -> Vec<String> {
    let found = |config: &Config| config.apps_folder.clone().unwrap_or_default();
    let (old, new) = (found(before), found(config));
    let begun = [plan.restarted(), plan.started()].concat();
    let is_app = |file: &String| old.found.iter().chain(&new.found).any(|app| app.file == *file);
    let has_part = changed.iter().any(|file| !is_app(file) && is_module(config, file));
    let is_old = |app: &&FoundApp| {
        let own = changed.contains(&app.file);
        let shared = has_part && is_script(&app.file);
        (own || shared)
            && !READ_ANEW.contains(&app.kind)
            && !begun.iter().any(|name| name.as_str() == app.name)
            && config.app(&app.name).is_some()
    };
    new.found.iter().filter(is_old).map(|app| app.name.clone()).collect()
}

fn is_script(file: &str) -> bool {
    std::path::Path::new(file).extension().is_some_and(|end| end == "py")
}

/// Whether scripts can import it: a module, or a folder of modules that is there now.
fn is_module(config: &Config, file: &str) -> bool {
    is_script(file) || config.dir.join(file).is_dir()
}
