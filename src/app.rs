//! Composition root: builds all parts from the configuration, runs them, returns the exit code. The
//! only place that uses all folders.
//!
//! Order of a start: block signals → check the whole file → state folder, secrets, keys → bind the
//! sockets (requests wait for the issuer) → apps in order, each after its first-time setup. Nothing
//! here waits for the issuer: the proxy starts to serve when discovery has succeeded.
//!
//! A stop runs in reverse order within one budget: finish requests, stop the apps with Keycloak
//! last, write the log.

mod announce;
mod app_folders;
mod apps_folder;
mod author;
mod ca;
mod can;
mod commands;
mod doctor;
mod ending;
mod first_administrator;
mod homes;
mod open_files;
mod refused;
mod reload;
mod shared_files;
mod sources;
mod state_dir;
mod state_guard;
mod token_address;
mod users;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::administration::Administration;
use crate::alerts::{self, Alerts, Webhook};
use crate::auth::{Auth, IssuerState};
use crate::config::{Config, Missing, Problem};
use crate::control::whereabouts::{self, Note};
use crate::control::{Overview, People, ReloadRequest, Server as ControlServer};
use crate::metrics;
use crate::proxy::{self, AppLinks, Listeners, Proxy};
use crate::supervisor::setup::{setup as first_time_setup, setup_is_due};
use crate::supervisor::signals::{self, Signals};
use crate::supervisor::{self, Handle, Reaper, Supervisor};
use crate::telemetry::{self, LogHandle, SpanExport};
use crate::threads::{self, Turn};
use crate::tls::{self, Front};
use crate::tokens;

use announce::{announce, log_progress, warn_of_known_passwords};
pub use author::{InitOptions, add, init};
pub use ca::ca;
pub use can::{Question, can};
pub use commands::{ask, check, import, print, status};
use commands::{load, load_for_setup};
pub use doctor::doctor;
use ending::{End, KEPT_FOR_LOG, Running, asked_to_stop, asked_to_stop_or, stop};
use first_administrator::Looking;
pub use refused::INTERNAL;
use refused::{Refused, SETUP_FAILED, setting};
use reload::Reloader;
use sources::Sources;

/// At the end: time to export the last spans.
const KEPT_FOR_SPANS: std::time::Duration = std::time::Duration::from_millis(500);

/// `appliance run`: returns the exit code of the process.
pub fn run(path: &Path) -> u8 {
    enter(|| load(path), |config| async { serve(config).await })
}

/// `appliance setup`
pub fn setup(path: &Path) -> u8 {
    enter(|| load_for_setup(path), |config| async { setup_only(config).await })
}

fn enter<F>(load: impl FnOnce() -> Result<Config, Refused>, work: impl FnOnce(Config) -> F) -> u8
where
    F: Future<Output = Result<u8, Refused>>,
{
    // Before any secret is read: a process that an app has left may still run with the same user.
    let outcome = supervisor::keep_memory_private()
        .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build())
        .map_err(Refused::internal)
        .and_then(|runtime| {
            let config = load()?;
            let code = catch_unwind(AssertUnwindSafe(|| {
                runtime.block_on(async {
                    threads::keep_one().map_err(Refused::internal)?;
                    work(config).await
                })
            }));
            // A blocking call that does not return must not delay the end, also after a panic.
            runtime.shutdown_background();
            code.unwrap_or_else(|panic| resume_unwind(panic))
        });
    outcome.unwrap_or_else(|refused| refused.report())
}

async fn setup_only(mut config: Config) -> Result<u8, Refused> {
    let _lock = state_dir::prepare(&config)?;
    homes::choose(&mut config);
    app_folders::prepare(&config)?;
    let log = telemetry::start(&config.log).map_err(Refused::internal)?;
    let mut signals = signals::listen().map_err(Refused::internal)?;
    let reaper = Reaper::start().map_err(Refused::internal)?;
    let files = config.own_secret_files();
    let _ = supervisor::guard_state(&reaper, &config.server.state_dir, &files);
    let due = setup_is_due(&config.apps);
    let code = tokio::select! {
        done = first_time_setup(&config.apps, &reaper, &log) => match done {
            Ok(()) => {
                info!("{}", if due { "setup complete" } else { "setup complete: nothing to do" });
                0
            }
            Err(problem) => {
                error!("{problem}");
                SETUP_FAILED
            }
        },
        () = asked_to_stop(&mut signals) => 0,
    };
    log.flush(config.server.shutdown_timeout).await;
    Ok(code)
}

