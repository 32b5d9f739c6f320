//! Changes the configuration while the appliance runs: `appliance reload`, and the signal HUP.
//!
//! A reload is prepared whole before anything changes: the file is read and checked, secrets and
//! keys are read, new addresses are bound. What fails there changes nothing. Then each part takes
//! over its share: log, supervisor, sessions, and the proxy last. Reloads follow each other.

mod prepared;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{sleep, timeout};
use tracing::{error, info, warn};

use super::refused::{Refused, setting};
use super::{
    announce, app_folders, apps_folder, open_files, open_front, open_webhook, sources, state_guard,
    users,
};
use crate::administration::Administration;
use crate::alerts::Webhook;
use crate::auth::Auth;
use crate::config::{AppName, Config, Missing, Plan, Step};
use crate::console::Room;
use crate::control::{ReloadOutcome, ReloadRequest};
use crate::metrics::{LastReload, Sources};
use crate::proxy::{AppLinks, Door};
use crate::supervisor::{Handle, refuse_served};
use crate::telemetry::LogHandle;
use crate::threads::{Turn, blocking};
use crate::tls::Front;
use crate::tokens;

use prepared::Prepared;

/// Carries out reloads, one after the other.
#[derive(Debug)]
pub(super) struct Reloader {
    /// The configuration that runs.
    pub(super) config: watch::Sender<Arc<Config>>,
    pub(super) sources: Arc<sources::Sources>,
    pub(super) supervisor: Handle,
    pub(super) console: Arc<Room>,
    pub(super) administration: Arc<Administration>,
    pub(super) door: Door,
    pub(super) auth: Option<watch::Sender<Arc<Auth>>>,
    pub(super) webhook: watch::Sender<Option<Arc<Webhook>>>,
    pub(super) front: watch::Sender<Option<Arc<Front>>>,
    pub(super) log: LogHandle,
    /// The port where apps get access tokens, once it is bound.
    pub(super) tokens: Option<u16>,
    /// The limit of open files.
    pub(super) open_files: u64,
    pub(super) stopping: watch::Receiver<bool>,
    pub(super) last_reload: watch::Sender<LastReload>,
    /// The turn to read the files of a configuration.
    pub(super) files: Turn,
}

/// How often a file that changes is read.
const ATTEMPTS: u32 = 20;
/// How long the files that it names are waited for: with slow disks, but not with one that hangs.
const LONGEST: Duration = Duration::from_mins(2);
const NO_ANSWER: &str = "files of the configuration do not answer: a disk hangs that a `cwd`, an `env_file`, a secret or another path is on; repair that disk, or correct the path, then reload again";
/// Before it is read again.
const PAUSE: Duration = Duration::from_millis(50);

/// Before the first reload, the start counts.
pub(super) fn started() -> watch::Sender<LastReload> {
    watch::Sender::new(LastReload { successful: true, at: SystemTime::now() })
}

impl Reloader {
    /// The sessions and the configuration in force, and every change of them.
    pub(super) fn current(
        &self,
    ) -> (Option<watch::Receiver<Arc<Auth>>>, watch::Receiver<Arc<Config>>) {
        (self.auth.as_ref().map(watch::Sender::subscribe), self.config.subscribe())
    }

    /// Where the metrics come from.
    pub(super) fn numbers(&self) -> Sources {
        Sources {
            supervisor: self.supervisor.clone(),
            door: self.door.clone(),
            auth: self.auth.as_ref().map(watch::Sender::subscribe),
            log: self.log.clone(),
            last_reload: self.last_reload.subscribe(),
            front: self.front.subscribe(),
            started: self.last_reload.borrow().at,
        }
    }

    /// Begins to give access tokens to apps, at a port that was not bound before.
    pub(super) fn serve_tokens(&mut self, new: Option<tokens::Server>) -> Result<(), Refused> {
        if let Some(server) = new {
            let port = server.port();
            tokio::spawn(server.serve(self.door.clone()).map_err(Refused::internal)?);
            self.tokens = Some(port);
        }
        Ok(())
    }

    /// Begins to answer requests. Returns what a signal that requests a reload notifies.
    pub(super) fn start(self, requests: mpsc::UnboundedReceiver<ReloadRequest>) -> Arc<Notify> {
        let signalled = Arc::new(Notify::new());
        tokio::spawn(self.run(requests, Arc::clone(&signalled)));
        signalled
    }

