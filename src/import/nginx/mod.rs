//! The routes of an nginx configuration that asks oauth2-proxy for the login (`auth_request`).

mod directive;
mod location;
mod scope;

use std::path::{Path, PathBuf};

use super::draft::Table;
use super::route::{Access, Route, Target};
use directive::{Directive, Includes, named};
use location::{Match, Sends, Site, without_equivalent};
use scope::Scope;

/// What a configuration says.
#[derive(Debug, Default)]
pub(super) struct Nginx {
    pub(super) routes: Vec<Route>,
    /// Routes that lead to oauth2-proxy itself, whose upstreams then count.
    pub(super) gates: Vec<Target>,
    /// The address of the first server: host, port, TLS.
    pub(super) server: Option<(Option<String>, u16, bool)>,
    pub(super) remarks: Table,
    pub(super) included: Vec<PathBuf>,
}

/// What the text says; `None` if it is none of nginx.
///
/// # Errors
/// It is one, but its grammar is broken.
pub(super) fn read(path: &Path, name: &str, text: &str) -> Result<Option<Nginx>, String> {
    let root = match directive::parse(text) {
        Ok(root) => root,
        Err(why) if text.lines().any(opens_block) => return Err(why),
        Err(_) => return Ok(None),
    };
    let is_one = |d: &Directive| !d.block.is_empty() && BLOCKS.contains(&d.name.as_str());
    Ok(root.iter().any(is_one).then(|| of(root, path, name)))
}

/// Blocks that only files of nginx have.
const BLOCKS: [&str; 5] = ["http", "server", "location", "upstream", "events"];

/// Whether a line opens such a block, for a text that cannot be parsed.
fn opens_block(line: &str) -> bool {
    let line = line.split('#').next().unwrap_or_default();
    line.split_once('{').is_some_and(|(before, _)| {
        before.split_whitespace().next().is_some_and(|name| BLOCKS.contains(&name))
    })
}

fn of(root: Vec<Directive>, path: &Path, name: &str) -> Nginx {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut includes = Includes {
        folder,
        read: Vec::new(),
        gone: Vec::new(),
        broken: Vec::new(),
        chain: path.canonicalize().into_iter().collect(),
    };
    let root = includes.resolve(root, 0);
    let mut nginx = Nginx { included: includes.read, ..Nginx::default() };
    for pattern in includes.gone {
        nginx.remarks.missing(name, format!("`include {pattern}` matches no file here"));
    }
    for (file, why) in includes.broken {
        nginx.remarks.missing(&file.display().to_string(), format!("not read: {why}"));
    }
    // Files of `conf.d` have no `http` around their servers.
    let outer = match root.iter().position(|directive| directive.name == "http") {
        Some(at) => root[at].block.clone(),
        None => root.into_iter().filter(|directive| directive.name != "events").collect(),
    };
    if named(&outer, "server").next().is_none() {
        // A file with locations only, which a server includes.
        let server = Directive { name: "server".to_owned(), args: Vec::new(), block: outer };
        nginx.add_server(&server, &Scope::default(), &[], name, 1);
        return nginx;
    }
    without_equivalent(&outer, name, &mut nginx.remarks);
    let upstreams = nginx.upstreams(&outer, name);
    let scope = Scope::default().within(&outer);
    let servers: Vec<_> = named(&outer, "server").collect();
    for server in &servers {
        nginx.add_server(server, &scope, &upstreams, name, servers.len());
    }
    nginx
}

impl Nginx {
    fn upstreams(&mut self, outer: &[Directive], name: &str) -> Vec<(String, Vec<String>)> {
        let mut found = Vec::new();
        for upstream in named(outer, "upstream") {
            let place = format!("{name}, upstream {}", upstream.arg(0));
            let servers = named(&upstream.block, "server")
                .filter(|s| !s.args.iter().any(|arg| arg == "down" || arg == "backup"));
            let servers: Vec<_> = servers.map(|server| server.arg(0).to_owned()).collect();
            for other in upstream
                .block
                .iter()
                .filter(|d| !matches!(d.name.as_str(), "server" | "keepalive" | "zone"))
            {
                self.remarks
                    .missing(&place, format!("`{}`: the addresses are used in turn", other.name));
            }
            found.push((upstream.arg(0).to_owned(), servers));
        }
        found
    }

