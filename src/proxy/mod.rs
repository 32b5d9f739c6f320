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
//! files/      files as responses                → upstream, phases, answer
//! upstream/   connections to apps               → phases, answer
//! phases/     admit, route, access, headers     → answer
//! answer/     responses of the appliance        → nothing
//! socket/     listening and connected sockets   ← every folder may use it
//! trial       a request that is judged only     → pipeline, own, phases, answer
//! ```

mod answer;
mod client;
mod compression;
mod embedding;
mod files;
mod links;
mod own;
mod phases;
mod pipeline;
mod socket;
mod trial;
mod tunnel;
mod upstream;

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::request::Parts;
use ipnet::IpNet;

use crate::auth::Auth;
use crate::config::{AppClients, Config, Server};
use crate::telemetry::{APPLIANCE, LogHandle, Throttle};
use crate::tls::Front;

pub use client::capacity::MaxConnections;
pub use client::running_proxy::{Door, NewAddresses, RunningProxy};
pub use links::AppLinks;
pub use own::app_token::{AppToken, NoToken};
pub(crate) use own::console::{Console, Initiator, NoAnswer, Order, Scope, View};
pub(crate) use own::first_administrator::link::{FirstAdministrator, NewAccount, NotCreated};
pub(crate) use phases::refusals::Refused;
pub use phases::route::traffic::TrafficFigures;
pub use socket::listen::{BindError, Listeners, bind};
pub use trial::{Judged, PolicySource, Ruling, TrialRequest, judge};

pub(crate) use answer::escape::Html;
pub(crate) use answer::pages::Frame;

use answer::pages::Pages;
use client::capacity::Capacity;
use compression::store::Store;
use own::console::parts::ConsoleParts;
use own::portal::Portal;
use own::resource::Resources;
use phases::access::asked::Asked;
use phases::access::page_origin::HandshakePage;
use phases::access::page_origin::PublicOrigin;
use phases::admit::client_address::RequestSource;
use phases::admit::path::AdmittedPath;
use phases::admit::rate::Rates;
use phases::detached;
use phases::headers::spoofed_headers::SpoofedHeaders;
use phases::route::in_force::RoutesInForce;
use phases::route::places::{MAX_IN_ALL, Places};
use phases::route::readiness::Gate;
use phases::route::routes::Routes;
use phases::route::second_path::SecondPaths;
use phases::route::several::pass::is_pass;
use phases::route::traffic::Traffic;
use socket::ways::Ways;

/// The configured proxy: routes, policies and pages. It has no sockets until [`Proxy::serve`]. It
/// never changes: a reload builds another one with [`Proxy::successor`].
#[derive(Debug)]
pub struct Proxy {
    auth: Option<Arc<Auth>>,
    gate: Gate,
    /// The places of requests that wait for an app that restarts.
    holds: Arc<Places>,
    routes: Arc<Routes>,
    /// Counts the requests that no app answers.
    own_traffic: Arc<Traffic>,
    /// For the lines about apps that send no valid response.
    bad_responses: Arc<Throttle>,
    /// The routes in force, for what lasts longer than a configuration.
    routes_in_force: Arc<RoutesInForce>,
    portal: Portal,
    pages: Pages,
    spoofed_headers: SpoofedHeaders,
    /// Operators, their console, and what it shows.
    console: ConsoleParts,
    /// Makes the first administrator of the Keycloak of the appliance.
    first_administrator: Option<Arc<dyn FirstAdministrator>>,
    /// The origin of `public_url`.
    public: String,
    /// Name of the session cookie in the configuration.
    session_cookie: String,
    /// The scheme of `public_url` is https.
    secure: bool,
    /// The certificates; `None` if the addresses speak no TLS.
    tls: Option<Arc<Front>>,
    /// The ways by which clients may come in.
    ways: Ways,
    /// The value of `Strict-Transport-Security`.
    hsts: Option<HeaderValue>,
    /// The networks of `trusted_proxies`.
    trusted: Vec<IpNet>,
    /// They name their clients by the PROXY protocol; for the lines about those that do not.
    unannounced: Option<Arc<Throttle>>,
    /// The client connections that may be open, counted over reloads.
    capacity: Arc<Capacity>,
    /// Recognises the apps among the clients.
    clients: Option<Arc<dyn AppClients>>,
    max_connections: MaxConnections,
    max_connections_per_ip: Option<usize>,
    max_header_bytes: usize,
    header_timeout: Duration,
    idle_timeout: Duration,
    body_timeout: Duration,
    send_timeout: Duration,
    /// Describes apps with `bearer` to programs.
    resources: Option<Resources>,
    /// The limits of each client.
    rates: Rates,
    /// `[server] compression`
    compression: bool,
    /// Compressed texts, kept over reloads.
    compressed: Store,
    /// `None` if access lines are switched off.
    log: Option<LogHandle>,
}

impl Proxy {
    /// Builds routes and pages from a configuration. `links` connects to every app that has a process.
    pub fn new(
        config: &Config,
        auth: Option<Arc<Auth>>,
        tls: Option<Arc<Front>>,
        links: &AppLinks,
        log: LogHandle,
        max_connections: MaxConnections,
    ) -> Arc<Self> {
        let log = config.log.access.then_some(log);
        Self::build(config, auth, tls, links, log, max_connections, None)
    }

    /// The proxy of another configuration, which continues this one: connections, waiting requests
    /// and what is known of the apps stay. It serves from [`Door::replace`] on.
    pub fn successor(
        &self,
        config: &Config,
        auth: Option<Arc<Auth>>,
        tls: Option<Arc<Front>>,
        links: &AppLinks,
        log: LogHandle,
        max_connections: MaxConnections,
    ) -> Arc<Self> {
        let log = config.log.access.then_some(log);
        Self::build(config, auth, tls, links, log, max_connections, Some(self))
    }

