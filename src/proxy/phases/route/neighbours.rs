//! The apps and hosts beside an app.
//!
//! All apps of one host share an origin with its cookies and service workers. The proxy confines the
//! headers of an app's response to the paths and the host of the app.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use crate::config::{AppName, Config, Reading, Route, below, folded};

/// The paths of the appliance's endpoints, which exist under every host.
const OWN: [&str; 2] = ["/oauth2", "/_appliance"];

/// The apps and hosts beside one app.
#[derive(Debug, Clone)]
pub(crate) struct Neighbours {
    /// The app's own path, without a slash at its end.
    own: String,
    /// The app's host has other apps, or it is the host of `public_url`.
    shares_host: bool,
    /// The paths of the other apps of the host, and of the appliance's endpoints.
    paths: Vec<String>,
    /// The other hosts of the appliance, in lower case.
    hosts: Vec<String>,
}

impl Neighbours {
    pub(super) fn new(name: &AppName, route: &Route, config: &Config) -> Self {
        let public = config.server.public_url.host.to_ascii_lowercase();
        let host_of = |route: &Route| route.host.clone().unwrap_or_else(|| public.clone());
        let own = host_of(route);
        let others = config.apps.iter().filter(|app| app.name != *name);
        let (here, elsewhere): (Vec<_>, Vec<_>) = others
            .filter_map(|app| app.route.as_ref())
            .map(|route| (host_of(route), route.path.clone()))
            .partition(|(host, _)| *host == own);
        let shares_host = own == public || !here.is_empty();
        let paths = here.into_iter().map(|(_, path)| path);
        let hosts = elsewhere.into_iter().map(|(host, _)| host).chain([public]);
        Self {
            shares_host,
            paths: paths.chain(OWN.map(str::to_owned)).collect(),
            hosts: hosts.filter(|host| *host != own).collect(),
            own: route.path.trim_end_matches('/').to_owned(),
        }
    }

    /// Whether the app's host has other apps, or is the host of `public_url`, which has the portal.
    pub(crate) fn shares_host(&self) -> bool {
        self.shares_host
    }

    /// The app's path, without a slash at its end: empty for the root.
    pub(crate) fn own_path(&self) -> &str {
        &self.own
    }

    /// Whether a path, in any spelling, belongs to another app of the host or to the appliance. The
    /// root belongs to all apps.
    pub(crate) fn is_others(&self, path: &[u8]) -> bool {
        let decoded: Cow<'_, [u8]> = percent_decode(path).into();
        if *decoded == *b"/" {
            return false;
        }
        let folded = folded(&decoded);
        let is_theirs = |prefix: &&String| below(&folded, prefix, Reading::Folded).is_some();
        let theirs = self.paths.iter().filter(is_theirs);
        let nearest = theirs.map(String::len).max().unwrap_or(0);
        let is_own = below(&decoded, &self.own, Reading::Decoded).is_some();
        let is_own = is_own && self.own.len() >= nearest;
        nearest > 0 && !is_own
    }

    /// Whether a cookie of this domain reaches another host of the appliance.
    pub(crate) fn reaches_other_host(&self, domain: &str) -> bool {
        let is_in = |host: &String| {
            let rest = host.len().checked_sub(domain.len()).map(|at| host.as_bytes().split_at(at));
            rest.is_some_and(|(before, end)| {
                end.eq_ignore_ascii_case(domain.as_bytes())
                    && (before.is_empty() || before.ends_with(b"."))
            })
        };
        self.hosts.iter().any(is_in)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proxy::tests::{app, config};

    fn neighbours(of: &str) -> Neighbours {
        let mut apps = vec![
            app("root", "/", 1),
            app("wiki", "/wiki", 1),
            app("admin", "/wiki/Special:Admin", 1),
            app("vault", "/", 1),
            app("pair", "/", 1),
            app("twin", "/twin", 1),
        ];
        for (at, host) in [(3, "vault.localhost"), (4, "pair.test"), (5, "pair.test")] {
            apps[at].route.as_mut().unwrap().host = Some(host.to_owned());
        }
        let config = config(8080, apps);
        let app = config.apps.iter().find(|app| app.name.as_str() == of).unwrap();
        Neighbours::new(&app.name, app.route.as_ref().unwrap(), &config)
    }

    #[test]
    fn a_host_is_shared_or_not() {
        for (app, wanted) in [("root", true), ("wiki", true), ("vault", false), ("twin", true)] {
            assert_eq!(neighbours(app).shares_host(), wanted, "{app}");
        }
    }

    #[test]
    fn a_path_belongs_to_the_app_with_the_longest_prefix() {
        for (app, path, wanted) in [
            ("wiki", "/", false),
            ("wiki", "/wiki", false),
            ("wiki", "/wiki/x", false),
            ("wiki", "/wikis", true),
            ("wiki", "/oauth2/callback", true),
            ("wiki", "/_appliance", true),
            ("wiki", "/wiki/Special:Admin", true),
            ("wiki", "/wiki/special%3aadmin/x", true),
            ("admin", "/wiki/Special:Admin/", false),
            ("admin", "/wiki", true),
            ("admin", "/wiki/x", true),
            ("root", "/x", false),
            ("root", "/%77iki/x", true),
            ("root", "/WIKI", true),
            ("vault", "/wiki", false),
            ("vault", "/oauth2", true),
            ("pair", "/twin/x", true),
            ("twin", "/twin/x", false),
        ] {
            let found = neighbours(app).is_others(path.as_bytes());
            assert_eq!(found, wanted, "{app} {path}");
        }
    }

    #[test]
    fn a_domain_reaches_the_hosts_below_it() {
        for (app, domain, wanted) in [
            ("wiki", "localhost", true),
            ("wiki", "pair.test", true),
            ("wiki", "test", true),
            ("wiki", "example.org", false),
            ("vault", "vault.localhost", false),
            ("vault", "LOCALHOST", true),
            ("vault", "ocalhost", false),
        ] {
            assert_eq!(neighbours(app).reaches_other_host(domain), wanted, "{app} {domain}");
        }
    }
}
