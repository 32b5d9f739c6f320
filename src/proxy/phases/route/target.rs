//! An app as the proxy sees it, and the policy that applies to one request to it.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderName;
use tokio::sync::watch;

use crate::config::{Access, App, AppName, Config, Constraints, Phase, Route, Upstream};

/// An app as the proxy sees it: its route, its policy, its addresses and its phase.
#[derive(Debug)]
pub(crate) struct Target {
    /// Its name.
    pub name: AppName,
    /// The name that people see.
    pub title: String,
    /// The route as configured.
    pub route: Route,
    /// The headers in which it receives the identity of the signed-in person.
    pub identity: Vec<(HeaderName, Attribute)>,
    /// The app is the issuer: it is closed until discovery succeeds, whatever its `access` says.
    pub is_issuer: bool,
    /// The state of its process; `None` for an app that runs elsewhere.
    pub phase: Option<watch::Receiver<Phase>>,
    turn: AtomicUsize,
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

/// The policy of one request.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy<'a> {
    /// Who has access.
    pub access: &'a Access,
    /// Who is shut out although `access` admits them.
    pub deny: Option<&'a Constraints>,
    /// Requests are never redirected to the login.
    pub api: bool,
    /// The number of the rule that matched; `None` for the app's own policy.
    pub rule: Option<usize>,
}

impl Target {
    pub(crate) fn new(
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
            turn: AtomicUsize::new(0),
        }
    }

    /// The path relative to the app's prefix; rules are written relative to it.
    fn relative<'a>(&self, path: &'a str) -> &'a str {
        let rest = if self.route.path == "/" { path } else { &path[self.route.path.len()..] };
        if rest.is_empty() { "/" } else { rest }
    }

    /// The path that the app receives: the whole path, or the rest after the prefix with
    /// `strip_prefix`.
    pub(crate) fn upstream_path<'a>(&self, path: &'a str) -> &'a str {
        if self.route.strip_prefix { self.relative(path) } else { path }
    }

    /// Whether the path is reachable from outside at all.
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

    /// The first rule that matches, else the app's own policy.
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

    /// Whether no part of the app needs a login.
    pub(super) fn is_public(&self) -> bool {
        let open = |access: &Access| *access == Access::Public;
        open(&self.route.access)
            && self.route.deny.is_none()
            && self.route.rules.iter().all(|rule| open(&rule.access))
    }

    /// The addresses in the order to try them: round robin, then each other one once.
    pub(crate) fn upstreams(&self) -> impl Iterator<Item = &Upstream> + Clone {
        let all = self.route.upstreams.as_slice();
        let first = match all.len() {
            0 | 1 => 0,
            several => self.turn.fetch_add(1, Ordering::Relaxed) % several,
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

/// Whether a rule's methods cover one. `GET` covers `HEAD` too; an empty list covers all.
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
