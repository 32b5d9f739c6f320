//! One `[apps.NAME]` table: what runs. The other files of this folder check its parts.

use std::time::Duration;

use toml::de::DeTable;

use super::context::{Check, Outline};
use super::life::{max_memory, restart};
use super::order::after;
use super::probe::Probed;
use super::process::placeholders::{Values, data_folder, keep_data};
use super::server::image;
use crate::config::file::{self, At};
use crate::config::grammar;
use crate::config::model::reserved;
use crate::config::model::{Access, App, AppName, BrowserView, Dial, PublicUrl, Route, Upstream};
use crate::config::ownership::account::{Account, AccountError};
use crate::config::preset::context::PresetContext;
use crate::config::preset::expand::expand;
use crate::config::preset::layer::Exposure;
use crate::config::preset::realm::realm;
use crate::config::read::decode::decode;

/// What the check of an app needs from the rest of the file.
#[derive(Debug)]
pub(super) struct AppContext<'a> {
    pub(super) default_access: &'a Access,
    pub(super) preset_context: &'a PresetContext<'a>,
}

impl Check<'_, '_> {
    /// Collects what is needed of all apps before any app is checked.
    pub(super) fn outlines<'f>(
        &mut self,
        tables: &'f [(At<String>, file::App)],
        preset_context: &PresetContext<'_>,
    ) -> Vec<Outline<'f>> {
        let mut found = Vec::new();
        for (at, table) in tables {
            let Some(name) = AppName::new(at) else {
                self.problems.error_with_help(
                    &at.span,
                    format!("`{}` is not a valid app name", at.value),
                    "a name begins with a letter a–z and contains only a–z, 0–9 and `-`",
                );
                continue;
            };
            if let Some(why) = reserved::why_no_app(name.as_str()) {
                self.problems.error_with_help(
                    &at.span,
                    format!("the name `{name}` is reserved for {why}"),
                    "choose another name for the app",
                );
            }
            let keycloak = table.keycloak.as_ref();
            let keycloak =
                keycloak.map(|at| realm(at, &name, table, preset_context, self.problems));
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

    /// `None` if too little of the app could be decoded.
    pub(super) fn app(
        &mut self,
        outline: &Outline<'_>,
        written: Option<&DeTable<'_>>,
        context: &AppContext<'_>,
    ) -> Option<App> {
        self.one_source(outline);
        if let Some(written) = written {
            self.refuse_process_keys(outline, written);
            self.refuse_program_keys(outline, written, &PROCESS);
        }
        let realm = outline.keycloak.as_ref();
        let expanded =
            expand(outline.table, realm, &outline.name, context.preset_context, self.problems);
        let Some((layer, span)) = expanded else {
            return Some(self.table(outline, outline.table, context, Exposure::default()));
        };
        let (mut merged, exposure) = layer.under(written?, &span);
        let table: file::App = decode(&mut merged, self.problems, &mut self.cut_out)?;
        let mut app = self.table(outline, &table, context, exposure);
        if let Some(run) = &mut app.run {
            run.needs = layer.needs;
        }
        Some(app)
    }

    /// Requires exactly one of a command, a preset and an upstream.
    fn one_source(&mut self, outline: &Outline<'_>) {
        let table = outline.table;
        let mut sources = sources(table);
        sources.sort_by_key(|(_, span)| span.start);
        if let [(first, _), (second, span), ..] = sources.as_slice() {
            self.problems.error_with_help(
                span,
                format!("`{}` has both `{first}` and `{second}`", outline.name),
                "keep only one of the two",
            );
        }
        let path = format!("apps.{}", outline.name);
        if sources.is_empty()
            && table.upstream.is_none()
            && !self.cut_out.any(&path, &source_keys(table, &["upstream"]))
        {
            self.problems.error_with_help(
                &outline.span,
                format!("`{}` has no command", outline.name),
                "set `command`, a preset such as `streamlit` or `static`, or the `upstream` where the app runs",
            );
        }
    }

    /// Refuses keys of a process for an app that runs elsewhere.
    fn refuse_process_keys(&mut self, outline: &Outline<'_>, written: &DeTable<'_>) {
        let runs = source_keys(outline.table, &[]);
        let path = format!("apps.{}", outline.name);
        if outline.table.upstream.is_none()
            || runs.iter().any(|key| written.contains_key(*key))
            || self.cut_out.any(&path, &runs)
        {
            return;
        }
        for key in written.keys().filter(|key| PROCESS.contains(&key.get_ref().as_ref())) {
            self.problems.error_with_help(
                &key.span(),
                format!(
                    "`{}` needs a process, but `{}` runs elsewhere",
                    key.get_ref(),
                    outline.name
                ),
                "remove the key, or set a `command`",
            );
        }
        if let Some(ready) = &outline.table.ready
            && (ready.exec.is_some() || ready.log.is_some() || ready.notify.is_some())
        {
            self.problems.error_with_help(
                &ready.span,
                format!(
                    "`exec`, `log` and `notify` need a process, but `{}` runs elsewhere",
                    outline.name
                ),
                "use `http` or `tcp`",
            );
        }
    }

    fn table(
        &mut self,
        outline: &Outline<'_>,
        table: &file::App,
        context: &AppContext<'_>,
        exposure: Exposure,
    ) -> App {
        let port = self.number(table.port.as_ref(), 1..=65535, "`port`");
        let PresetContext { places, public_url, oidc, .. } = context.preset_context;
        let (replicas, sticky, mut upstreams) =
            self.replicas_and_upstreams(table, outline, *oidc, port);
        give_sockets(&mut upstreams, table, || places.account(&outline.name, table));
        let files = self.static_files(table, outline);
        let route = self.route(table, &upstreams, sticky, context.default_access, exposure, files);
        let browser = route.as_ref().map(|route| browser_view(route, public_url));
        let data = data_folder(outline, table, places);
        let known = Values::new(&outline.name, route.as_ref(), browser.as_ref(), public_url, &data);
        let words = known.words();
        let uses_data = self.placeholders(table);
        let oneshot = table.oneshot.unwrap_or(false) || table.schedule.is_some();
        let run = table.command.as_ref().map(|at| {
            let mut run = self.run(at, table, &words);
            self.give_user(&mut run, outline, table, places);
            keep_data(&mut run, uses_data, &data);
            run
        });
        let probed = Probed { upstreams: &upstreams, browser, words: &words };
        let ready = self.ready(table, &probed, route.is_some() && run.is_some() && !oneshot);
        let (live, live_failures) = self.live(table, &probed);
        App {
            name: outline.name.clone(),
            run,
            replicas,
            processes: Vec::new(),
            port,
            second_port: None,
            port_is_given: port.is_some(),
            after: after(table),
            ready,
            live,
            live_failures,
            autostart: table.autostart.unwrap_or(true),
            restart: restart(table.restart),
            backoff: self.backoff(table.backoff.as_ref()),
            max_restarts: self.max_restarts(table.max_restarts.as_ref()),
            window: self.positive(table.window.as_ref(), Duration::from_mins(10)),
            max_memory: self.parse_some(table.max_memory.as_ref(), max_memory),
            success_exit_codes: self.exit_codes(table.success_exit_codes.as_ref()),
            critical: table.critical.unwrap_or(false),
            oneshot,
            schedule: self.schedule(table),
            restart_at: self.restart_at(table),
            idle_stop: self.idle_stop(outline, table),
            keep_warm: self.keep_warm(table),
            stop: self.stop_plan(table),
            title: table.title.clone(),
            icon: self.parse_some(table.icon.as_ref(), icon),
            description: table.description.clone(),
            hidden: table.hidden.unwrap_or(false),
            operators: table.operators.as_ref().and_then(|at| self.operators(at)),
            route,
        }
    }
}

