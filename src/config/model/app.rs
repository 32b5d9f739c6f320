//! One app, checked.

use std::sync::Arc;
use std::time::Duration;

use super::access::Access;
use super::idle::WarmHours;
use super::life::{After, Backoff, Restart, Schedule, StopPlan};
use super::name::AppName;
use super::probe::Probe;
use super::route::Route;
use super::run::Run;
use super::upstream::{AppTls, Upstream};

/// An app: a child process, a route, or both.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")]
pub struct App {
    /// Name of the app.
    pub name: AppName,
    /// The process; `None` if the app runs elsewhere.
    pub run: Option<Run>,
    /// The route; `None` if the app is not reachable from outside.
    pub route: Option<Route>,
    /// Number of processes.
    pub replicas: u32,
    /// The processes of an app that has several: each is an app with a name and a port of its own.
    /// [`super::Config::assign_ports`] makes them. The app itself is as the first of them.
    pub processes: Vec<Self>,
    /// Port on 127.0.0.1; [`super::Config::assign_ports`] chooses one if the file gives none.
    pub port: Option<u16>,
    /// The port of `{free_port}`, if the app uses it.
    pub second_port: Option<u16>,
    /// The port is written in the file: the app is meant to listen on it.
    pub port_is_given: bool,
    /// Apps that this app waits for.
    pub after: Vec<After>,
    /// The `ready` probe; without one, the app is ready when it has started.
    pub ready: Option<Probe>,
    /// The `live` probe, which is not asked before the app was ready once.
    pub live: Option<Probe>,
    /// Number of `live` failures in a row after which the app is restarted.
    pub live_failures: u32,
    /// The app starts with the appliance; otherwise by a command only.
    pub autostart: bool,
    /// Which exits start the app again.
    pub restart: Restart,
    /// Pause before a restart.
    pub backoff: Backoff,
    /// With more restarts than this within `window`, the app has failed.
    pub max_restarts: u32,
    /// See `max_restarts`.
    pub window: Duration,
    /// An app that uses more memory in bytes than this is restarted.
    pub max_memory: Option<u64>,
    /// Exit codes that count as success.
    pub success_exit_codes: Vec<i32>,
    /// If the app fails for good, the appliance stops with its exit code.
    pub critical: bool,
    /// The app runs once and is ready when it exits with success.
    pub oneshot: bool,
    /// The times at which the app runs; it is a `oneshot` then.
    pub schedule: Option<Schedule>,
    /// The times at which the app is restarted.
    pub restart_at: Option<Schedule>,
    /// The app is stopped when nobody has used it for this long, and started by the next request.
    pub idle_stop: Option<Duration>,
    /// Hours in which an app with `idle_stop` runs also unused.
    pub keep_warm: Option<WarmHours>,
    /// How the app is stopped.
    pub stop: StopPlan,
    /// Portal: name of the app for people.
    pub title: Option<String>,
    /// Portal: an emoji, a `data:` URL or a path of the same origin.
    pub icon: Option<String>,
    /// Portal: one line of text.
    pub description: Option<String>,
    /// Portal: the app has no tile.
    pub hidden: bool,
    /// Who may use the console for this app, beside the operators of all apps.
    pub operators: Option<Access>,
}

impl App {
    /// The processes of the app: the app itself if it has only one.
    pub fn each_process(&self) -> &[Self] {
        if self.processes.is_empty() { std::slice::from_ref(self) } else { &self.processes }
    }

    /// The addresses that requests and probes go to; an address of both comes twice.
    pub fn upstreams(&self) -> impl Iterator<Item = &Upstream> {
        let routed = self.route.iter().flat_map(|route| &route.upstreams);
        let probes = self.ready.iter().chain(&self.live);
        routed.chain(probes.flat_map(|probe| probe.kind.asked()))
    }

    /// The same to change them.
    pub(crate) fn upstreams_mut(&mut self) -> impl Iterator<Item = &mut Upstream> {
        let routed = self.route.iter_mut().flat_map(|route| &mut route.upstreams);
        let probes = self.ready.iter_mut().chain(&mut self.live);
        routed.chain(probes.flat_map(|probe| probe.kind.asked_mut()))
    }

    /// What is known of the addresses under another configuration stays known.
    pub(super) fn continue_from(&mut self, before: &Self) {
        for upstream in self.upstreams_mut() {
            if let Some(known) = before.upstreams().find(|known| *known == upstream) {
                upstream.standing = known.standing.clone();
            }
        }
    }

    /// Whether the program of the app gets access tokens, and the appliance runs the program.
    pub fn asks_for_tokens(&self) -> bool {
        let identity = self.route.as_ref().and_then(|route| route.identity.as_ref());
        self.run.is_some() && identity.is_some_and(|identity| identity.access_token.is_some())
    }

    /// The TLS settings, if the app has an `https://` address.
    pub fn tls(&self) -> Option<&Arc<AppTls>> {
        self.upstreams().find_map(|upstream| upstream.tls.as_ref())
    }
}
