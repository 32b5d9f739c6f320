//! Routes and ports: where an app is reached, and that no two apps claim the same place.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use super::context::{Check, Outline};
use super::process::replicas;
use crate::config::file;
use crate::config::grammar;
use crate::config::model::{
    Access, App, AppName, Listen, PublicUrl, Route, Server, StaticFiles, Upstream,
};
use crate::config::preset::layer::Exposure;

/// Path prefixes of the appliance's own endpoints.
const OWN: [&str; 2] = ["/oauth2", "/_appliance"];

impl Check<'_, '_> {
    /// `None` if the app is not routed.
    pub(super) fn route(
        &mut self,
        table: &file::App,
        upstreams: &[Upstream],
        sticky: bool,
        default_access: &Access,
        exposure: Exposure,
        files: Option<StaticFiles>,
    ) -> Option<Route> {
        let access = match &table.access {
            // A refused policy counts as public, so that a missing [oidc] is not reported as well.
            Some(at) => self.access(at).unwrap_or(Access::Public),
            None => default_access.clone(),
        };
        let api = table.api.unwrap_or(false);
        let rules = table.rules.as_deref().map(|rules| self.rules(rules, &access, api));
        let strip_prefix = table.strip_prefix.unwrap_or(false);
        let route = Route {
            path: self.parse(table.path.as_ref(), "/".to_owned(), prefix),
            host: self.parse_some(table.host.as_ref(), grammar::host),
            strip_prefix,
            trailing_slash: table.trailing_slash.unwrap_or(strip_prefix || files.is_some()),
            raw_path: self.raw_path(table),
            upstreams: upstreams.to_vec(),
            sticky,
            access,
            deny: table.deny.as_ref().map(|at| self.deny(at)).unwrap_or_default(),
            rules: rules.unwrap_or_default(),
            api,
            bearer: table.bearer.as_ref().is_some_and(|at| at.value),
            identity: self.identity(table.identity.as_ref()),
            max_body: self.parse_some(table.max_body.as_ref(), grammar::size),
            hold: self.duration(table.hold.as_ref(), Duration::from_secs(3)),
            timeout: self.positive(table.timeout.as_ref(), Duration::from_mins(1)),
            origins: table
                .origins
                .iter()
                .flatten()
                .filter_map(|at| self.parse_some(Some(at), grammar::origin))
                .collect(),
            embed: self.embed(table),
            exposed: exposure.exposed,
            hidden_paths: exposure.hidden,
            shield: exposure.shield,
            files,
        };
        (table.path.is_some() || table.host.is_some()).then_some(route)
    }

    /// A rule could be passed by a spelling that only the app reads in its own way.
    fn raw_path(&mut self, table: &file::App) -> bool {
        let Some(at) = table.raw_path.as_ref().filter(|at| at.value) else { return false };
        if table.rules.as_ref().is_some_and(|rules| !rules.is_empty()) {
            self.problems.error_with_help(
                &at.span,
                "an app with `raw_path` cannot have `rules`: the app may read a path in another way than a rule",
                "remove `raw_path`, or move what the rules protect to an app with another `path`",
            );
        }
        true
    }

    /// Every port in the file belongs to one app, and none of them to the appliance.
    pub(super) fn ports(&mut self, outlines: &[Outline<'_>], server: &Server) {
        let own_key = |port: i64| {
            let has_port = |address: SocketAddr| i64::from(address.port()) == port;
            let listens = server.listen.iter().filter_map(Listen::tcp).any(has_port);
            let redirects = || server.redirect_http.is_some_and(has_port);
            if listens { Some("listen") } else { redirects().then_some("redirect_http") }
        };
        let mut taken: HashMap<i64, &AppName> = HashMap::new();
        for outline in outlines.iter().filter(|outline| outline.enabled) {
            let Some(at) = &outline.table.port else { continue };
            // Several processes use the ports that follow.
            let number =
                outline.table.replicas.as_ref().map_or(1, |at| at.value.clamp(1, replicas::MOST));
            for port in at.value..at.value.saturating_add(number) {
                let own = own_key(port);
                let user = if own.is_some() {
                    "the appliance itself uses".to_owned()
                } else if let Some(other) = taken.insert(port, &outline.name) {
                    format!("`{other}` already uses")
                } else {
                    continue;
                };
                let see = own.map(|key| format!(", see `{key}`")).unwrap_or_default();
                let message =
                    format!("{user} port {port}{see}; choose another port, or remove `port`");
                self.problems.error(&at.span, message);
                break;
            }
        }
    }

    /// Every host and path belongs to one app. A path may lie below another one: the longest wins.
    pub(super) fn routes(
        &mut self,
        apps: &[App],
        outlines: &[Outline<'_>],
        public_url: &PublicUrl,
    ) {
        let mut taken: HashMap<(&str, &str), &AppName> = HashMap::new();
        for app in apps {
            let Some(outline) = outlines.iter().find(|outline| outline.name == app.name) else {
                continue;
            };
            let (Some(route), Some(span), true) = (&app.route, &outline.route, outline.enabled)
            else {
                continue;
            };
            let host = route.host.as_deref().unwrap_or(&public_url.host);
            if let Some(other) = taken.insert((host, &route.path), &app.name) {
                let place = match &route.host {
                    Some(host) => format!("`{host}{}`", route.path),
                    None => format!("the path `{}`", route.path),
                };
                self.problems.error_with_help(
                    span,
                    format!("`{other}` already uses {place}"),
                    format!("choose another path or host for `{}`", app.name),
                );
            }
        }
    }
}

fn prefix(text: &str) -> grammar::Parsed<String> {
    let path = grammar::prefix(text)?;
    let own = OWN.iter().find(|own| {
        path.strip_prefix(**own).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    });
    match own {
        Some(own) => Err(format!(
            "`{own}` and every path below it are reserved for the appliance; choose another path"
        )),
        None => Ok(path),
    }
}
