//! A routed app: its route, addresses and phase, and the policy for a request to the app.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::header::{HeaderMap, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderName, HeaderValue};
use tokio::sync::watch;
use tracing::warn;

use super::neighbours::Neighbours;
use super::places::{MAX_PER_APP, Places};
use super::several::pass::PassCookie;
use super::several::seats::Seats;
use super::traffic::Traffic;
use crate::config::{
    Access, App, AppName, Config, Constraints, ListenerCheck, Phase, Reading, Route, Sleeper,
    Standing, below, first_segments, folded,
};
use crate::proxy::embedding::Embedding;
use crate::proxy::links::AppLinks;
use crate::site::Site;

/// An app with a route. The proxy sees its addresses and its phase, never its process.
#[derive(Debug)]
pub(crate) struct RoutedApp {
    /// The app's name in the configuration.
    pub name: AppName,
    /// The name that people see.
    pub title: String,
    /// The route as configured.
    pub route: Route,
    /// The headers in which the app receives the identity of the signed-in person.
    pub identity: Vec<(HeaderName, Attribute)>,
    /// See [`App::asks_for_tokens`].
    pub asks_for_tokens: bool,
    /// `X-Forwarded-Prefix`: the path that `strip_prefix` removes from requests.
    pub forwarded_prefix: Option<HeaderValue>,
    /// The app is the issuer: it is not reachable until discovery succeeds, even if its `access` is
    /// public.
    pub is_issuer: bool,
    /// The phase of the app's process; `None` for an app that runs elsewhere.
    pub phase: Option<watch::Receiver<Phase>>,
    /// For requests that wait while the app restarts.
    pub restarts: Arc<Restarts>,
    /// Counts the requests of the app.
    pub traffic: Arc<Traffic>,
    /// Whether the program behind a new connection is the app.
    pub listener: Option<Arc<dyn ListenerCheck>>,
    /// The places, if the app has several.
    pub several: Option<Box<Several>>,
    /// One of several addresses of the app, which is left out while it cannot be reached.
    pub is_one_address: bool,
    /// The bit by which a session remembers that it has used the app; more than 64 apps share bits.
    pub mark: u64,
    /// Learns of the use of the app, and wakes it; `None` for an app that runs elsewhere.
    pub sleeper: Option<Arc<dyn Sleeper>>,
    /// The files of an app without a program.
    pub site: Option<Arc<Site>>,
    /// The apps and hosts beside this one.
    pub neighbours: Neighbours,
    /// What lets pages of other sites frame the app.
    pub embedding: Option<Box<Embedding>>,
    /// How many segments the app's path has.
    depth: usize,
    /// The log has named the proxy in front that drops `Upgrade`.
    upgrade_missed: AtomicBool,
}

/// The places where an app with several is served: its processes in the order of their numbers, or its
/// addresses in the order of the file. Each is a routed app with an address of its own, and a process has
/// a phase of its own.
#[derive(Debug)]
pub(crate) struct Several {
    pub places: Vec<Arc<RoutedApp>>,
    pub spread: Spread,
}

/// How requests are spread over the places.
#[derive(Debug)]
pub(crate) enum Spread {
    /// Each goes to the place with the fewest requests in flight. The number of the place that is asked
    /// first, among equals.
    Least(AtomicUsize),
    /// Those of a session stay with one place.
    Sticky(Box<Sticky>),
}

/// Where sessions stay.
#[derive(Debug)]
pub(crate) struct Sticky {
    /// The place of each session.
    pub seats: Arc<Seats>,
    /// The cookie of visitors who are not signed in.
    pub cookie: PassCookie,
}

/// What is known of the restarts of an app.
#[derive(Debug)]
pub(crate) struct Restarts {
    /// The appliance runs the app, so it also restarts it.
    pub(super) has_process: bool,
    /// The app has been ready once.
    pub(super) was_ready: AtomicBool,
    /// Something waits for the first readiness.
    pub(super) is_observed: AtomicBool,
    /// The places of requests that wait for the app.
    pub(super) waiting: Places,
}

/// The value of an identity header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attribute {
    User,
    Email,
    Groups,
    PreferredUsername,
    Name,
    AccessToken,
    Assertion,
}

/// Whom a path of an app answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    /// Browsers and programs, whatever makes them ask.
    Everybody,
    /// People who open a page, and programs that are no browsers.
    People,
    /// Programs that are no browsers.
    Programs,
}

/// The policy for one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy<'a> {
    /// The people who have access.
    pub access: &'a Access,
    /// The people who have no access although `access` admits them.
    pub deny: &'a [Constraints],
    /// A request without a session gets 401, also if it is a navigation.
    pub api: bool,
}