    /// Answers requests until their channel is closed. Of several signals that arrive during a reload,
    /// one more reload is the consequence: it reads the newest file.
    async fn run(
        mut self,
        mut requests: mpsc::UnboundedReceiver<ReloadRequest>,
        signalled: Arc<Notify>,
    ) {
        loop {
            let (dry_run, reply) = tokio::select! {
                request = requests.recv() => match request {
                    Some(ReloadRequest { dry_run, reply }) => (dry_run, Some(reply)),
                    None => return,
                },
                () = signalled.notified() => (false, None),
            };
            let outcome = self.reload(dry_run).await;
            let outcome = match outcome {
                Ok(plan) => ReloadOutcome { code: 0, plan: Some(plan), message: None },
                Err(Refused { code, text }) => {
                    ReloadOutcome { code, plan: None, message: Some(text) }
                }
            };
            if let Some(reply) = reply {
                let _ = reply.send(outcome);
            }
        }
    }

    async fn reload(&mut self, dry_run: bool) -> Result<Plan, Refused> {
        if *self.stopping.borrow() {
            return Err(Refused::unavailable("the appliance is stopping"));
        }
        let running = self.config.borrow().clone();
        let changed = match self.prepare_whole(&running).await {
            Ok(prepared) if dry_run => return Ok(prepared.plan),
            Ok(prepared) => self.carry_out(&running, prepared).await,
            Err(refused) => Err(refused),
        };
        if !dry_run {
            let successful = changed.is_ok();
            self.last_reload.send_replace(LastReload { successful, at: SystemTime::now() });
        }
        if let Err(refused) = &changed
            && !dry_run
        {
            for why in refused.text.split("\n\n") {
                error!(why, "the configuration was not reloaded, nothing has changed");
            }
        }
        changed
    }

    /// Reads and checks the file, again if it changes meanwhile: a part of a file may open what the whole
    /// file closes.
    async fn prepare_whole(&self, running: &Arc<Config>) -> Result<Prepared, Refused> {
        for _ in 0..ATTEMPTS {
            let (prepared, is_whole) = self.prepare(running).await?;
            if is_whole {
                return Ok(prepared);
            }
            sleep(PAUSE).await;
        }
        Err(Refused::configuration("the file changes again and again; reload when it is complete"))
    }

    /// Reads and checks the file, and says whether it is still the same file afterwards. That may wait for
    /// disks, so the supervisor's thread does not do it.
    async fn prepare(&self, running: &Arc<Config>) -> Result<(Prepared, bool), Refused> {
        let (running, sources, tokens) =
            (Arc::clone(running), Arc::clone(&self.sources), self.tokens);
        // An app that was removed may still be ending, and hold its port.
        let known = self.supervisor.status().into_iter().map(|state| state.name);
        let ending: Vec<AppName> =
            known.filter(|name| !running.processes().any(|one| one.name == *name)).collect();
        let prepare = move || {
            let prepared = prepared::prepare(&running, &sources, tokens, &ending)?;
            let is_whole = prepared.config.differs_since().is_none();
            Ok((prepared, is_whole))
        };
        // A fault of the appliance that a file brings to light is no reason to end what runs.
        let prepared = self.files.blocking(move || catch_unwind(AssertUnwindSafe(prepare)));
        let Ok(prepared) = timeout(LONGEST, prepared).await else {
            return Err(Refused::unavailable(NO_ANSWER));
        };
        prepared.unwrap_or_else(|_| {
            Err(Refused::internal("the appliance has failed to check the file: this is a fault of the appliance, please report it with the file"))
        })
    }

    /// Makes the generated secrets that are new. What was read before counts: the plan is made from it,
    /// and a file that has changed since is a change for the next reload.
    async fn make_secrets(
        config: Config,
        sources: sources::Sources,
    ) -> Result<(Config, sources::Sources), Refused> {
        let making = blocking(move || {
            let made = sources.read(&config, Missing::Make)?;
            Ok((config, sources.filled_by(made)))
        });
        making.await
    }

