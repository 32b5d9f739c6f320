//! Gathers the numbers.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike as _;
use tokio::sync::watch;

use super::figures::{AppFigures, Figures, LastReload, ProcessFigures, unix_seconds};
use crate::auth::{Auth, IssuerState};
use crate::proxy::Door;
use crate::supervisor::Handle;
use crate::telemetry::LogHandle;
use crate::tls::Front;

/// Where the numbers come from.
#[derive(Debug)]
pub struct Sources {
    /// The supervisor of the apps.
    pub supervisor: Handle,
    /// The proxy.
    pub door: Door,
    /// The sessions; `None` if nobody can sign in.
    pub auth: Option<watch::Receiver<Arc<Auth>>>,
    /// The log.
    pub log: LogHandle,
    /// How the last reload ended.
    pub last_reload: watch::Receiver<LastReload>,
    /// The certificates.
    pub front: watch::Receiver<Option<Arc<Front>>>,
    /// When the appliance started.
    pub started: SystemTime,
}

impl Sources {
    pub(super) async fn gather(&self) -> Figures {
        let usage = self.supervisor.usage().await;
        let auth = self.auth.as_ref().map(|auth| auth.borrow().clone());
        let apps = self.supervisor.status().into_iter().map(|app| {
            let used = usage.get(&app.name);
            AppFigures {
                name: app.name.to_string(),
                phase: app.phase,
                restarts: app.restarts,
                start: app.start,
                memory: used.map(|used| used.memory),
                cpu: used.map(|used| used.cpu),
            }
        });
        let apps: Vec<_> = apps.collect();
        let mut log_bytes: HashMap<_, _> = self.log.bytes().into_iter().collect();
        log_bytes.retain(|name, _| apps.iter().any(|app| app.name == name.as_str()));
        Figures {
            process: self.process(),
            traffic: self.door.proxy().traffic(),
            issuer_up: auth.as_ref().map(|auth| *auth.issuer().borrow() == IssuerState::Right),
            auth: auth.map(|auth| auth.figures()),
            apps,
            log_bytes: log_bytes.into_iter().map(|(app, bytes)| (app.to_string(), bytes)).collect(),
            last_reload: *self.last_reload.borrow(),
            certificates: self
                .front
                .borrow()
                .as_ref()
                .map(|front| front.names().into_iter().collect())
                .unwrap_or_default(),
        }
    }

    fn process(&self) -> ProcessFigures {
        let micros = |time: nix::sys::time::TimeVal| time.num_microseconds().unsigned_abs();
        let cpu = getrusage(UsageWho::RUSAGE_SELF).map(|usage| {
            Duration::from_micros(micros(usage.user_time()) + micros(usage.system_time()))
        });
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
        let pages = pages.split_ascii_whitespace().nth(1).and_then(|pages| pages.parse().ok());
        let files = std::fs::read_dir("/proc/self/fd").map(Iterator::count).unwrap_or_default();
        ProcessFigures {
            cpu_seconds: cpu.unwrap_or_default().as_secs_f64(),
            resident_bytes: pages.unwrap_or(0_u64) * rustix::param::page_size() as u64,
            open_files: files as u64,
            max_open_files: getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(soft, _)| soft),
            started: unix_seconds(self.started),
        }
    }
}