impl RoutedApp {
    pub(in crate::proxy) fn new(
        app: &App,
        route: &Route,
        config: &Config,
        links: &AppLinks,
    ) -> Self {
        let name = &app.name;
        let served_by = config.oidc.as_ref().and_then(|oidc| oidc.served_by.as_ref());
        Self {
            name: app.name.clone(),
            title: app.title.clone().unwrap_or_else(|| app.name.to_string()),
            route: route.clone(),
            identity: identity_names(route),
            asks_for_tokens: app.asks_for_tokens(),
            forwarded_prefix: Some(&route.path)
                .filter(|path| route.strip_prefix && *path != "/")
                .and_then(|path| HeaderValue::from_str(path).ok()),
            is_issuer: served_by == Some(&app.name),
            phase: links.phases.get(name).cloned(),
            restarts: Arc::new(Restarts {
                has_process: app.run.is_some(),
                was_ready: AtomicBool::new(false),
                is_observed: AtomicBool::new(false),
                waiting: Places::new(MAX_PER_APP),
            }),
            traffic: Arc::default(),
            listener: links.checks.get(name).cloned(),
            sleeper: links.sleepers.get(name).cloned(),
            several: None,
            is_one_address: false,
            mark: 0,
            site: route
                .files
                .as_ref()
                .map(|files| Arc::new(Site::new(name, files, config, links.secrets))),
            neighbours: Neighbours::new(&app.name, route, config),
            embedding: Embedding::new(name, route, config).map(Box::new),
            depth: route.path.split('/').filter(|segment| !segment.is_empty()).count(),
            upgrade_missed: AtomicBool::new(false),
        }
    }

    /// One place of the app, which shares with the app what is counted and known. `place`: the app in
    /// the configuration, with the address of the place.
    pub(super) fn place(&self, place: &App, config: &Config, links: &AppLinks) -> Option<Self> {
        let mut one = Self::new(place, place.route.as_ref()?, config, links);
        one.name = self.name.clone();
        one.title.clone_from(&self.title);
        one.traffic = Arc::clone(&self.traffic);
        one.restarts = Arc::clone(&self.restarts);
        one.neighbours = self.neighbours.clone();
        Some(one)
    }

    /// How the address of a place does.
    pub(crate) fn standing(&self) -> Option<&Standing> {
        self.route.upstreams.first().map(|upstream| &upstream.standing)
    }

    /// Whether it is the same app, and a request that was prepared for one fits the other.
    pub(crate) fn takes_requests_like(&self, other: &Self) -> bool {
        let (own, others) = (&self.route, &other.route);
        self.name == other.name
            && self.identity == other.identity
            && (&own.host, &own.path) == (&others.host, &others.path)
            && (own.strip_prefix, own.raw_path) == (others.strip_prefix, others.raw_path)
    }

    /// Whether the appliance does not run the app, so that its restarts are not known.
    pub(crate) fn runs_elsewhere(&self) -> bool {
        !self.restarts.has_process
    }

    /// Takes over what was learned about the app under another configuration.
    pub(super) fn remember(&mut self, before: &Self) {
        self.traffic = Arc::clone(&before.traffic);
        self.mark = before.mark;
        if let (Some(site), Some(before)) = (&mut self.site, &before.site) {
            *site = Arc::new(site.continuing(before));
        }
        if self.restarts.has_process == before.restarts.has_process {
            self.restarts = Arc::clone(&before.restarts);
        }
        self.upgrade_missed = AtomicBool::new(before.upgrade_missed.load(Ordering::Relaxed));
    }

    /// What learns of the use of an app that may be stopped while nobody uses it.
    pub(crate) fn sleeper(&self) -> Option<&dyn Sleeper> {
        self.sleeper.as_deref().filter(|sleeper| sleeper.may_sleep())
    }

    /// Lets the supervisor see whether requests wait for the app.
    pub(super) fn show_traffic(&self) {
        if let Some(sleeper) = &self.sleeper {
            sleeper.ask_before_sleep(self.traffic.clone());
        }
    }

    /// How many segments the app's path has.
    pub(super) fn depth(&self) -> usize {
        self.depth
    }

