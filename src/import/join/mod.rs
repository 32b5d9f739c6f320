//! Joins what the sources say into one draft.

mod app;
mod attach;
mod front;
mod order;
mod parts;
mod replicas;

use super::command::Kind;
use super::compose::Service;
use super::draft::{Draft, Table};
use super::gather::Sources;
use super::nginx::Nginx;
use super::oauth2_proxy::{self, Gate, Options, UNKNOWN_ISSUER};
use super::program::Program;
use super::route::{Access, Route};
use super::secret::Secrets;
use super::value::Value;
use app::Common;
use attach::Attached;

/// The draft of everything.
pub(super) fn join(mut sources: Sources, secrets: &mut Secrets<'_>) -> Draft {
    let mut draft = Draft::default();
    draft.head.remarks.append(&mut sources.remarks.remarks);
    let mut programs = programs(&mut sources, &mut draft);
    order::order(&mut programs);
    front::shutdown_time(&programs, &mut draft.server);
    let services = std::mem::take(&mut sources.services);
    let options = std::mem::take(&mut sources.options);
    let options = options
        .into_iter()
        .chain(services.iter().filter_map(|service| service.options.clone()))
        .chain(std::mem::take(&mut sources.flags));
    let options = oauth2_proxy::merged(options.collect());
    let gate = options.map(|options| oauth2_proxy::carry(&options, secrets, &mut draft));
    for nginx in &sources.nginx {
        draft.head.remarks.extend(nginx.remarks.remarks.iter().cloned());
    }
    let routes = routes(&sources.nginx, gate.as_ref(), &services, &mut draft.head);
    let mut attached = attach::attach(routes, &programs, &services, &mut draft.head);
    replicas::merge(&mut programs, &mut attached, &mut sources.names);
    name_services(&services, &programs, &attached, &mut draft.head);
    front::front(&sources.nginx, gate.as_ref(), &services, &attached, &programs, &mut draft);
    let variables: Vec<String> = services
        .iter()
        .filter(|service| service.is_built && !service.is_nginx())
        .flat_map(|service| service.env.clone())
        .collect();
    apps(programs, attached, gate.as_ref(), &variables, sources, secrets, &mut draft);
    issuer(&mut draft);
    draft
}

/// The programs that become apps. Those whose work the appliance does are named.
fn programs(sources: &mut Sources, draft: &mut Draft) -> Vec<Program> {
    let mut programs = Vec::new();
    for found in std::mem::take(&mut sources.supervisord) {
        programs.extend(found.programs);
        draft.head.remarks.extend(found.remarks.remarks);
        if let Some(level) = found.log_level {
            draft.log.set("level", level);
        }
    }
    let is_replaced = |p: &Program| matches!(p.kind, Kind::Oauth2Proxy(_) | Kind::Nginx);
    let (replaced, kept): (Vec<_>, Vec<_>) = programs.into_iter().partition(is_replaced);
    for program in replaced {
        let slept = program.slept.map(|time| format!(" (also without `sleep {time}`)"));
        match program.kind {
            Kind::Oauth2Proxy(flags) => {
                let text = format!(
                    "oauth2-proxy is not needed: the appliance signs people in itself and waits for the issuer{}",
                    slept.unwrap_or_default()
                );
                draft.head.missing(&program.place, text);
                let mut options = Options::new(&program.place);
                let others = options.add_flags(&flags);
                let env = program.env.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                let mut variables = Options::new(&program.place);
                if variables.add_variables(env) {
                    sources.options.push(variables);
                }
                if !others.is_empty() {
                    let text = format!(
                        "these words of the command belonged to no flag: {}",
                        others.join(" ")
                    );
                    draft.head.missing(&program.place, text);
                }
                // Flags win over variables, wherever these are set.
                sources.flags.push(options);
            }
            _ => draft.head.missing(
                &program.place,
                "nginx is not needed: the appliance takes the requests itself",
            ),
        }
    }
    if !kept.is_empty() {
        draft.head.missing(
            "environment",
            "supervisord gave its whole environment to every program; an app of the appliance gets PATH, HOME, LANG, TZ, USER and what `env`, `env_file` and `pass_env` name",
        );
    }
    kept
}

/// The routes of nginx, or those of oauth2-proxy where people come to it first.
fn routes(
    nginx: &[Nginx],
    gate: Option<&Gate>,
    services: &[Service],
    head: &mut Table,
) -> Vec<Route> {
    let gated = |location: Option<&Route>| -> Vec<Route> {
        let Some(gate) = gate else { return Vec::new() };
        let below = location.map_or("/", |route| route.path.as_str());
        let routes =
            gate.routes.iter().filter(|route| route.path.starts_with(below.trim_end_matches('/')));
        let with_rules = routes.cloned().map(|mut route| {
            route.rules.extend(gate.rules.iter().cloned());
            route.host = location.and_then(|location| location.host.clone());
            route
        });
        with_rules.collect()
    };
    if nginx.iter().all(|nginx| nginx.routes.is_empty()) {
        return gated(None);
    }
    let leads_to_gate = |route: &Route| {
        route.targets.iter().any(|target| {
            let service = services.iter().find(|service| service.name == target.host);
            let is_service = service.is_some_and(|s| s.is_oauth2_proxy() || s.has_options());
            let is_here = target.is_local() || service.is_none() && !target.host.contains('.');
            gate.is_some_and(|gate| target.port == Some(gate.port) && (is_service || is_here))
                || nginx.iter().any(|nginx| {
                    nginx.gates.iter().any(|g| g.host == target.host && g.port == target.port)
                })
        })
    };
    let mut found = Vec::new();
    let mut through_gate = false;
    for route in nginx.iter().flat_map(|nginx| &nginx.routes) {
        if leads_to_gate(route) {
            through_gate = true;
            found.extend(gated(Some(route)));
        } else {
            found.push(route.clone());
        }
    }
    if let Some(gate) = gate.filter(|_| !through_gate) {
        if !gate.routes.is_empty() {
            head.missing(
                &gate.place,
                "`upstreams`: nginx sends the requests to the apps, so its routes count",
            );
        }
        if !gate.rules.is_empty() {
            head.missing(&gate.place, "`skip_auth_routes`, `api_routes`: nginx asks for the login; write `rules` of an app");
        }
    }
    found
}

