//! Writes one app.

use std::path::Path;

use toml::Value;

use super::page::Page;
use super::value::{
    access, duration, identity, limits, list, probe, rule, secret, static_files, table, tables,
    upstream,
};
use crate::config::model::{
    App, AppTls, EnvValue, Restart, Route, Run, Shield, StopPlan, StopTarget, Until,
};

pub(super) fn show_app(app: &App, page: &mut Page) {
    page.table(&format!("apps.{}", app.name));
    if let Some(run) = &app.run {
        show_run(run, app, page);
    }
    if let Some(route) = &app.route {
        show_route(route, page);
        let is_usual = route.sticky == (app.replicas > 1);
        page.some("sticky", (!is_usual).then_some(route.sticky));
    }
    if !app.after.is_empty() {
        let after = app.after.iter().map(|after| {
            let until = match after.until {
                Until::Started => "started",
                Until::Ready => "ready",
                Until::Finished => "finished",
            };
            table([
                ("app".to_owned(), after.app.to_string()),
                ("until".to_owned(), until.to_owned()),
            ])
        });
        page.key("after", after.collect::<Vec<_>>());
    }
    page.some("ready", app.ready.as_ref().map(|ready| probe(ready, None)));
    page.some("live", app.live.as_ref().map(|live| probe(live, Some(app.live_failures))));
    page.key("critical", app.critical);
    page.some("title", app.title.clone());
    page.some("icon", app.icon.clone());
    page.some("description", app.description.clone());
    page.key("hidden", app.hidden);
    page.some("operators", app.operators.as_ref().map(access));
}

fn show_run(run: &Run, app: &App, page: &mut Page) {
    page.key("command", run.command.clone());
    match app.port {
        Some(port) => page.key("port", i64::from(port)),
        None => page.note("port", "port: a free port is chosen at the start"),
    }
    page.key("cwd", run.cwd.display().to_string());
    let number = run.own_user.as_ref().map(|own| own.number.to_string());
    match run.user.as_ref().or(number.as_ref()) {
        Some(user) => page.key("user", user.as_str()),
        None => page.note("user", "user: that of the appliance"),
    }
    page.some("group", run.group.clone().or(number));
    if let Some(data) = &run.folders.data {
        page.note("data folder", format!("data folder: {}", data.display()));
    }
    page.some("umask", run.umask.map(|mask| format!("{mask:03o}")));
    for (name, value) in &run.env {
        let shown = match value {
            EnvValue::Plain(text) => Value::from(text.as_str()),
            EnvValue::Secret(source) => secret(source),
        };
        page.key(&format!("env.{name}"), shown);
    }
    page.some("env_file", run.env_file.as_ref().map(|path| path.display().to_string()));
    if !run.pass_env.is_empty() {
        page.key("pass_env", run.pass_env.clone());
    }
    page.some("limits", limits(&run.limits));
    page.key("no_new_privs", run.no_new_privs);
    page.key("log", run.log);
    for setup in &run.setup {
        page.key("setup.run", setup.run.clone());
        page.key("setup.creates", setup.creates.display().to_string());
        for (name, value) in &setup.env {
            page.key(&format!("setup.env.{name}"), value.as_str());
        }
    }
    page.key("autostart", app.autostart);
    page.key(
        "restart",
        match app.restart {
            Restart::Always => "always",
            Restart::OnFailure => "on-failure",
            Restart::Never => "never",
        },
    );
    let pauses = [("min", app.backoff.min), ("max", app.backoff.max)];
    page.key("backoff", table(pauses.map(|(key, pause)| (key.to_owned(), duration(pause)))));
    page.key("max_restarts", i64::from(app.max_restarts));
    page.key("window", duration(app.window));
    page.some("max_memory", app.max_memory.map(|bytes| format!("{bytes}B")));
    let codes = app.success_exit_codes.iter().map(|code| Value::from(i64::from(*code)));
    page.key("success_exit_codes", codes.collect::<Vec<_>>());
    page.key("oneshot", app.oneshot);
    page.some("replicas", (app.replicas > 1).then_some(i64::from(app.replicas)));
    show_times(app, page);
    show_stop(&app.stop, page);
}

fn show_times(app: &App, page: &mut Page) {
    page.some("schedule", app.schedule.as_ref().map(|schedule| schedule.text.clone()));
    page.some("restart_at", app.restart_at.as_ref().map(|schedule| schedule.text.clone()));
    page.some("idle_stop", app.idle_stop.map(duration));
    page.some("keep_warm", app.keep_warm.as_ref().map(|hours| hours.text.clone()));
}

fn show_tls(tls: &AppTls, page: &mut Page) {
    let shown = |path: &Path| path.display().to_string();
    page.some("ca_file", tls.ca_file.as_deref().map(shown));
    page.some("server_name", tls.server_name.clone());
    page.some("client_cert", tls.client.as_ref().map(|files| shown(&files.cert)));
    page.some("client_key", tls.client.as_ref().map(|files| shown(&files.key)));
}

fn show_stop(stop: &StopPlan, page: &mut Page) {
    page.key("stop_signal", stop.signal.as_str().trim_start_matches("SIG"));
    page.key(
        "stop_target",
        match stop.target {
            StopTarget::Group => "group",
            StopTarget::Leader => "leader",
        },
    );
    page.key("stop_timeout", duration(stop.timeout));
}

fn show_route(route: &Route, page: &mut Page) {
    page.key("path", route.path.as_str());
    page.some("host", route.host.clone());
    if let Some(files) = &route.files {
        page.key("static", static_files(files));
    } else {
        page.key("strip_prefix", route.strip_prefix);
        page.key("trailing_slash", route.trailing_slash);
        page.key("raw_path", route.raw_path);
        page.key("upstream", list(&route.upstreams, upstream));
    }
    if let Some(tls) = route.upstreams.iter().find_map(|upstream| upstream.tls.as_ref()) {
        show_tls(tls, page);
    }
    page.key("access", access(&route.access));
    page.some("deny", (!route.deny.is_empty()).then(|| tables(&route.deny)));
    if !route.rules.is_empty() {
        page.key("rules", route.rules.iter().map(rule).collect::<Vec<_>>());
    }
    page.key("api", route.api);
    page.key("bearer", route.bearer);
    if route.files.is_none() {
        page.key("identity", route.identity.as_ref().map_or(Value::Boolean(false), identity));
        page.some("max_body", route.max_body.map(|bytes| format!("{bytes}B")));
        page.key("hold", duration(route.hold));
        page.key("timeout", duration(route.timeout));
    }
    if !route.origins.is_empty() {
        page.key("origins", route.origins.clone());
    }
    if !route.embed.is_empty() {
        page.key("embed", route.embed.clone());
    }
    if !route.exposed.is_empty() {
        page.note(
            "reachable paths",
            format!("reachable from outside below the app's path: {}", route.exposed.join(" ")),
        );
    }
    if !route.hidden_paths.is_empty() {
        page.note(
            "hidden paths",
            format!("never reachable from outside: {}", route.hidden_paths.join(" ")),
        );
    }
    let Shield { pages, open, programs } = &route.shield;
    if !pages.is_empty() {
        let but =
            if open.is_empty() { String::new() } else { format!(" (but {})", open.join(" ")) };
        page.note(
            "pages of their own",
            format!("only as a page of its own: {}{but}", pages.join(" ")),
        );
    }
    if !programs.is_empty() {
        page.note("paths for programs", format!("never for browsers: {}", programs.join(" ")));
    }
}
