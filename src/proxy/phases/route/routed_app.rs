//! A routed app: its route, addresses and phase, and the policy for a request to the app.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderName;
use tokio::sync::watch;

use crate::config::{Access, App, AppName, Config, Constraints, Phase, Route, Upstream};

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
    /// The app is the issuer: it is not reachable until discovery succeeds, even if its `access` is
    /// public.
    pub is_issuer: bool,
    /// The phase of the app's process; `None` for an app that runs elsewhere.
    pub phase: Option<watch::Receiver<Phase>>,
    next_upstream: AtomicUsize,
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
    pub deny: Option<&'a Constraints>,
    /// A request without a session gets 401, also if it is a navigation.
    pub api: bool,
    /// The number of the rule that matched; `None` for the app's own policy.
    pub rule: Option<usize>,
}

impl RoutedApp {
    pub(super) fn new(
        app: &App,
        route: &Route,
        config: &Config,
        phase: Option<watch::Receiver<Phase>>,
    ) -> Self {
        let served_by = config.oidc.as_ref().and_then(|oidc| oidc.served_by.as_ref());
        Self {
            name: app.name.clone(),
            title: app.title.clone().unwrap_or_else(|| app.name.to_string()),
            route: route.clone(),
            identity: identity_names(route),
            is_issuer: served_by == Some(&app.name),
            phase,
            next_upstream: AtomicUsize::new(0),
        }
    }

    /// The path relative to the app's prefix. Access rules use relative paths.
    fn relative<'a>(&self, path: &'a str) -> &'a str {
        let rest = if self.route.path == "/" { path } else { &path[self.route.path.len()..] };
        if rest.is_empty() { "/" } else { rest }
    }

    /// The path that the app receives: with `strip_prefix` the relative path, else the whole path.
    pub(crate) fn upstream_path<'a>(&self, path: &'a str) -> &'a str {
        if self.route.strip_prefix { self.relative(path) } else { path }
    }

    /// Whether the proxy serves the path: some apps expose only a part of their paths.
    pub(crate) fn is_exposed(&self, path: &str) -> bool {
        let relative = self.relative(path);
        let shown = &self.route.exposed;
        (shown.is_empty() || shown.iter().any(|prefix| is_below(relative, prefix)))
            && !self.route.hidden_paths.iter().any(|prefix| is_below(relative, prefix))
    }

    /// Whom a path answers, see [`crate::config::Shield`].
    pub(crate) fn audience(&self, path: &str) -> Audience {
        let shield = &self.route.shield;
        if self.is_among(&shield.programs, path) {
            Audience::Programs
        } else if self.is_shielded(path) && !self.is_among(&shield.open, path) {
            Audience::People
        } else {
            Audience::Everybody
        }
    }

    /// Whether no page of another app may hold a window with this path.
    pub(crate) fn is_shielded(&self, path: &str) -> bool {
        self.is_among(&self.route.shield.pages, path)
    }

    fn is_among(&self, prefixes: &[String], path: &str) -> bool {
        let relative = self.relative(path);
        prefixes.iter().any(|prefix| is_below(relative, prefix))
    }

    /// The policy of the first rule that matches, else the app's own policy.
    pub(crate) fn policy(&self, method: &http::Method, path: &str) -> Policy<'_> {
        let relative = self.relative(path);
        let deny = self.route.deny.as_ref();
        for (number, rule) in self.route.rules.iter().enumerate() {
            if covers(&rule.methods, method.as_str()) && rule.path.matches(relative) {
                let api = rule.api || self.route.api;
                return Policy { access: &rule.access, deny, api, rule: Some(number) };
            }
        }
        Policy { access: &self.route.access, deny, api: self.route.api, rule: None }
    }

    /// Whether the app and all its rules are public.
    pub(super) fn is_public(&self) -> bool {
        let open = |access: &Access| *access == Access::Public;
        open(&self.route.access)
            && self.route.deny.is_none()
            && self.route.rules.iter().all(|rule| open(&rule.access))
    }

    /// The addresses in the order to try them: the first one by round robin, then each other address
    /// once.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Upstream> + Clone {
        let all = self.route.upstreams.as_slice();
        let first = match all.len() {
            0 | 1 => 0,
            several => self.next_upstream.fetch_add(1, Ordering::Relaxed) % several,
        };
        let (sooner, later) = all.split_at(first);
        later.iter().chain(sooner)
    }

    /// The current phase; an app that runs elsewhere counts as ready.
    pub(crate) fn phase(&self) -> Phase {
        self.phase.as_ref().map_or(Phase::Ready, |phase| *phase.borrow())
    }
}

/// Whether `path` is `prefix` or lies below it.
pub(crate) fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
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