    fn build(
        config: &Config,
        auth: Option<Arc<Auth>>,
        tls: Option<Arc<Front>>,
        links: &AppLinks,
        log: Option<LogHandle>,
        max_connections: MaxConnections,
        before: Option<&Self>,
    ) -> Arc<Self> {
        let issuer = auth.as_ref().map(|auth| auth.issuer());
        let server = &config.server;
        let routes = Routes::new(config, links, before.map(|before| &*before.routes));
        let routes = Arc::new(routes);
        let routes_in_force = match before {
            Some(before) => Arc::clone(&before.routes_in_force),
            None => Arc::new(RoutesInForce::new(Arc::clone(&routes))),
        };
        Arc::new(Self {
            gate: Gate::new(config, issuer, &links.phases, before.map(|before| &before.gate)),
            holds: before.map_or_else(
                || Arc::new(Places::new(MAX_IN_ALL)),
                |before| Arc::clone(&before.holds),
            ),
            routes,
            own_traffic: before.map(|before| Arc::clone(&before.own_traffic)).unwrap_or_default(),
            bad_responses: before
                .map(|before| Arc::clone(&before.bad_responses))
                .unwrap_or_default(),
            routes_in_force,
            portal: Portal::new(config),
            pages: Pages::new(config),
            spoofed_headers: SpoofedHeaders::new(
                config,
                before.map(|before| &before.spoofed_headers),
            ),
            console: ConsoleParts::new(config, links, before.map(|before| &before.console)),
            first_administrator: links.first_administrator.clone(),
            public: server.public_url.to_string(),
            session_cookie: config.session.cookie.clone(),
            secure: server.public_url.secure,
            ways: Ways::of(server, tls.is_some()),
            tls,
            hsts: server.hsts.and_then(|time| {
                HeaderValue::from_str(&format!("max-age={}", time.as_secs())).ok()
            }),
            trusted: server.trusted_proxies.clone(),
            unannounced: unannounced(server, before),
            capacity: before.map_or_else(Capacity::new, |before| Arc::clone(&before.capacity)),
            clients: links.clients.clone(),
            max_connections,
            max_connections_per_ip: server.max_connections_per_ip,
            max_header_bytes: server.max_header_bytes,
            header_timeout: server.header_timeout,
            idle_timeout: server.idle_timeout,
            body_timeout: server.body_timeout,
            send_timeout: server.send_timeout,
            resources: Resources::new(config),
            rates: Rates::new(server.rate_limit, before.map(|before| &before.rates)),
            compression: server.compression,
            compressed: before.map_or_else(Store::new, |before| before.compressed.clone()),
            auth,
            log,
        })
    }

    /// The requests of each app with a route, and those that the appliance itself answers.
    pub fn traffic(&self) -> Vec<(String, TrafficFigures)> {
        let own = [(APPLIANCE.to_owned(), self.own_traffic.figures())].into_iter();
        let apps = self.routes.all().iter();
        own.chain(apps.map(|app| (app.name.to_string(), app.traffic.figures()))).collect()
    }

    /// How many people have used each app with a route in the last five minutes.
    pub fn people(&self) -> Vec<(String, usize)> {
        let now = tokio::time::Instant::now();
        let apps = self.routes.all().iter();
        apps.map(|app| (app.name.to_string(), app.traffic.people.count(now))).collect()
    }

    /// Sets what all proxies of this process share. Called when this one begins to serve.
    fn take_over(&self) {
        self.routes_in_force.set(Arc::clone(&self.routes));
        self.console.take_over();
        self.capacity.set_limits(self.max_connections, self.max_connections_per_ip);
    }

    /// What a request that lasts is judged by again after a reload.
    fn asked(
        &self,
        head: &Parts,
        host: Option<&HeaderValue>,
        path: &AdmittedPath,
        second: SecondPaths,
        websocket: bool,
    ) -> Asked {
        let (judged_by, in_force) = (Arc::clone(&self.routes), Arc::clone(&self.routes_in_force));
        let page = websocket.then(|| HandshakePage::of(&head.headers, self.public_origin()));
        let (host, path) = if websocket {
            (host.map(detached::header), path.detached())
        } else {
            (host.cloned(), path.clone())
        };
        let method = head.method.clone();
        Asked { method, host, path, second, judged_by, in_force, page: page.map(Box::new) }
    }

    fn public_origin(&self) -> PublicOrigin<'_> {
        PublicOrigin { text: &self.public, secure: self.secure }
    }

    /// Whether the browser uses https: by the statement of a trusted proxy, otherwise by `public_url`.
    fn is_secure(&self, source: &RequestSource) -> bool {
        source.secure.unwrap_or(self.secure)
    }

    /// Whether a cookie is one of the appliance. No app receives or sets it.
    fn owns_cookie(&self, name: &str) -> bool {
        match &self.auth {
            Some(auth) => auth.owns_cookie(name),
            None => is_pass(&self.session_cookie, name),
        }
    }
}

/// For the lines about proxies that name no clients; `None` if they do not have to.
fn unannounced(server: &Server, before: Option<&Proxy>) -> Option<Arc<Throttle>> {
    let known = before.and_then(|before| before.unannounced.clone());
    server.proxy_protocol.then(|| known.unwrap_or_default())
}

#[cfg(test)]
#[path = "../../tests/unit/proxy/mod.rs"]
pub(crate) mod tests;
