//! Bytes in, bytes out: the front door.
//!
//! Worker threads accept from shared listeners. Each request goes through the phases of
//! [`pipeline`]; nothing here ever waits for a lock that another thread holds for long, and
//! nothing reaches an app that was not admitted, routed and allowed before.
//!
//! It does not know processes: an app is an address and a phase that changes.

mod admission;
mod answer;
mod body;
mod caller;
mod connection;
mod cookies;
mod forward;
mod frames;
mod gate;
mod handshake;
mod hop;
mod link;
mod listen;
mod origin;
mod outlet;
mod own;
mod pages;
mod pipeline;
mod pool;
mod portal;
mod pump;
mod record;
mod refusal;
mod restore;
mod rewrite;
mod routes;
mod scrub;
mod seat;
mod secure;
mod serving;
mod stream;
mod tunnel;
mod upload;
mod visit;
mod websocket;
mod wire;
mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::watch;

use crate::auth::Auth;
use crate::config::{Access, AppName, Config, Phase};
use crate::telemetry::LogHandle;

pub use listen::{BindError, Listeners, bind};
pub use secure::tls_config;
pub use serving::Serving;

/// The front door before it is opened: routes and pages, no socket.
#[derive(Debug)]
pub struct Proxy {
    auth: Option<Arc<Auth>>,
    gate: gate::Gate,
    routes: routes::Routes,
    portal: portal::Portal,
    pages: pages::Pages,
    scrub: scrub::Scrub,
    operators: Option<Access>,
    /// The origin that browsers use.
    public: String,
    secure: bool,
    trusted: Vec<IpNet>,
    max_header_bytes: usize,
    header_timeout: Duration,
    idle_timeout: Duration,
    body_timeout: Duration,
    log: Option<LogHandle>,
}

impl Proxy {
    /// Builds routes and pages. `phases` has every app with a process.
    pub fn new(
        config: &Config,
        auth: Option<Arc<Auth>>,
        phases: HashMap<AppName, watch::Receiver<Phase>>,
        log: LogHandle,
    ) -> Arc<Self> {
        Self::build(config, auth, phases, config.log.access.then_some(log))
    }

    fn build(
        config: &Config,
        auth: Option<Arc<Auth>>,
        phases: HashMap<AppName, watch::Receiver<Phase>>,
        log: Option<LogHandle>,
    ) -> Arc<Self> {
        let issuer = auth.as_ref().map(|auth| auth.issuer());
        let server = &config.server;
        Arc::new(Self {
            gate: gate::Gate::new(config, issuer, &phases),
            routes: routes::Routes::new(config, phases),
            portal: portal::Portal::new(config),
            pages: pages::Pages::new(config),
            scrub: scrub::Scrub::new(config),
            operators: server.operators.clone(),
            public: server.public_url.to_string(),
            secure: server.public_url.secure,
            trusted: server.trusted_proxies.clone(),
            max_header_bytes: server.max_header_bytes,
            header_timeout: server.header_timeout,
            idle_timeout: server.idle_timeout,
            body_timeout: server.body_timeout,
            auth,
            log,
        })
    }

    fn owns_cookie(&self, name: &str) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.owns_cookie(name))
    }
}

#[cfg(test)]
#[path = "../../tests/unit/front_door.rs"]
mod tests;
