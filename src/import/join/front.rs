//! `[server]`: where the appliance listens, and the address that people type.

use super::attach::Attached;
use crate::import::compose::Service;
use crate::import::draft::{Draft, Table};
use crate::import::nginx::Nginx;
use crate::import::oauth2_proxy::Gate;
use crate::import::program::Program;
use crate::import::value::Value;

const DEFAULT_PORT: u16 = 8080;

/// supervisord waits for every program; the appliance has one budget for all.
pub(super) fn shutdown_time(programs: &[Program], server: &mut Table) {
    const DEFAULT: u64 = 8;
    let times = programs.iter().filter_map(|program| match program.table.get("stop_timeout") {
        Some(Value::Text(text)) => text.strip_suffix('s')?.parse().ok(),
        _ => None,
    });
    let longest: u64 = times.max().unwrap_or(0);
    if longest > DEFAULT {
        server.set("shutdown_timeout", format!("{longest}s"));
    }
}

pub(super) fn front(
    nginx: &[Nginx],
    gate: Option<&Gate>,
    services: &[Service],
    attached: &[Attached],
    programs: &[Program],
    draft: &mut Draft,
) {
    let first = nginx.iter().find_map(|nginx| nginx.server.clone());
    let tls = first.as_ref().is_some_and(|(_, _, tls)| *tls);
    let inner = first.as_ref().map(|(_, port, _)| *port).or(gate.map(|gate| gate.port));
    let published = services
        .iter()
        .filter(|service| service.is_nginx() || service.has_options())
        .flat_map(|service| &service.ports)
        .find(|(_, container)| Some(*container) == inner)
        .map(|(host, _)| *host);
    if let (Some((host, port, _)), None) = (&first, draft.server.get("public_url")) {
        let host = host.as_deref().unwrap_or("localhost");
        let url = match published.unwrap_or(*port) {
            443 if tls => format!("https://{host}"),
            port if tls => format!("https://{host}:{port}"),
            80 => format!("http://{host}"),
            port => format!("http://{host}:{port}"),
        };
        draft.server.set("public_url", url);
    }
    if let Some(gate) = gate.filter(|gate| gate.is_behind_one && nginx.is_empty()) {
        draft.server.missing(
            &gate.place,
            "`reverse_proxy`: name the proxy in front in `trusted_proxies`, for example `trusted_proxies = [\"10.0.0.0/8\"]`",
        );
    }
    listen(inner.filter(|_| !tls), gate, published, attached, programs, draft);
}

fn listen(
    inner: Option<u16>,
    gate: Option<&Gate>,
    published: Option<u16>,
    attached: &[Attached],
    programs: &[Program],
    draft: &mut Draft,
) {
    let public = match draft.server.get("public_url") {
        Some(Value::Text(text)) => url::Url::parse(text).ok(),
        _ => None,
    };
    let public_port = public.as_ref().and_then(url::Url::port_or_known_default);
    let mut wanted = inner.unwrap_or(DEFAULT_PORT);
    // People came to oauth2-proxy itself.
    if let Some(gate) = gate.filter(|gate| public_port == Some(gate.port) && published.is_none()) {
        wanted = gate.port;
    }
    let is_taken = |port: u16| {
        let is_target = |attached: &Attached| {
            attached.route.targets.iter().any(|t| t.port == Some(port) && t.is_local())
                || attached.program.is_some()
                    && attached.route.targets.iter().any(|t| t.port == Some(port))
        };
        attached.iter().any(is_target)
            || programs.iter().any(|p| p.names_port(port) || p.port() == Some(port))
    };
    let free = (DEFAULT_PORT..DEFAULT_PORT + 100).find(|port| !is_taken(*port));
    let port = if is_taken(wanted) { free.unwrap_or(wanted) } else { wanted };
    if port != wanted {
        draft.server.hint(format!("An app has port {wanted}, so the appliance listens on {port}."));
    }
    if inner.is_none() && port == DEFAULT_PORT {
        return;
    }
    let local = gate.and_then(|gate| gate.listen.clone());
    let local = local.filter(|listen| *listen == format!("127.0.0.1:{port}"));
    draft.server.set("listen", local.unwrap_or_else(|| format!("0.0.0.0:{port}")));
}