    /// The rest of the path of a request to this app, after the app's own path: empty, or beginning
    /// with a slash. Access rules use relative paths.
    pub(crate) fn relative<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        let Some(last) = self.depth.checked_sub(1) else { return path };
        let end = memchr::memchr_iter(b'/', path.get(1..).unwrap_or_default()).nth(last);
        end.map_or(&[], |end| &path[end + 1..])
    }

    /// The path that the app receives: with `strip_prefix` the relative path, else the whole path.
    pub(crate) fn upstream_path<'a>(&self, path: &'a str) -> &'a str {
        if !self.route.strip_prefix {
            return path;
        }
        match path.len() - self.relative(path.as_bytes()).len() {
            end if end == path.len() => "/",
            end => &path[end..],
        }
    }

    /// Whether the proxy serves a relative path: some apps expose only a part of their paths.
    pub(super) fn exposes(&self, relative: &[u8], reading: Reading) -> bool {
        let is_in = |prefix: &String| below(relative, prefix, reading).is_some();
        let shown = &self.route.exposed;
        (shown.is_empty() || shown.iter().any(is_in)) && !self.route.hidden_paths.iter().any(is_in)
    }

    /// Whom a decoded path answers, see [`crate::config::Shield`].
    pub(crate) fn audience(&self, path: &[u8]) -> Audience {
        let shield = &self.route.shield;
        if self.is_among_folded(&shield.programs, path) {
            Audience::Programs
        } else if self.is_shielded(path) && !self.is_among(&shield.open, path, Reading::Decoded) {
            Audience::People
        } else {
            Audience::Everybody
        }
    }

    /// Whether no page of another app may hold a window with this path.
    pub(crate) fn is_shielded(&self, path: &[u8]) -> bool {
        self.is_among_folded(&self.route.shield.pages, path)
    }

    fn is_among_folded(&self, prefixes: &[String], path: &[u8]) -> bool {
        let depths = prefixes.iter().map(|prefix| prefix.matches('/').count());
        let Some(deepest) = depths.max() else { return false };
        // A client chooses the length of its path: only what the prefixes can reach is folded.
        let first = first_segments(path, self.depth + deepest);
        self.is_among(prefixes, &folded(first), Reading::Folded)
    }

    fn is_among(&self, prefixes: &[String], path: &[u8], reading: Reading) -> bool {
        let relative = self.relative(path);
        prefixes.iter().any(|prefix| below(relative, prefix, reading).is_some())
    }

    /// Whether the same is true of all paths of the app, in whatever way they are read.
    pub(super) fn treats_all_paths_alike(&self) -> bool {
        let route = &self.route;
        route.rules.is_empty() && route.exposed.is_empty() && route.hidden_paths.is_empty()
    }

    /// The number of the first rule that matches a relative path; `None` for the app's own policy.
    pub(super) fn rule(
        &self,
        method: &http::Method,
        relative: &[u8],
        reading: Reading,
    ) -> Option<usize> {
        self.route.rules.iter().position(|rule| {
            covers(&rule.methods, method.as_str()) && rule.path.matches(relative, reading)
        })
    }

    /// The same among the rules that hold for all methods.
    pub(super) fn rule_for_all_methods(&self, relative: &[u8], reading: Reading) -> Option<usize> {
        let rules = &self.route.rules;
        rules
            .iter()
            .position(|rule| rule.methods.is_empty() && rule.path.matches(relative, reading))
    }

    /// The policy of a rule; `None` is the app's own policy.
    pub(super) fn policy(&self, rule: Option<usize>) -> Policy<'_> {
        let deny = &*self.route.deny;
        match rule.and_then(|rule| self.route.rules.get(rule)) {
            Some(rule) => Policy { access: &rule.access, deny, api: rule.api || self.route.api },
            None => Policy { access: &self.route.access, deny, api: self.route.api },
        }
    }

    /// Whether the app and all its rules are public.
    pub(super) fn is_public(&self) -> bool {
        let open = |access: &Access| *access == Access::Public;
        open(&self.route.access)
            && self.route.deny.is_empty()
            && self.route.rules.iter().all(|rule| open(&rule.access))
    }

    /// Warns once if a WebSocket handshake has lost its `Upgrade`: a proxy in front of the appliance
    /// forwards the header only if its configuration says so.
    pub(crate) fn warn_of_lost_upgrade(&self, headers: &HeaderMap) {
        let lost = headers.contains_key(SEC_WEBSOCKET_KEY) && !headers.contains_key(UPGRADE);
        if lost && !self.upgrade_missed.swap(true, Ordering::Relaxed) {
            warn!(
                app = %self.name,
                "a WebSocket handshake came without Upgrade: the proxy in front of the appliance must pass Upgrade and Connection on; see docs/behind-a-proxy.md"
            );
        }
    }

    /// The current phase; an app that runs elsewhere counts as ready.
    pub(crate) fn phase(&self) -> Phase {
        self.phase.as_ref().map_or(Phase::Ready, |phase| *phase.borrow())
    }
}

/// Whether the methods of a rule include `method`. `GET` includes `HEAD`; an empty list includes
/// every method.
fn covers(methods: &[String], method: &str) -> bool {
    methods.is_empty()
        || methods.iter().any(|one| one == method || one == "GET" && method == "HEAD")
}

fn identity_names(route: &Route) -> Vec<(HeaderName, Attribute)> {
    let Some(identity) = &route.identity else { return Vec::new() };
    [
        (&identity.user, Attribute::User),
        (&identity.email, Attribute::Email),
        (&identity.groups, Attribute::Groups),
        (&identity.preferred_username, Attribute::PreferredUsername),
        (&identity.name, Attribute::Name),
        (&identity.access_token, Attribute::AccessToken),
        (&identity.assertion, Attribute::Assertion),
    ]
    .into_iter()
    .filter_map(|(name, attribute)| {
        let name = HeaderName::from_bytes(name.as_ref()?.as_bytes()).ok()?;
        Some((name, attribute))
    })
    .collect()
}