fn apps(
    programs: Vec<Program>,
    mut attached: Vec<Attached>,
    gate: Option<&Gate>,
    variables: &[String],
    mut sources: Sources,
    secrets: &mut Secrets<'_>,
    draft: &mut Draft,
) {
    let none = Table::default();
    let default = draft.access.get("default").cloned();
    let common = Common {
        routed: gate.map_or(&none, |gate| &gate.every_app),
        access: default.as_ref(),
        variables,
    };
    for (at, program) in programs.into_iter().enumerate() {
        let route = attached.iter().position(|attached| attached.program == Some(at));
        let route = route.map(|route| attached.remove(route).route);
        draft.apps.push(app::of_program(program, route, &common, secrets));
    }
    for attached in attached {
        draft.apps.push(app::of_route(attached, &common, &mut sources.names));
    }
}

/// The app that is the issuer, or an issuer to write where none is known.
fn issuer(draft: &mut Draft) {
    let public = Access::Public.value();
    let is_closed = |rule: &Value| match rule {
        Value::Table(keys) => {
            keys.iter().any(|(key, value)| key == "access" && Some(value) != public.as_ref())
        }
        _ => false,
    };
    let needs_login = draft.apps.iter().any(|app| {
        let has_closed_rule = match app.table.get("rules") {
            Some(Value::List(rules)) => rules.iter().any(is_closed),
            _ => false,
        };
        app.table.get("path").is_some()
            && (app.table.get("access") != public.as_ref() || has_closed_rule)
    });
    if draft.oidc.is_empty() {
        if needs_login {
            draft.oidc.missing("[oidc]", "no configuration of oauth2-proxy was given: write the issuer, the client and its secret");
            draft.oidc.set("issuer", UNKNOWN_ISSUER);
            draft.oidc.set("client_id", "appliance");
            draft.oidc.set("client_secret", Value::variable("OIDC_CLIENT_SECRET"));
        }
        return;
    }
    let (Some(Value::Text(issuer)), Some(Value::Text(public))) =
        (draft.oidc.get("issuer").cloned(), draft.server.get("public_url").cloned())
    else {
        return;
    };
    let below = issuer.strip_prefix(&public).filter(|path| path.starts_with('/'));
    let Some(path) = below else {
        hint_at_keycloak(draft);
        return;
    };
    let serves = |app: &&mut super::draft::App| match app.table.get("path") {
        Some(Value::Text(prefix)) => {
            prefix != "/"
                && path.starts_with(&format!("{prefix}/"))
                && app.table.get("command").is_some()
        }
        _ => false,
    };
    if let Some(app) = draft.apps.iter_mut().find(serves) {
        app.table.set("access", "public");
        app.table.remove("rules");
        draft.oidc.set("served_by", app.name.as_str());
    }
}

/// Says where the issuer is, if it is an app beside the others.
fn hint_at_keycloak(draft: &mut Draft) {
    let is_keycloak = |app: &&super::draft::App| {
        let command = app.table.get("command").map(ToString::to_string);
        command.is_some_and(|command| command.contains("kc.sh"))
    };
    if let Some(app) = draft.apps.iter().find(is_keycloak) {
        draft.oidc.hint(format!(
            "Browsers reach the issuer at its own address: publish the port of `{}` as well. With the `keycloak` preset it is behind the port of the appliance.",
            app.name
        ));
    }
}

/// Services that have no app, and ports that lead around the login.
fn name_services(
    services: &[Service],
    programs: &[Program],
    attached: &[Attached],
    head: &mut Table,
) {
    for service in services {
        head.remarks.extend(service.remarks.remarks.iter().cloned());
        let is_stack = service.is_built && !programs.is_empty();
        if !(service.is_nginx() || service.is_oauth2_proxy() || service.has_options() || is_stack) {
            let what = service
                .image
                .as_deref()
                .map_or("built".to_owned(), |image| format!("image {image}"));
            head.missing(&service.place, format!("the service ({what}) is not carried: it stays a container of its own, and an app with `upstream` leads to it"));
        }
        let is_app = |port: u16| {
            attached.iter().any(|a| a.route.targets.iter().any(|target| target.port == Some(port)))
        };
        let published = service.ports.iter().map(|(_, port)| *port).filter(|port| is_app(*port));
        let published: Vec<_> = published.map(|port| port.to_string()).collect();
        if !published.is_empty() {
            head.missing(&service.place, format!("`ports`: {} lead to apps around the login; publish only the port of the appliance", published.join(", ")));
        }
    }
}
