//! The authenticating reverse proxy.
//!
//! Worker threads accept connections from shared listeners. Every request goes through the phases
//! of `pipeline`; a request reaches an app only after the proxy has admitted, routed and authorised
//! it. No request waits for a lock that another thread may hold for long.
//!
//! The proxy does not know the processes of apps. It sees an app as an address and a phase.
//!
//! ```text
//! client/     connections from clients          → pipeline, phases, answer
//! pipeline/   one request, phase by phase       → own, tunnel, upstream, phases, answer
//! own/        endpoints of the appliance        → phases, answer
//! tunnel/     WebSockets                        → upstream, phases, answer
//! upstream/   connections to apps               → phases, answer
//! phases/     admit, route, access, headers     → answer
//! answer/     responses of the appliance        → nothing
//! socket/     listening and connected sockets   ← every folder may use it
//! ```

mod answer;
mod client;
mod own;
mod phases;
mod pipeline;
mod socket;
mod tunnel;
mod upstream;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::watch;

use crate::auth::Auth;
use crate::config::{Access, AppName, Config, ListenerChecks, Phase};
use crate::telemetry::LogHandle;

pub use client::running_proxy::RunningProxy;
pub use socket::listen::{BindError, Listeners, bind};
pub use socket::tls_client::tls_config;

use answer::pages::Pages;
use client::capacity::Capacity;
use own::portal::Portal;
use phases::access::page_origin::PublicOrigin;
use phases::admit::client_address::RequestSource;
use phases::headers::spoofed_headers::SpoofedHeaders;
use phases::route::places::{MAX_IN_ALL, Places};
use phases::route::readiness::Gate;
use phases::route::routes::Routes;

/// The configured proxy: routes, policies and pages. It has no sockets until [`Proxy::serve`].
#[derive(Debug)]
pub struct Proxy {
    auth: Option<Arc<Auth>>,
    gate: Gate,
    /// The places of requests that wait for an app that restarts.
    holds: Places,
    routes: Routes,
    portal: Portal,
    pages: Pages,
    spoofed_headers: SpoofedHeaders,
    /// The people who have access to the operator page.
    operators: Option<Access>,
    /// The origin of `public_url`.
    public: String,
    /// The scheme of `public_url` is https.
    secure: bool,
    /// The networks of `trusted_proxies`.
    trusted: Vec<IpNet>,
    /// The client connections that may be open.
    capacity: Arc<Capacity>,
    max_header_bytes: usize,
    header_timeout: Duration,
    idle_timeout: Duration,
    body_timeout: Duration,
    send_timeout: Duration,
    /// `None` if access lines are switched off.
    log: Option<LogHandle>,
}

impl Proxy {
    /// Builds routes and pages from a configuration. `phases` holds the phase of every app that has a
    /// process, and `checks` those of its listeners.
    pub fn new(
        config: &Config,
        auth: Option<Arc<Auth>>,
        phases: HashMap<AppName, watch::Receiver<Phase>>,
        checks: &ListenerChecks,
        log: LogHandle,
    ) -> Arc<Self> {
        Self::build(config, auth, phases, checks, config.log.access.then_some(log))
    }

    fn build(
        config: &Config,
        auth: Option<Arc<Auth>>,
        phases: HashMap<AppName, watch::Receiver<Phase>>,
        checks: &ListenerChecks,
        log: Option<LogHandle>,
    ) -> Arc<Self> {
        let issuer = auth.as_ref().map(|auth| auth.issuer());
        let server = &config.server;
        Arc::new(Self {
            gate: Gate::new(config, issuer, &phases),
            holds: Places::new(MAX_IN_ALL),
            routes: Routes::new(config, phases, checks),
            portal: Portal::new(config),
            pages: Pages::new(config),
            spoofed_headers: SpoofedHeaders::new(config),
            operators: server.operators.clone(),
            public: server.public_url.to_string(),
            secure: server.public_url.secure,
            trusted: server.trusted_proxies.clone(),
            capacity: Capacity::new(server.max_connections, server.max_connections_per_ip),
            max_header_bytes: server.max_header_bytes,
            header_timeout: server.header_timeout,
            idle_timeout: server.idle_timeout,
            body_timeout: server.body_timeout,
            send_timeout: server.send_timeout,
            auth,
            log,
        })
    }

    fn public_origin(&self) -> PublicOrigin<'_> {
        PublicOrigin { text: &self.public, secure: self.secure }
    }

    /// Whether the browser uses https: by the statement of a trusted proxy, otherwise by `public_url`.
    fn is_secure(&self, source: &RequestSource) -> bool {
        source.secure.unwrap_or(self.secure)
    }

    fn owns_cookie(&self, name: &str) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.owns_cookie(name))
    }
}

#[cfg(test)]
#[path = "../../tests/unit/proxy/mod.rs"]
mod tests;
