//! Host and path → app. Prefixes end at segment borders, the longest wins.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http::HeaderName;
use tokio::sync::watch;

use super::admission::Host;
use crate::config::{Access, App, AppName, Config, Constraints, Phase, PublicUrl, Route, Upstream};

/// An app as the proxy sees it.
#[derive(Debug)]
pub(super) struct Target {
    /// Its name.
    pub name: AppName,
    /// For people.
    pub title: String,
    /// As configured.
    pub route: Route,
    /// The names under which it hears who is signed in.
    pub identity: Vec<(HeaderName, Attribute)>,
    /// It is the issuer: closed until the issuer is right, whatever its access says.
    pub is_issuer: bool,
    /// Changes as its process lives; `None` for what runs elsewhere.
    pub phase: Option<watch::Receiver<Phase>>,
    turn: AtomicUsize,
}

/// What an identity header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    User,
    Email,
    Groups,
    PreferredUsername,
    Name,
    AccessToken,
    Assertion,
}

/// The policy of one request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Policy<'a> {
    /// Who may.
    pub access: &'a Access,
    /// Who may not.
    pub deny: Option<&'a Constraints>,
    /// Never redirect to the login.
    pub api: bool,
    /// Which rule matched.
    pub rule: Option<usize>,
}

/// All routes.
#[derive(Debug)]
pub(super) struct Routes {
    targets: Vec<Arc<Target>>,
    public: PublicUrl,
}

impl Target {
    fn new(
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

    /// The path as its rules mean it.
    fn relative<'a>(&self, path: &'a str) -> &'a str {
        let rest = if self.route.path == "/" { path } else { &path[self.route.path.len()..] };
        if rest.is_empty() { "/" } else { rest }
    }

    /// What the app is asked for: the same, or the rest behind the prefix.
    pub(super) fn upstream_path<'a>(&self, path: &'a str) -> &'a str {
        if self.route.strip_prefix { self.relative(path) } else { path }
    }

    /// Whether a part of it is reachable from outside at all.
    pub(super) fn is_exposed(&self, path: &str) -> bool {
        let relative = self.relative(path);
        let shown = &self.route.exposed;
        (shown.is_empty() || shown.iter().any(|prefix| is_below(relative, prefix)))
            && !self.route.hidden_paths.iter().any(|prefix| is_below(relative, prefix))
    }

    /// The first rule that matches, else the app's own policy.
    pub(super) fn policy(&self, method: &http::Method, path: &str) -> Policy<'_> {
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

    /// Nothing of it ever needs a login.
    pub(super) fn is_public(&self) -> bool {
        let open = |access: &Access| *access == Access::Public;
        open(&self.route.access)
            && self.route.deny.is_none()
            && self.route.rules.iter().all(|rule| open(&rule.access))
    }

    /// Where the next request goes; behind it the others, each once, should that one be away.
    pub(super) fn upstreams(&self) -> impl Iterator<Item = &Upstream> + Clone {
        let all = self.route.upstreams.as_slice();
        let first = match all.len() {
            0 | 1 => 0,
            several => self.turn.fetch_add(1, Ordering::Relaxed) % several,
        };
        let (sooner, later) = all.split_at(first);
        later.iter().chain(sooner)
    }

    /// Where it is now; what runs elsewhere counts as ready.
    pub(super) fn phase(&self) -> Phase {
        self.phase.as_ref().map_or(Phase::Ready, |phase| *phase.borrow())
    }
}

impl Routes {
    pub(super) fn new(
        config: &Config,
        mut phases: HashMap<AppName, watch::Receiver<Phase>>,
    ) -> Self {
        let mut targets: Vec<_> = config
            .apps
            .iter()
            .filter_map(|app| {
                let route = app.route.as_ref()?;
                Some(Arc::new(Target::new(app, route, config, phases.remove(&app.name))))
            })
            .collect();
        // Stable: apps of the same length keep the order of the file, which the portal shows.
        targets.sort_by_key(|target| std::cmp::Reverse(target.route.path.len()));
        Self { targets, public: config.server.public_url.clone() }
    }

    /// The app of a canonical path under a known host.
    pub(super) fn find(&self, host: Host<'_>, path: &str) -> Option<&Arc<Target>> {
        let own = self.is_public_host(host);
        self.targets.iter().find(|target| {
            let here = match &target.route.host {
                Some(name) => self.is_app_host(host, name),
                None => own,
            };
            here && is_below(path, &target.route.path)
        })
    }

    /// Whether a host is one of ours.
    pub(super) fn knows(&self, host: Host<'_>) -> bool {
        self.is_public_host(host)
            || self.targets.iter().any(|target| {
                target.route.host.as_ref().is_some_and(|name| self.is_app_host(host, name))
            })
    }

    fn is_public_host(&self, host: Host<'_>) -> bool {
        host.name.eq_ignore_ascii_case(&self.public.host)
            && host.port.unwrap_or(self.default_port()) == self.public.port
    }

    fn is_app_host(&self, host: Host<'_>, name: &str) -> bool {
        host.name.eq_ignore_ascii_case(name)
            && host.port.is_none_or(|port| port == self.public.port || port == self.default_port())
    }

