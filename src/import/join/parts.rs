//! Routes below another one that lead to the same address become its rules.

use crate::import::draft::Table;
use crate::import::route::{Access, Route, Rule};

/// A route with the parts of it that have a policy of their own.
struct Whole {
    /// Its place among the routes.
    at: usize,
    route: Route,
    /// The longest path first, because the first rule that matches counts.
    parts: Vec<Rule>,
}

/// The routes of apps, in their order. No two of them have the same host and path.
pub(super) fn with_rules(routes: Vec<Route>, remarks: &mut Table) -> Vec<Route> {
    let mut routes: Vec<(usize, Route)> =
        first_ones(routes, remarks).into_iter().enumerate().collect();
    // A part comes after its whole, and a path alone after everything below the path.
    routes.sort_by_key(|(_, route)| (length(&route.path), route.is_exact));
    let mut kept: Vec<Whole> = Vec::new();
    for (at, route) in routes {
        let around = kept.iter_mut().rev().find(|whole| is_around(&whole.route, &route));
        match around {
            Some(whole) if is_part(&whole.route, &route) => whole.add(route),
            Some(whole) if whole.route.path == route.path => {
                let text = format!(
                    "`location = {0}` leads to another app than what is below `{0}`: the app below counts for both",
                    route.path
                );
                remarks.missing(&route.place, text);
            }
            _ => kept.push(Whole { at, route: alone(route), parts: Vec::new() }),
        }
    }
    kept.sort_by_key(|whole| whole.at);
    kept.into_iter().map(Whole::into_route).collect()
}

/// The routes without those whose host and path an earlier one has.
fn first_ones(routes: Vec<Route>, remarks: &mut Table) -> Vec<Route> {
    let mut found: Vec<Route> = Vec::new();
    for route in routes {
        let same = |other: &&Route| {
            (&other.host, &other.path, other.is_exact) == (&route.host, &route.path, route.is_exact)
        };
        match found.iter().find(same) {
            None => found.push(route),
            Some(first) if !same_targets(first, &route) => remarks.missing(
                &route.place,
                format!("`{}` leads to two apps; the first one counts", route.path),
            ),
            Some(first) if first.access != route.access => remarks.missing(
                &route.place,
                format!("`{}` has two policies; the first one counts", route.path),
            ),
            Some(_) => {}
        }
    }
    found
}

impl Whole {
    fn add(&mut self, part: Route) {
        let covers = |rule: &&Rule| {
            rule.path.strip_suffix("/**").is_some_and(|prefix| is_below(&part.path, prefix))
        };
        let above = self.parts.iter().find(covers).and_then(|rule| rule.access.as_ref());
        if *above.unwrap_or(&self.route.access) != part.access {
            let path = match part.path.trim_end_matches('/') {
                "" if part.is_exact => "/".to_owned(),
                path if part.is_exact => path.to_owned(),
                path => format!("{path}/**"),
            };
            let access = Some(part.access);
            self.parts.insert(0, Rule { path, methods: Vec::new(), access });
        }
        self.route.table.remarks.extend(part.table.remarks);
    }

    fn into_route(mut self) -> Route {
        self.route.rules.splice(0..0, self.parts);
        self.route
    }
}

/// A route of one path alone as an app, which has everything below it as well. What was open at the path
/// is open there only.
fn alone(mut route: Route) -> Route {
    if !route.is_exact {
        return route;
    }
    let mut text = format!(
        "`location = {0}` matched this path alone; the app has everything below it as well",
        route.path
    );
    if route.access == Access::Public {
        route.access = Access::Default;
        let (path, access) = (route.path.clone(), Some(Access::Public));
        route.rules.insert(0, Rule { path, methods: Vec::new(), access });
        text.push_str(", where people need a login");
    }
    let place = route.place.clone();
    route.table.missing(&place, text);
    route
}

/// Whether the requests of `route` would come to the app of `whole`.
fn is_around(whole: &Route, route: &Route) -> bool {
    whole.host == route.host && is_below(&route.path, &whole.path)
}

/// Whether one app can have both.
fn is_part(whole: &Route, route: &Route) -> bool {
    let strips = |route: &Route| route.table.get("strip_prefix").is_some();
    let same_path = whole.path == route.path;
    !whole.is_exact
        && same_targets(whole, route)
        && strips(whole) == strips(route)
        && (same_path || !strips(whole))
}

fn same_targets(one: &Route, other: &Route) -> bool {
    let urls = |route: &Route| -> Vec<String> {
        route.targets.iter().map(|target| target.url.clone()).collect()
    };
    urls(one) == urls(other)
}

/// Whether a path is the prefix, or below it.
fn is_below(path: &str, prefix: &str) -> bool {
    let prefix = prefix.trim_end_matches('/');
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn length(path: &str) -> usize {
    path.trim_end_matches('/').len()
}