async fn serve(mut config: Config) -> Result<u8, Refused> {
    // Once for all TLS connections: to the issuer and to upstreams.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let mut signals = signals::listen().map_err(Refused::internal)?;
    // A TERM arrived while the file was read. Nothing has been started.
    if signals.pending() {
        return Ok(0);
    }
    // First, because another appliance with this state folder also holds the ports that are checked
    // below.
    let _lock = state_dir::prepare(&config)?;
    let (errors, warnings): (Vec<_>, Vec<_>) =
        config.preflight().into_iter().partition(Problem::is_error);
    if !errors.is_empty() {
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        return Err(Refused::configuration(texts.join("\n\n")));
    }
    homes::choose(&mut config);
    app_folders::prepare(&config)?;
    let tokens = token_address::offer(&mut config, None).map_err(Refused::internal)?;
    let sources = Sources::default().read(&config, Missing::Make)?;
    open_tls_to_apps(&config, None)?;
    let open_files = supervisor::raise_open_files();
    let ports = config.assign_ports();
    ports.map_err(|error| open_files::refused(&error, &config, open_files))?;
    let log = telemetry::start(&config.log).map_err(Refused::internal)?;
    for warning in warnings {
        warn!(at = warning.at(), why = warning.reason(), "a setting needs attention");
    }
    let spans = SpanExport::start();
    let outcome = boot(config, sources, tokens, open_files, log.clone(), &mut signals).await;
    if let Some(spans) = spans {
        spans.finish(KEPT_FOR_SPANS).await;
    }
    if outcome.is_err() {
        log.flush(KEPT_FOR_LOG).await;
    }
    outcome
}

async fn boot(
    config: Config,
    sources: Sources,
    tokens: Option<tokens::Server>,
    open_files: u64,
    log: LogHandle,
    signals: &mut Signals,
) -> Result<u8, Refused> {
    let (auth, webhook) = (open_auth(&config)?, open_webhook(&config)?);
    let (front, most) =
        (open_front(&config, None)?, open_files::max_connections(&config, open_files));
    let (listeners, metrics) = bind(&config)?;
    let reaper = Reaper::start().map_err(Refused::internal)?;
    log_start(&config, &reaper, open_files);
    let (supervisor, handle) = supervisor_of(&config, &reaper, &log);
    let (console, administration) = (Arc::default(), Arc::<Administration>::default());
    let links = reload::links(&config, &handle, &console, &administration);
    let proxy = Proxy::new(&config, auth.clone(), front.clone(), &links, log.clone(), most);
    let serving = proxy.serve(listeners).map_err(Refused::internal)?;

    let issuer = auth.as_ref().map(|auth| auth.issuer());
    let auth = auth.map(watch::Sender::new);
    let looking = Looking { administration: Arc::clone(&administration), log: log.clone() };
    log_progress(&config, issuer.clone(), &links.phases, handle.started(), looking);
    let watching = auth.as_ref().map(|auth| watch_issuer(&config, auth, &links, &handle));
    let (stopping, is_stopping) = watch::channel(false);
    let mut reloader = Reloader {
        config: watch::Sender::new(Arc::new(config)),
        sources: Arc::new(sources),
        supervisor: handle.clone(),
        console,
        administration,
        door: serving.door(),
        auth,
        webhook: watch::Sender::new(webhook),
        front: watch::Sender::new(front),
        log: log.clone(),
        tokens: None,
        open_files,
        stopping: is_stopping,
        last_reload: reload::started(),
        files: Turn::default(),
    };
    reloader.administration.open(reloader.config.subscribe(), reloader.supervisor.clone());
    start_beside(metrics, tokens, &mut reloader)?;
    let untried_alerts = send_alerts(&reloader, issuer.clone());
    let (reloads, on_reload) = mpsc::unbounded_channel();
    let (current_auth, config) = reloader.current();
    let follower =
        apps_folder::Follower::new(reloader.config.subscribe(), handle.clone(), reloads.clone());
    let (control, _note) = listen_for_commands(&reloader, issuer, reloads)?;
    let following = follower.map(|follower| tokio::spawn(apps_folder::follow(follower)));
    let running = Running {
        supervisor: handle,
        reaper,
        auth: current_auth,
        watching,
        serving,
        untried_alerts,
        stopping,
        log,
        config,
        reload: reloader.start(on_reload),
    };
    let code = live(supervisor, signals, running).await;
    control.abort();
    if let Some(following) = following {
        following.abort();
    }
    Ok(code)
}