    async fn carry_out(&mut self, running: &Config, prepared: Prepared) -> Result<Plan, Refused> {
        let Prepared { config, plan, warnings, sources, tokens } = prepared;
        app_folders::check(&config)?;
        let (config, sources) = Self::make_secrets(config, sources).await?;
        let auth = match &self.auth {
            Some(auth) => {
                let successor = auth.borrow().clone().successor(&config);
                Some(successor.map_err(|error| setting(&config, error.key, &error.to_string()))?)
            }
            None => None,
        };
        let webhook = open_webhook(&config)?;
        prepared::refuse_moved_secrets()?;
        let addresses = self.door.bind(&config.server.addresses());
        let addresses = addresses
            .map_err(|error| setting(&config, &["server", "listen"], &error.to_string()))?;
        state_guard::guard_more(running, &config).map_err(|error| {
            Refused::configuration(format!("a secret cannot be hidden: {error}"))
        })?;
        // After what may be refused: they make folders, and perhaps another certificate authority.
        app_folders::prepare(&config)?;
        let front = open_front(&config, self.front.borrow().as_ref())?;
        self.log
            .configure(&config.log)
            .map_err(|error| setting(&config, &["log", "level"], &error.to_string()))?;

        self.serve_tokens(tokens)?;
        let (apps, replaced) = (config.supervised(), plan.restarted());
        let parallel_starts = config.server.starts_at_once();
        let changed = self.supervisor.reconfigure(apps, replaced, parallel_starts).await;
        changed.map_err(Refused::unavailable)?;
        let links = links(&config, &self.supervisor, &self.console, &self.administration);
        let log = self.log.clone();
        let connections = open_files::max_connections(&config, self.open_files);
        let current = self.door.proxy();
        let proxy =
            current.successor(&config, auth.clone(), front.clone(), &links, log, connections);
        if let (Some(current), Some(auth)) = (&self.auth, auth) {
            auth.take_over(&config);
            current.send_replace(auth);
        }
        self.webhook.send_replace(webhook);
        self.front.send_replace(front);
        self.door.replace(proxy);
        self.door.listen(addresses);
        apps_folder::log_found(Some(running), &config);
        users::log_changed_users(running, &config);
        announce::warn_of_new_known_passwords(running, &config);
        for warning in warnings {
            warn!(at = warning.at(), why = warning.reason(), "a setting needs attention");
        }
        self.sources = Arc::new(sources);
        let opens_console = has_console(&config) && !has_console(running);
        self.config.send_replace(Arc::new(config));
        if opens_console {
            let administration = Arc::clone(&self.administration);
            tokio::spawn(async move { administration.admit_console().await });
        }
        log_plan(&plan);
        Ok(plan)
    }
}

/// Whether some groups reach the admin console of the realm.
fn has_console(config: &Config) -> bool {
    let realm = config.oidc.as_ref().and_then(|oidc| oidc.own_realm.as_ref());
    realm.is_some_and(|realm| realm.console.is_some())
}

/// What connects the proxy to the apps of a configuration, and to each process of an app with several.
pub(super) fn links(
    config: &Config,
    supervisor: &Handle,
    console: &Arc<Room>,
    administration: &Arc<Administration>,
) -> AppLinks {
    let has_realm = config.oidc.as_ref().is_some_and(|oidc| oidc.own_realm.is_some());
    let names = config.apps.iter().chain(config.processes()).map(|app| &app.name);
    let phases = names.filter_map(|name| Some((name.clone(), supervisor.phase(name)?)));
    supervisor.remember_users(config);
    let mut checks = supervisor.listener_checks();
    for app in config.apps.iter().filter(|app| app.run.is_none() && app.route.is_some()) {
        let awaited = app.after.iter().map(|after| after.app.clone()).collect();
        let what = format!("the upstream of {}", app.name);
        checks.insert(app.name.clone(), supervisor.outsider_check(what, awaited, config));
    }
    AppLinks {
        phases: phases.collect(),
        checks,
        sleepers: supervisor.sleepers(),
        clients: Some(supervisor.app_clients()),
        console: Some(Arc::clone(console) as _),
        first_administrator: has_realm.then(|| Arc::clone(administration) as _),
        secrets: Some(refuse_served),
    }
}

fn log_plan(plan: &Plan) {
    for step in plan.steps.iter().filter(|step| !matches!(step, Step::Keep { .. })) {
        if matches!(step, Step::NeedsNewStart { .. }) {
            warn!(%step, "a part of the configuration is not in force");
        } else {
            info!(%step, "configuration change");
        }
    }
    info!(changed = !plan.is_empty(), "configuration reloaded");
}