    fn default_port(&self) -> u16 {
        if self.public.secure { 443 } else { 80 }
    }

    /// All routed apps.
    pub(super) fn all(&self) -> &[Arc<Target>] {
        &self.targets
    }
}

/// Whether `path` is `prefix` or lies below it.
pub(super) fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// `GET` means `HEAD` too; no method means all.
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

#[cfg(test)]
mod tests {
    use super::super::admission::parse_host;
    use super::super::tests::{app, config};
    use super::*;
    use crate::config::{Dial, PathPattern, Rule};

    fn with(mut app: App, change: impl FnOnce(&mut Route)) -> App {
        change(app.route.as_mut().unwrap());
        app
    }

    fn routes() -> Routes {
        let rule = |path: &str, methods: &[&str], access| Rule {
            path: PathPattern { text: path.to_owned() },
            methods: methods.iter().map(|&method| method.to_owned()).collect(),
            access,
            api: false,
        };
        let rules = vec![
            rule("/pub/**", &["GET"], Access::Public),
            rule("/pub/**", &[], Access::Only(Constraints::default())),
        ];
        let apps = vec![
            with(app("app", "/app", 1), |route| {
                route.access = Access::SignedIn;
                route.rules = rules;
            }),
            app("app2", "/app2", 1),
            app("deep", "/app/deep", 1),
            with(app("auth", "/auth", 1), |route| {
                route.exposed = vec!["/realms/demo".into(), "/resources".into()];
                route.hidden_paths = vec!["/realms/demo/hidden".into()];
            }),
            with(app("host", "/", 1), |route| route.host = Some("h.test".into())),
        ];
        Routes::new(&config(8080, apps), HashMap::new())
    }

    #[test]
    fn the_longest_prefix_on_a_segment_border_wins() {
        let routes = routes();
        for (host, path, wanted) in [
            ("localhost:8080", "/app", Some("app")),
            ("localhost:8080", "/app/", Some("app")),
            ("LOCALHOST:8080", "/app/x", Some("app")),
            ("localhost:8080", "/app/deep/x", Some("deep")),
            ("localhost:8080", "/app/deeper", Some("app")),
            ("localhost:8080", "/app2/x", Some("app2")),
            ("localhost:8080", "/appx", None),
            ("localhost:8080", "/App", None),
            ("localhost:8080", "/", None),
            ("h.test", "/app", Some("host")),
            ("h.test:8080", "/", Some("host")),
            ("h.test:81", "/", None),
        ] {
            let found = routes.find(parse_host(host).unwrap(), path);
            assert_eq!(found.map(|target| target.name.as_str()), wanted, "{host} {path}");
        }
    }

    #[test]
    fn hosts_are_known_or_not() {
        let routes = routes();
        for (host, wanted) in [
            ("localhost:8080", true),
            ("localhost", false),
            ("localhost:80", false),
            ("h.test", true),
            ("H.test:8080", true),
            ("h.test:1", false),
            ("xlocalhost:8080", false),
            ("127.0.0.1:8080", false),
        ] {
            assert_eq!(routes.knows(parse_host(host).unwrap()), wanted, "{host}");
        }
    }

    #[test]
    fn each_of_several_addresses_has_its_turn_and_the_others_stand_behind_it() {
        let several = with(app("many", "/many", 1), |route| {
            route.upstreams = [1, 2, 3]
                .map(|port| app("x", "/x", port).route.unwrap().upstreams.remove(0))
                .into();
        });
        let routes = Routes::new(&config(8080, vec![several]), HashMap::new());
        let target = routes.find(parse_host("localhost:8080").unwrap(), "/many").unwrap();
        let turns: Vec<Vec<u16>> = (0..3)
            .map(|_| {
                let ports = target.upstreams().map(|upstream| match upstream.dial {
                    Dial::Tcp(_, port) => port,
                    Dial::Unix(_) => 0,
                });
                ports.collect()
            })
            .collect();
        assert_eq!(turns, [[1, 2, 3], [2, 3, 1], [3, 1, 2]]);
    }

    #[test]
    fn only_what_is_exposed_is_reachable() {
        let routes = routes();
        let host = parse_host("localhost:8080").unwrap();
        for (path, wanted) in [
            ("/auth/realms/demo/x", true),
            ("/auth/resources", true),
            ("/auth/realms/demo/hidden/x", false),
            ("/auth/realms/demox", false),
            ("/auth/realms/master", false),
            ("/auth/admin/", false),
            ("/auth", false),
        ] {
            assert_eq!(routes.find(host, path).unwrap().is_exposed(path), wanted, "{path}");
        }
    }

    #[test]
    fn the_first_rule_that_matches_wins() {
        let routes = routes();
        let host = parse_host("localhost:8080").unwrap();
        for (method, path, rule) in [
            ("GET", "/app/pub/x", Some(0)),
            ("HEAD", "/app/pub/x", Some(0)),
            ("POST", "/app/pub/x", Some(1)),
            ("GET", "/app/public", None),
            ("GET", "/app", None),
        ] {
            let target = routes.find(host, path).unwrap();
            let policy = target.policy(&method.parse().unwrap(), path);
            assert_eq!(policy.rule, rule, "{method} {path}");
        }
    }
}