fn open_auth(config: &Config) -> Result<Option<Arc<Auth>>, Refused> {
    let open = |_| Auth::open(config, tokio::runtime::Handle::current());
    let auth = config.oidc.as_ref().map(open).transpose();
    auth.map_err(|error| setting(config, error.key, &error.to_string()))
}

fn open_webhook(config: &Config) -> Result<Option<Arc<Webhook>>, Refused> {
    let webhook = Webhook::of(config);
    let webhook =
        webhook.map_err(|error| setting(config, &["alerts", "webhook"], &error.to_string()))?;
    Ok(webhook.map(Arc::new))
}

/// Reads the certificates. `before`: those that are served.
fn open_front(config: &Config, before: Option<&Arc<Front>>) -> Result<Option<Arc<Front>>, Refused> {
    Front::open(config, before)
        .map_err(|error| setting(config, &["server", "tls"], &error.to_string()))
}

/// Reads the files for the TLS to apps. `before`: the configuration that runs.
fn open_tls_to_apps(config: &Config, before: Option<&Config>) -> Result<(), Refused> {
    tls::to_apps::open(config, before).map_err(|error| {
        setting(config, &["apps", error.app.as_str(), error.key], &error.to_string())
    })
}

/// Binds the addresses for clients and for the metrics.
fn bind(config: &Config) -> Result<(Listeners, Option<metrics::Server>), Refused> {
    let listeners = proxy::bind(&config.server.addresses())
        .map_err(|error| setting(config, &["server", "listen"], &error.to_string()))?;
    let metrics = config.server.metrics.map(metrics::Server::bind).transpose();
    let metrics =
        metrics.map_err(|error| setting(config, &["server", "metrics"], &error.to_string()))?;
    Ok((listeners, metrics))
}

/// Starts what runs beside the proxy: the task that follows the files of certificates, and small servers.
fn start_beside(
    metrics: Option<metrics::Server>,
    tokens: Option<tokens::Server>,
    reloader: &mut Reloader,
) -> Result<(), Refused> {
    tokio::spawn(tls::follow(reloader.front.subscribe()));
    if let Some(metrics) = metrics {
        let serving = metrics.serve(reloader.numbers()).map_err(Refused::internal)?;
        tokio::spawn(serving);
    }
    reloader.serve_tokens(tokens)
}

/// Starts the task that sends alerts. Returns the tracker of those that have not been tried once.
fn send_alerts(reloader: &Reloader, issuer: Option<watch::Receiver<IssuerState>>) -> TaskTracker {
    let alerts = Alerts::new(reloader.webhook.subscribe());
    let untried = alerts.untried();
    let incidents = reloader.supervisor.incidents();
    let (stopping, front) = (reloader.stopping.clone(), reloader.front.subscribe());
    tokio::spawn(alerts.run(alerts::Subjects { incidents, issuer, front, stopping }));
    untried
}

/// What the control socket needs to answer requests.
fn overview(
    reloader: &Reloader,
    issuer: Option<watch::Receiver<IssuerState>>,
    reloads: mpsc::UnboundedSender<ReloadRequest>,
) -> Overview {
    Overview {
        config: reloader.config.subscribe(),
        reloads,
        supervisor: reloader.supervisor.clone(),
        people: People::new({
            let door = reloader.door.clone();
            move || door.proxy().people()
        }),
        auth: reloader.auth.as_ref().map(watch::Sender::subscribe),
        issuer,
        administration: Arc::clone(&reloader.administration),
        stopping: reloader.stopping.clone(),
        log: reloader.log.clone(),
        reading: Turn::default(),
    }
}