    fn add_server(
        &mut self,
        server: &Directive,
        outer: &Scope,
        upstreams: &[(String, Vec<String>)],
        name: &str,
        servers: usize,
    ) {
        let (host, port, tls) = address(server);
        let place = match (&host, servers) {
            (Some(host), 2..) => format!("{name}, server {host}:{port}"),
            _ => name.to_owned(),
        };
        let scope = outer.within(&server.block);
        if tls {
            self.remarks.missing(&place, "TLS: the appliance does not end TLS; keep a proxy in front and name it in `[server] trusted_proxies`");
        }
        let locations = locations(&server.block, &scope, 0);
        let proxied = locations.iter().any(|(l, _)| named(&l.block, "proxy_pass").next().is_some());
        if !proxied {
            let text = "this server sends nothing to an app; a redirect to https follows from `public_url`";
            self.remarks.missing(&place, text);
            return;
        }
        let block: Vec<_> =
            server.block.iter().filter(|d| !d.name.starts_with("ssl")).cloned().collect();
        without_equivalent(&block, &place, &mut self.remarks);
        let is_first = self.server.is_none();
        if is_first {
            self.server = Some((host.clone(), port, tls));
        }
        let own_host = host.filter(|host| {
            !is_first
                && self.server.as_ref().is_some_and(|(first, ..)| first.as_ref() != Some(host))
        });
        let mut site = Site { place: &place, upstreams, gates: &[] };
        let gates = gates(&site, &locations);
        site.gates = &gates;
        for (location, scope) in &locations {
            self.add_location(&site, location, scope, own_host.as_deref());
        }
    }

    fn add_location(
        &mut self,
        site: &Site<'_>,
        location: &Directive,
        scope: &Scope,
        host: Option<&str>,
    ) {
        let place = format!("{}, location {}", site.place, location.args.join(" "));
        let (path, is_exact) = match Match::of(location) {
            Match::Prefix(path) => (path, false),
            Match::Exact(path) => (path, true),
            // nginx sends people there; the appliance has its own pages for it.
            Match::Other if location.arg(0).starts_with('@') => return,
            Match::Other => {
                self.remarks.missing(
                    &place,
                    "regular expressions are not carried; write a `path`, or `rules` of an app",
                );
                return;
            }
        };
        let sends = site.sends(location, scope);
        if is_gate(site, path, location) {
            if let Sends::To(targets, _) = sends {
                for target in targets {
                    if !self.gates.contains(&target) {
                        self.gates.push(target);
                    }
                }
            }
            return;
        }
        let targets = match sends {
            Sends::To(targets, _) => targets,
            Sends::Nowhere(why) => {
                self.remarks.missing(&place, why);
                return;
            }
        };
        if let Some(mut route) = site.route(location, path, targets, scope, &mut self.remarks) {
            route.host = host.map(str::to_owned);
            route.is_exact = is_exact;
            self.routes.push(route);
        }
    }
}

/// Host, port and TLS of a server.
fn address(server: &Directive) -> (Option<String>, u16, bool) {
    let names = named(&server.block, "server_name").flat_map(|d| &d.args);
    let is_name = |name: &&String| {
        !name.starts_with(['~', '*', '.', '_']) && !name.is_empty() && !name.contains(['*', '$'])
    };
    let host = names.into_iter().find(is_name).cloned();
    let listens: Vec<_> = named(&server.block, "listen").collect();
    let tls = listens.iter().any(|listen| listen.args.iter().any(|arg| arg == "ssl"));
    let port = listens.iter().find_map(|listen| {
        let text = listen.arg(0);
        text.rsplit(':').next().unwrap_or(text).parse().ok()
    });
    (host, port.unwrap_or(80), tls)
}

/// All locations with what holds in them, also those within others.
fn locations<'d>(
    block: &'d [Directive],
    scope: &Scope,
    depth: usize,
) -> Vec<(&'d Directive, Scope)> {
    let mut found = Vec::new();
    for location in named(block, "location").filter(|_| depth < 4) {
        let own = scope.within(&location.block);
        found.push((location, own.clone()));
        found.extend(locations(&location.block, &own, depth + 1));
    }
    found
}

/// The access of each path that only `auth_request` asks.
fn gates(site: &Site<'_>, locations: &[(&Directive, Scope)]) -> Vec<(String, Access)> {
    let asked: Vec<&str> = locations
        .iter()
        .filter_map(|(_, scope)| scope.auth.as_deref())
        .map(|auth| auth.split('?').next().unwrap_or(auth))
        .collect();
    let mut found = Vec::new();
    for (location, scope) in locations {
        let (Match::Prefix(path) | Match::Exact(path)) = Match::of(location) else { continue };
        if !asked.contains(&path) {
            continue;
        }
        let access = match site.sends(location, scope) {
            Sends::To(_, query) => scope::access(&query.unwrap_or_default()),
            Sends::Nowhere(_) => Access::Default,
        };
        found.push((path.to_owned(), access));
    }
    found
}

/// Whether a location belongs to the login: oauth2-proxy's own paths, and what `auth_request` asks.
fn is_gate(site: &Site<'_>, path: &str, location: &Directive) -> bool {
    path == "/oauth2"
        || path.starts_with("/oauth2/")
        || site.gates.iter().any(|(gate, _)| gate == path)
        || named(&location.block, "internal").next().is_some()
}

#[cfg(test)]
#[path = "../../../tests/unit/import/nginx.rs"]
mod tests;
