//! One `[apps.NAME]` table: what runs, and the parts of it that other files here check.

use std::time::Duration;

use toml::de::DeTable;

use super::context::{Check, Outline};
use super::life::restart;
use super::order::after;
use super::server::image;
use crate::config::file::{self, At};
use crate::config::grammar;
use crate::config::model::{Access, App, AppName};
use crate::config::preset::expand::expand;
use crate::config::preset::frame::Frame;
use crate::config::preset::layer::Reach;
use crate::config::preset::realm::realm;
use crate::config::read::decode::decode;

/// What an app needs to know of the rest of the file.
#[derive(Debug)]
pub(super) struct Around<'a> {
    pub(super) default_access: &'a Access,
    pub(super) frame: &'a Frame<'a>,
}

impl Check<'_, '_> {
    /// What is needed of all apps before any is checked.
    pub(super) fn outlines<'f>(
        &mut self,
        tables: &'f [(At<String>, file::App)],
        frame: &Frame<'_>,
    ) -> Vec<Outline<'f>> {
        let mut found = Vec::new();
        for (at, table) in tables {
            let Some(name) = AppName::new(at) else {
                self.problems.error_with_help(
                    &at.span,
                    format!("`{}` is no name of an app", at.value),
                    "a name begins with a letter a–z and has only a–z, 0–9 and `-`",
                );
                continue;
            };
            if name.as_str() == "appliance" {
                self.problems.error_with_help(
                    &at.span,
                    "`appliance` is the name of our own lines in the log",
                    "call the app something else",
                );
            }
            let keycloak = table.keycloak.as_ref();
            let keycloak = keycloak.map(|at| realm(at, &name, table, frame, self.problems));
            found.push(Outline {
                name,
                span: at.span.clone(),
                table,
                enabled: table.enabled.unwrap_or(true),
                route: table.path.as_ref().or(table.host.as_ref()).map(|at| at.span.clone()),
                keycloak,
            });
        }
        found
    }

    /// `None` when too little of it is left to look at.
    pub(super) fn app(
        &mut self,
        outline: &Outline<'_>,
        written: Option<&DeTable<'_>>,
        around: &Around<'_>,
    ) -> Option<App> {
        self.one_source(outline);
        if let Some(written) = written {
            self.no_process_keys_elsewhere(outline, written);
        }
        let realm = outline.keycloak.as_ref();
        let expanded = expand(outline.table, realm, &outline.name, around.frame, self.problems);
        let Some((layer, span)) = expanded else {
            return Some(self.table(outline, outline.table, around, Reach::default()));
        };
        let (mut merged, reach) = layer.under(written?, &span);
        let table: file::App = decode(&mut merged, self.problems, &mut self.lost)?;
        Some(self.table(outline, &table, around, reach))
    }

    /// A command, a preset, or an upstream.
    fn one_source(&mut self, outline: &Outline<'_>) {
        let table = outline.table;
        let mut sources: Vec<(&str, &file::Span)> = [
            ("command", table.command.as_ref().map(|at| &at.span)),
            ("streamlit", table.streamlit.as_ref().map(|at| &at.span)),
            ("keycloak", table.keycloak.as_ref().map(|at| &at.span)),
        ]
        .into_iter()
        .filter_map(|(key, span)| Some((key, span?)))
        .collect();
        sources.sort_by_key(|(_, span)| span.start);
        if let [(first, _), (second, span), ..] = sources.as_slice() {
            self.problems.error_with_help(
                span,
                format!("`{}` has both `{first}` and `{second}`", outline.name),
                "keep one of them: it is what runs",
            );
        }
        let path = format!("apps.{}", outline.name);
        if sources.is_empty()
            && table.upstream.is_none()
            && !self.lost.any(&path, &["command", "streamlit", "keycloak", "upstream"])
        {
            self.problems.error_with_help(
                &outline.span,
                format!("`{}` has nothing to run", outline.name),
                "give it a `command`, a preset (`streamlit`, `keycloak`), or the `upstream` where it runs",
            );
        }
    }

    /// What belongs to a process is refused for an app that has none here.
    fn no_process_keys_elsewhere(&mut self, outline: &Outline<'_>, written: &DeTable<'_>) {
        let runs = ["command", "streamlit", "keycloak"];
        let path = format!("apps.{}", outline.name);
        if outline.table.upstream.is_none()
            || runs.iter().any(|key| written.contains_key(*key))
            || self.lost.any(&path, &runs)
        {
            return;
        }
        for key in written.keys().filter(|key| PROCESS.contains(&key.get_ref().as_ref())) {
            self.problems.error_with_help(
                &key.span(),
                format!(
                    "`{}` is for a process, and `{}` runs elsewhere",
                    key.get_ref(),
                    outline.name
                ),
                "leave it out, or give the app a `command`",
            );
        }
        if let Some(ready) = &outline.table.ready
            && (ready.exec.is_some() || ready.log.is_some() || ready.notify.is_some())
        {
            self.problems.error_with_help(
                &ready.span,
                format!(
                    "`exec`, `log` and `notify` are for a process, and `{}` runs elsewhere",
                    outline.name
                ),
                "ask it by `http` or `tcp`",
            );
        }
    }

    fn table(
        &mut self,
        outline: &Outline<'_>,
        table: &file::App,
        around: &Around<'_>,
        reach: Reach,
    ) -> App {
        let runs = table.command.is_some();
        let port = self.number(table.port.as_ref(), 1..=65535, "a port");
        let upstreams = self.upstreams(table, &outline.name, port);
        let route = self.route(table, &upstreams, around.default_access, reach);
        let path = route.as_ref().map_or("/", |route| &route.path);
        let public_url = around.frame.public_url.to_string();
        let words = [("path", path), ("public_url", &*public_url), ("name", outline.name.as_str())];
        let oneshot = table.oneshot.unwrap_or(false);
        let ready = self.ready(table, &upstreams, &words, route.is_some() && runs && !oneshot);
        let (live, live_failures) = self.live(table, &upstreams, &words);
        App {
            name: outline.name.clone(),
            run: table.command.as_ref().map(|at| self.run(at, table, &words)),
            port,
            after: after(table),
            ready,
            live,
            live_failures,
            restart: restart(table.restart),
            backoff: self.backoff(table.backoff.as_ref()),
            max_restarts: self
                .number(table.max_restarts.as_ref(), 0..=i64::from(u32::MAX), "max_restarts")
                .unwrap_or(10),
            window: self.positive(table.window.as_ref(), Duration::from_mins(10)),
            success_exit_codes: self.exit_codes(table.success_exit_codes.as_ref()),
            critical: table.critical.unwrap_or(false),
            oneshot,
            stop: self.stop_plan(table),
            title: table.title.clone(),
            icon: self.parse_some(table.icon.as_ref(), icon),
            description: table.description.clone(),
            hidden: table.hidden.unwrap_or(false),
            route,
        }
    }
}

/// Keys that say how a process is started, kept and stopped.
const PROCESS: [&str; 21] = [
    "port",
    "live",
    "restart",
    "backoff",
    "max_restarts",
    "window",
    "success_exit_codes",
    "stop_signal",
    "stop_timeout",
    "oneshot",
    "user",
    "group",
    "umask",
    "cwd",
    "env",
    "env_file",
    "pass_env",
    "limits",
    "no_new_privs",
    "log",
    "setup",
];

fn icon(text: &str) -> grammar::Parsed<String> {
    let looks_like_address = text.contains(['/', ':', '.']);
    if looks_like_address { image(text) } else { Ok(text.to_owned()) }
}
