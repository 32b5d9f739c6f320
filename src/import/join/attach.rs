//! Finds the program behind each route, and the routes that are only a part of another one.

use crate::import::compose::Service;
use crate::import::draft::Table;
use crate::import::program::Program;
use crate::import::route::{Route, Rule, Target};

/// A route, and the program that it leads to.
pub(super) struct Attached {
    pub(super) route: Route,
    /// Index of the program.
    pub(super) program: Option<usize>,
}

/// Attaches every route. `services`: those of compose, whose names can be hosts.
pub(super) fn attach(
    routes: Vec<Route>,
    programs: &[Program],
    services: &[Service],
    remarks: &mut Table,
) -> Vec<Attached> {
    let mut found: Vec<Attached> = Vec::new();
    for route in with_rules(routes) {
        if !is_path(&route.path) {
            let text = format!("`{}` cannot be the `path` of an app", route.path);
            remarks.missing(&route.place, text);
            continue;
        }
        let same =
            |other: &Attached| other.route.path == route.path && other.route.host == route.host;
        if found.iter().any(same) {
            let text = format!("`{}` leads to two apps; the first one counts", route.path);
            remarks.missing(&route.place, text);
            continue;
        }
        let program = match route.targets.as_slice() {
            [target] => behind(target, programs, services),
            _ => None,
        };
        found.push(Attached { route, program });
    }
    found
}

/// The program that listens at an address, if exactly one can be it.
fn behind(target: &Target, programs: &[Program], services: &[Service]) -> Option<usize> {
    let port = target.port?;
    let service = services.iter().find(|service| service.name == target.host);
    let is_here = match service {
        Some(service) => service.is_built && !service.is_nginx(),
        // The name of a service or container of a compose file that was not given.
        None => target.is_local() || !target.host.contains('.'),
    };
    if !is_here {
        return None;
    }
    let one = |is_it: &dyn Fn(&Program) -> bool| {
        let mut found = programs.iter().enumerate().filter(|(_, program)| is_it(program));
        let first = found.next().map(|(at, _)| at);
        first.filter(|_| found.next().is_none())
    };
    one(&|program| program.names_port(port))
        .or_else(|| one(&|program| program.port() == Some(port)))
}

/// Routes below another one that lead to the same address become its rules.
fn with_rules(routes: Vec<Route>) -> Vec<Route> {
    let mut kept: Vec<(usize, Route)> = Vec::new();
    let mut routes: Vec<(usize, Route)> = routes.into_iter().enumerate().collect();
    // Shorter paths first, so that a part comes after its whole.
    routes.sort_by_key(|(_, route)| route.path.trim_end_matches('/').len());
    for (at, route) in routes {
        let is_whole = |(_, whole): &&mut (usize, Route)| {
            let prefix = whole.path.trim_end_matches('/');
            let is_below = route.path.strip_prefix(prefix).is_some_and(|r| r.starts_with('/'));
            let strips = |route: &Route| route.table.get("strip_prefix").is_some();
            is_below
                && whole.host == route.host
                && same_targets(whole, &route)
                && !strips(whole)
                && !strips(&route)
        };
        match kept.iter_mut().find(is_whole) {
            Some((_, whole)) => {
                if whole.access != route.access {
                    let path = format!("{}/**", route.path.trim_end_matches('/'));
                    let access = Some(route.access);
                    // The longest path first, because the first rule that matches counts.
                    whole.rules.insert(0, Rule { path, methods: Vec::new(), access });
                }
                whole.table.remarks.extend(route.table.remarks);
            }
            None => kept.push((at, route)),
        }
    }
    kept.sort_by_key(|(at, _)| *at);
    kept.into_iter().map(|(_, route)| route).collect()
}

fn same_targets(one: &Route, other: &Route) -> bool {
    let urls = |route: &Route| -> Vec<String> {
        route.targets.iter().map(|target| target.url.clone()).collect()
    };
    urls(one) == urls(other)
}

fn is_path(path: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()+,=:@/".contains(c);
    let own = ["/oauth2", "/_appliance"];
    path.starts_with('/')
        && path.chars().all(allowed)
        && !path.contains("//")
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
        && !own.iter().any(|own| path == *own || path.starts_with(&format!("{own}/")))
}
