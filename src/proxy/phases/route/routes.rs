//! Finds the app that serves a host and a path. A path prefix ends at a segment border; the longest
//! prefix wins.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::watch;

use super::routed_app::{RoutedApp, is_below};
use crate::config::{AppName, Config, Phase, PublicUrl};
use crate::proxy::phases::admit::host::Host;

/// The routes of all apps, longest prefix first.
#[derive(Debug)]
pub(crate) struct Routes {
    apps: Vec<Arc<RoutedApp>>,
    public: PublicUrl,
}

impl Routes {
    pub(crate) fn new(
        config: &Config,
        mut phases: HashMap<AppName, watch::Receiver<Phase>>,
    ) -> Self {
        let mut apps: Vec<_> = config
            .apps
            .iter()
            .filter_map(|app| {
                let route = app.route.as_ref()?;
                Some(Arc::new(RoutedApp::new(app, route, config, phases.remove(&app.name))))
            })
            .collect();
        // The sort is stable: apps with paths of the same length keep the order of the file.
        apps.sort_by_key(|app| std::cmp::Reverse(app.route.path.len()));
        Self { apps, public: config.server.public_url.clone() }
    }

    /// The app that serves a canonical path under a known host.
    pub(crate) fn find(&self, host: Host<'_>, path: &str) -> Option<&Arc<RoutedApp>> {
        let own = self.is_public_host(host);
        self.apps.iter().find(|app| {
            let here = match &app.route.host {
                Some(name) => self.is_app_host(host, name),
                None => own,
            };
            here && is_below(path, &app.route.path)
        })
    }

    /// Whether a host is the host of `public_url` or of an app.
    pub(crate) fn knows(&self, host: Host<'_>) -> bool {
        self.is_public_host(host)
            || self
                .apps
                .iter()
                .any(|app| app.route.host.as_ref().is_some_and(|name| self.is_app_host(host, name)))
    }

    /// Whether only the issuer is served under a host, so that there is nothing to sign in to.
    pub(crate) fn has_only_the_issuer(&self, host: Host<'_>) -> bool {
        let mut here = self
            .apps
            .iter()
            .filter(|app| app.route.host.as_ref().is_some_and(|name| self.is_app_host(host, name)));
        !self.is_public_host(host)
            && here.next().is_some_and(|app| app.is_issuer)
            && here.all(|app| app.is_issuer)
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
    pub(crate) fn all(&self) -> &[Arc<RoutedApp>] {
        &self.apps
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
            assert_eq!(found.map(|routed| routed.name.as_str()), wanted, "{host} {path}");
        }
    }

    #[test]
    fn only_the_public_host_and_hosts_of_apps_are_known() {
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
    fn several_addresses_are_used_in_turn_and_the_others_follow_as_fallback() {
        let several = with(app("many", "/many", 1), |route| {
            route.upstreams = [1, 2, 3]
                .map(|port| app("x", "/x", port).route.unwrap().upstreams.remove(0))
                .into();
        });
        let routes = Routes::new(&config(8080, vec![several]), HashMap::new());
        let found = routes.find(parse_host("localhost:8080").unwrap(), "/many").unwrap();
        let turns: Vec<Vec<u16>> = (0..3)
            .map(|_| {
                let ports = found.upstreams().map(|upstream| match upstream.dial {
                    Dial::Tcp(_, port) => port,
                    Dial::Unix(_) => 0,
                });
                ports.collect()
            })
            .collect();
        assert_eq!(turns, [[1, 2, 3], [2, 3, 1], [3, 1, 2]]);
    }

    #[test]
    fn only_exposed_paths_are_reachable() {
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
            let found = routes.find(host, path).unwrap();
            let policy = found.policy(&method.parse().unwrap(), path);
            assert_eq!(policy.rule, rule, "{method} {path}");
        }
    }
}
