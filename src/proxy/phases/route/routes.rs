//! Finds the app that serves a host and a path. A path prefix ends at a segment border; the longest
//! prefix wins.

use std::sync::Arc;

use super::routed_app::{RoutedApp, Several};
use super::several::spread;
use crate::config::{App, AppName, Config, PublicUrl, Reading, Upstream, below, folded};
use crate::proxy::links::AppLinks;
use crate::proxy::phases::admit::host::Host;

/// The routes of all apps, longest prefix first.
#[derive(Debug)]
pub(crate) struct Routes {
    apps: Vec<Arc<RoutedApp>>,
    /// For each app: the apps whose path lies below the app's path in any letter case, longest prefix
    /// first.
    nested: Vec<Vec<Arc<RoutedApp>>>,
    /// For each app: all apps of its host, longest prefix first.
    beside: Vec<Vec<Arc<RoutedApp>>>,
    public: PublicUrl,
}

/// The app of a request, the apps whose path lies below it, and all apps of its host.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteMatch<'a> {
    pub app: &'a Arc<RoutedApp>,
    pub nested: &'a [Arc<RoutedApp>],
    pub beside: &'a [Arc<RoutedApp>],
}

impl Routes {
    /// `before`: the routes of the configuration that is replaced.
    pub(crate) fn new(config: &Config, links: &AppLinks, before: Option<&Self>) -> Self {
        let known = |name: &AppName| {
            let mut apps = before.into_iter().flat_map(|before| &before.apps);
            apps.find(|app| app.name == *name)
        };
        let marks = before.into_iter().flat_map(|before| &before.apps).map(|app| app.mark);
        let mut marks = marks.fold(0, std::ops::BitOr::bitor);
        let mut apps: Vec<_> = config
            .apps
            .iter()
            .filter_map(|app| {
                let route = app.route.as_ref()?;
                let mut routed = RoutedApp::new(app, route, config, links);
                let known = known(&app.name);
                match known {
                    Some(known) => routed.remember(known),
                    None => routed.mark = free_mark(&mut marks),
                }
                let places = places(&routed, app, config, links);
                if places.len() > 1 || !app.processes.is_empty() {
                    let spread = spread::new(&routed, &places, config, known.map(Arc::as_ref));
                    routed.several = Some(Box::new(Several { places, spread }));
                }
                routed.show_traffic();
                Some(Arc::new(routed))
            })
            .collect();
        // The sort is stable: apps with paths of the same length keep the order of the file.
        apps.sort_by_key(|app| std::cmp::Reverse(app.route.path.len()));
        let public = &config.server.public_url.host;
        let beside: Vec<_> = apps.iter().map(|app| beside(app, &apps, public)).collect();
        let nested = apps.iter().zip(&beside).map(|(outer, all)| nested_in(outer, all)).collect();
        Self { apps, nested, beside, public: config.server.public_url.clone() }
    }