/// What the table says under the keys of which an app has exactly one.
fn sources(table: &file::App) -> Vec<(&'static str, &file::Span)> {
    let others = [
        ("command", table.command.as_ref().map(|at| &at.span)),
        ("keycloak", table.keycloak.as_ref().map(|at| &at.span)),
        ("static", table.static_files.as_ref().map(|at| &at.span)),
    ];
    let python = table.python_presets().into_iter();
    let python = python.map(|(key, at)| (key, at.map(|at| &at.span)));
    others.into_iter().chain(python).filter_map(|(key, span)| Some((key, span?))).collect()
}

/// These keys, and `more`.
fn source_keys(table: &file::App, more: &[&'static str]) -> Vec<&'static str> {
    let python = table.python_presets().into_iter().map(|(key, _)| key);
    ["command", "keycloak", "static"]
        .into_iter()
        .chain(python)
        .chain(more.iter().copied())
        .collect()
}

/// Keys that say how a process is started, supervised and stopped.
const PROCESS: [&str; 29] = [
    "port",
    "live",
    "autostart",
    "restart",
    "backoff",
    "max_restarts",
    "window",
    "max_memory",
    "success_exit_codes",
    "stop_signal",
    "stop_target",
    "stop_timeout",
    "oneshot",
    "schedule",
    "restart_at",
    "replicas",
    "idle_stop",
    "keep_warm",
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

/// Only the app itself serves its unix sockets, if the appliance starts it.
fn give_sockets(
    upstreams: &mut [Upstream],
    table: &file::App,
    account: impl Fn() -> Result<Option<Account>, AccountError>,
) {
    for upstream in upstreams.iter_mut().filter(|_| table.command.is_some()) {
        if let Dial::Unix(socket) = &mut upstream.dial {
            socket.served_as(account());
        }
    }
}

/// How browsers see an app: apps with a `host` have the scheme and the port of `public_url`.
fn browser_view(route: &Route, public_url: &PublicUrl) -> BrowserView {
    let host = route.host.clone().unwrap_or_else(|| public_url.host.clone());
    BrowserView {
        host: PublicUrl { host, ..public_url.clone() }.authority(),
        secure: public_url.secure,
        stripped: Some(route.path.clone()).filter(|path| route.strip_prefix && path != "/"),
    }
}

fn icon(text: &str) -> grammar::Parsed<String> {
    let looks_like_address = text.contains(['/', ':', '.']);
    if looks_like_address { image(text) } else { Ok(text.to_owned()) }
}
