//! One `[apps.NAME]` table: what runs, and the parts of it that other files here check.

use std::time::Duration;

use toml::de::DeTable;

use super::super::file::{self, At, FlagOr};
use super::super::preset::{self, Frame};
use super::super::{Access, App, AppName, Identity, grammar};
use super::{Check, Outline};

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
            let keycloak = keycloak.map(|at| preset::realm(at, table, frame, self.problems));
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
        let expanded =
            preset::expand(outline.table, realm, &outline.name, around.frame, self.problems);
        let Some((layer, span)) = expanded else {
            return Some(self.table(outline, outline.table, around, preset::Reach::default()));
        };
        let (mut merged, reach) = layer.under(written?, &span);
        let table: file::App = super::decode::decode(&mut merged, self.problems, &mut self.lost)?;
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
        reach: preset::Reach,
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
            after: super::order::after(table),
            ready,
            live,
            live_failures,
            restart: super::life::restart(table.restart),
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

    /// `None`: nothing is handed over.
    pub(super) fn identity(&mut self, at: Option<&At<FlagOr<file::Identity>>>) -> Option<Identity> {
        let Some(at) = at else { return Some(default_identity()) };
        let table = match &at.value {
            FlagOr::Flag(false) => return None,
            FlagOr::Flag(true) => return Some(default_identity()),
            FlagOr::Table(table) => table,
        };
        let mut seen = Vec::new();
        let mut header = |at: &Option<At<String>>| {
            let name = self.parse_some(at.as_ref(), identity_header)?;
            if seen.contains(&name) {
                let span = at.as_ref().map(|at| at.span.clone()).unwrap_or_default();
                self.problems
                    .error(&span, format!("identity: `{name}` is named twice; give each its own"));
            }
            seen.push(name.clone());
            Some(name)
        };
        let identity = Identity {
            user: header(&table.user),
            email: header(&table.email),
            groups: header(&table.groups),
            preferred_username: header(&table.preferred_username),
            name: header(&table.name),
            access_token: header(&table.access_token),
            assertion: header(&table.assertion),
        };
        if seen.is_empty() && !self.problems.any_within(&at.span) {
            let help = "write `identity = false` to hand nothing over";
            self.problems.error_with_help(&at.span, "identity names no header", help);
        }
        Some(identity)
    }
}

fn default_identity() -> Identity {
    let header = |part: &str| Some(format!("x-forwarded-{part}"));
    Identity {
        user: header("user"),
        email: header("email"),
        groups: header("groups"),
        preferred_username: header("preferred-username"),
        name: None,
        access_token: None,
        assertion: None,
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

/// Headers that frame a message, route it, or that the appliance sets itself.
const TAKEN: [&str; 31] = [
    "host",
    "cookie",
    "set-cookie",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy",
    "authorization",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-real-ip",
    "x-request-id",
    "origin",
    "referer",
    "range",
    "date",
    "via",
    "accept",
    "user-agent",
    "location",
    "cache-control",
    "max-forwards",
];

fn identity_header(text: &str) -> grammar::Parsed<String> {
    let name = grammar::header(text).map_err(|why| format!("identity: {why}"))?;
    let family = ["content-", "proxy-", "sec-", "if-", "access-control-", "accept-"];
    if TAKEN.contains(&&*name) || family.iter().any(|start| name.starts_with(start)) {
        return Err(format!(
            "identity: `{text}` has a meaning of its own; take a name as `X-User`"
        ));
    }
    Ok(name)
}

fn icon(text: &str) -> grammar::Parsed<String> {
    let looks_like_address = text.contains(['/', ':', '.']);
    if looks_like_address { super::server::image(text) } else { Ok(text.to_owned()) }
}