    /// The app that serves a path under a known host. The escapes of the path are decoded.
    pub(crate) fn find(&self, host: Host<'_>, path: &[u8]) -> Option<RouteMatch<'_>> {
        let own = self.is_public_host(host);
        let at = self.apps.iter().position(|app| {
            let here = match &app.route.host {
                Some(name) => self.is_app_host(host, name),
                None => own,
            };
            here && below(path, &app.route.path, Reading::Decoded).is_some()
        })?;
        let (app, nested, beside) = (&self.apps[at], &self.nested[at], &self.beside[at]);
        Some(RouteMatch { app, nested, beside })
    }

    /// The app of this name, if it is served under a host.
    pub(crate) fn named(&self, host: Host<'_>, name: &str) -> Option<&Arc<RoutedApp>> {
        let app = self.apps.iter().find(|app| app.name.as_str() == name)?;
        let here = match &app.route.host {
            Some(own) => self.is_app_host(host, own),
            None => self.is_public_host(host),
        };
        here.then_some(app)
    }

    /// Whether a host is the host of `public_url` or of an app.
    pub(crate) fn knows(&self, host: Host<'_>) -> bool {
        self.is_public_host(host)
            || self
                .apps
                .iter()
                .any(|app| app.route.host.as_ref().is_some_and(|name| self.is_app_host(host, name)))
    }

    /// The https origin of a known host; `None` if `public_url` is not https.
    pub(super) fn secure_origin(&self, host: Host<'_>) -> Option<String> {
        if !self.public.secure || !self.knows(host) {
            None
        } else if self.is_public_host(host) {
            Some(self.public.to_string())
        } else {
            let host = host.name.to_owned();
            Some(PublicUrl { host, ..self.public.clone() }.to_string())
        }
    }

    /// Whether only the issuer is served under a host, and all of it to everybody, so that there is
    /// nothing to sign in to.
    pub(crate) fn has_only_the_issuer(&self, host: Host<'_>) -> bool {
        let is_open = |app: &Arc<RoutedApp>| app.is_issuer && app.is_public();
        let mut here = self
            .apps
            .iter()
            .filter(|app| app.route.host.as_ref().is_some_and(|name| self.is_app_host(host, name)));
        !self.is_public_host(host) && here.next().is_some_and(is_open) && here.all(is_open)
    }

    pub(crate) fn is_public_host(&self, host: Host<'_>) -> bool {
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

/// A bit that no app has, as long as there is one.
fn free_mark(taken: &mut u64) -> u64 {
    let free = if *taken == u64::MAX { 1 } else { 1 << taken.trailing_ones() };
    *taken |= free;
    free
}

/// The places of an app: its processes, or its addresses. An app with one place needs none.
fn places(routed: &RoutedApp, app: &App, config: &Config, links: &AppLinks) -> Vec<Arc<RoutedApp>> {
    if !app.processes.is_empty() {
        let processes = app.processes.iter();
        return processes
            .filter_map(|one| routed.place(one, config, links).map(Arc::new))
            .collect();
    }
    let upstreams = routed.route.upstreams.iter().filter(|_| routed.route.upstreams.len() > 1);
    let at = |upstream: &Upstream| {
        let mut place = app.clone();
        place.route.as_mut()?.upstreams = vec![upstream.clone()];
        let mut place = routed.place(&place, config, links)?;
        place.is_one_address = true;
        Some(Arc::new(place))
    };
    upstreams.filter_map(at).collect()
}

/// The apps of the host of `app`. An app may name the host of `public_url` or leave it out.
fn beside(app: &RoutedApp, apps: &[Arc<RoutedApp>], public: &str) -> Vec<Arc<RoutedApp>> {
    let host_of =
        |app: &RoutedApp| app.route.host.as_deref().unwrap_or(public).to_ascii_lowercase();
    let own = host_of(app);
    apps.iter().filter(|other| host_of(other) == own).cloned().collect()
}

/// The apps of a host below the path of `outer`.
fn nested_in(outer: &RoutedApp, beside: &[Arc<RoutedApp>]) -> Vec<Arc<RoutedApp>> {
    let is_nested = |inner: &&Arc<RoutedApp>| {
        inner.depth() > outer.depth()
            && below(&folded(inner.route.path.as_bytes()), &outer.route.path, Reading::Folded)
                .is_some()
    };
    beside.iter().filter(is_nested).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{App, Route};
    use crate::proxy::phases::admit::host::parse_host;
    use crate::proxy::tests::{app, config};

    fn with(mut app: App, change: impl FnOnce(&mut Route)) -> App {
        change(app.route.as_mut().unwrap());
        app
    }

    fn routes() -> Routes {
        let apps = vec![
            app("app", "/app", 1),
            app("app2", "/app2", 1),
            app("deep", "/app/deep", 1),
            with(app("host", "/", 1), |route| route.host = Some("h.test".into())),
        ];
        Routes::new(&config(8080, apps), &AppLinks::default(), None)
    }

    #[test]
    fn an_app_that_names_the_public_host_is_nested_in_one_that_leaves_it_out() {
        for (outer, inner, wanted) in [
            (None, Some("LocalHost"), 1),
            (Some("localhost"), None, 1),
            (None, None, 1),
            (None, Some("vault.test"), 0),
        ] {
            let host = |name: Option<&str>| name.map(str::to_owned);
            let apps = vec![
                with(app("outer", "/raw", 1), |route| route.host = host(outer)),
                with(app("inner", "/raw/inner", 1), |route| route.host = host(inner)),
            ];
            let routes = Routes::new(&config(8080, apps), &AppLinks::default(), None);
            let found = routes.find(parse_host("localhost:8080").unwrap(), b"/raw/x").unwrap();
            assert_eq!(found.nested.len(), wanted, "{outer:?} {inner:?}");
        }
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
            let found = routes.find(parse_host(host).unwrap(), path.as_bytes());
            assert_eq!(found.map(|found| found.app.name.as_str()), wanted, "{host} {path}");
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
}
