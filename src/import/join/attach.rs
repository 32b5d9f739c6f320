//! Finds the program behind each route.

use crate::import::compose::Service;
use crate::import::draft::Table;
use crate::import::program::Program;
use crate::import::route::{Route, Target};

use super::parts::with_rules;

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
    for route in with_rules(routes, remarks) {
        if !is_path(&route.path) {
            let text = format!("`{}` cannot be the `path` of an app", route.path);
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

fn is_path(path: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._~!$&'()+,=:@/".contains(c);
    let own = ["/oauth2", "/_appliance"];
    path.starts_with('/')
        && path.chars().all(allowed)
        && !path.contains("//")
        && !path.split('/').any(|segment| matches!(segment, "." | ".."))
        && !own.iter().any(|own| path == *own || path.starts_with(&format!("{own}/")))
}