/// Logs what an operator should know of this start, and hides the secrets from apps.
fn log_start(config: &Config, reaper: &Reaper, open_files: u64) {
    announce(config);
    apps_folder::log_found(None, config);
    users::log_users(config);
    homes::log_homes(config);
    state_guard::guard(config, reaper);
    warn_of_known_passwords(config);
    open_files::log_lowered(config, open_files);
}

/// Starts the tasks that follow the issuer. Returns the one that never ends.
fn watch_issuer(
    config: &Config,
    auth: &watch::Sender<Arc<Auth>>,
    links: &AppLinks,
    supervisor: &Handle,
) -> JoinHandle<()> {
    let current = auth.borrow().clone();
    let issuer_app = config.oidc.as_ref().and_then(|oidc| oidc.served_by.as_ref());
    if let Some((app, phase)) = issuer_app.and_then(|app| Some((app, links.phases.get(app)?))) {
        current.follow_issuer_app(phase.clone(), links.checks.get(app).cloned());
    } else {
        let what = "the issuer".to_owned();
        current.check_issuer_by(supervisor.outsider_check(what, Vec::new(), config));
    }
    tokio::spawn(keep_running(auth.subscribe()))
}

/// Runs the background work of the sessions; after a reload, that of the configuration in force.
async fn keep_running(mut current: watch::Receiver<Arc<Auth>>) {
    loop {
        let auth = current.borrow_and_update().clone();
        tokio::select! {
            () = auth.run() => return,
            changed = current.changed() => if changed.is_err() {
                return;
            },
        }
    }
}

/// Builds the supervisor without spawning anything. The issuer's app is the last to stop.
fn supervisor_of(config: &Config, reaper: &Reaper, log: &LogHandle) -> (Supervisor, Handle) {
    let state_dir = config.server.state_dir.clone();
    let apps = config.supervised();
    let (supervisor, handle) = Supervisor::new(apps, state_dir, reaper.clone(), log.clone());
    let supervisor = supervisor.with_parallel_starts(config.server.starts_at_once());
    match config.oidc.as_ref().and_then(|oidc| oidc.served_by.as_ref()) {
        Some(issuer) => (supervisor.with_issuer(issuer), handle),
        None => (supervisor, handle),
    }
}

fn listen_for_commands(
    reloader: &Reloader,
    issuer: Option<watch::Receiver<IssuerState>>,
    reloads: mpsc::UnboundedSender<ReloadRequest>,
) -> Result<(JoinHandle<()>, Note), Refused> {
    let overview = Arc::new(overview(reloader, issuer, reloads));
    let config = reloader.config.borrow();
    let socket = state_dir::socket_path(&config.server.state_dir);
    let server = ControlServer::bind(&socket)
        .map_err(|source| Refused::internal(format!("{}: {source}", socket.display())))?;
    let note = whereabouts::note(&config.path, &socket);
    reloader.console.open(Arc::clone(&overview));
    Ok((tokio::spawn(server.serve(overview)), note))
}

/// Runs from the first spawn to the exit code.
async fn live(supervisor: Supervisor, signals: &mut Signals, mut running: Running) -> u8 {
    let mut critical = running.supervisor.critical();
    let mut supervising = tokio::spawn(supervisor.run());
    let reload = running.reload.clone();
    let end = tokio::select! {
        () = asked_to_stop_or(signals, || reload.notify_one()) => {
            info!("asked to stop");
            End::asked()
        }
        Ok(failed) = critical.wait_for(Option::is_some) => {
            let (app, code) = failed.as_ref().map_or((String::new(), INTERNAL), |failed| {
                (failed.app.to_string(), failed.code)
            });
            End::failed(code, format!("the critical app {app} has failed for good"))
        }
        why = running.ended_task() => End::failed(INTERNAL, why),
        ended = &mut supervising => {
            let why = match ended {
                Ok(()) => "the supervisor ended by itself".to_owned(),
                Err(error) => format!("the supervisor failed: {error}"),
            };
            return stop(running, None, signals, End::failed(INTERNAL, why)).await;
        }
    };
    stop(running, Some(supervising), signals, end).await
}
