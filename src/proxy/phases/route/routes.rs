//! Which app serves a host and a path. A prefix ends at a segment border; the longest one wins.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::target::{Target, is_below};
use crate::config::{AppName, Config, Phase, PublicUrl};
use crate::proxy::phases::admit::host::Host;

/// The routes of all apps, longest prefix first.
#[derive(Debug)]
pub(crate) struct Routes {
    targets: Vec<Arc<Target>>,
    public: PublicUrl,
}

impl Routes {
    pub(crate) fn new(
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
        // The sort is stable: apps with paths of the same length keep the order of the file, which
        // the portal shows.
        targets.sort_by_key(|target| std::cmp::Reverse(target.route.path.len()));
        Self { targets, public: config.server.public_url.clone() }
    }

    /// The app that serves a canonical path under a known host.
    pub(crate) fn find(&self, host: Host<'_>, path: &str) -> Option<&Arc<Target>> {
        let own = self.is_public_host(host);
        self.targets.iter().find(|target| {
            let here = match &target.route.host {
                Some(name) => self.is_app_host(host, name),
                None => own,
            };
            here && is_below(path, &target.route.path)
        })
    }

    /// Whether a host is that of `public_url` or of an app.
    pub(crate) fn knows(&self, host: Host<'_>) -> bool {
        self.is_public_host(host)
            || self.targets.iter().any(|target| {
                target.route.host.as_ref().is_some_and(|name| self.is_app_host(host, name))
            })
    }

    /// Whether a host is the issuer's alone: there, nobody signs in to anything.
    pub(crate) fn is_issuers(&self, host: Host<'_>) -> bool {
        let mut here = self.targets.iter().filter(|target| {
            target.route.host.as_ref().is_some_and(|name| self.is_app_host(host, name))
        });
        !self.is_public_host(host)
            && here.next().is_some_and(|target| target.is_issuer)
            && here.all(|target| target.is_issuer)
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
    pub(crate) fn all(&self) -> &[Arc<Target>] {
        &self.targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Access, App, Constraints, Dial, PathPattern, Route, Rule};
    use crate::proxy::phases::admit::host::parse_host;
    use crate::proxy::tests::{app, config};

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
