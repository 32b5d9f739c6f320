//! Writes the numbers in the text format of Prometheus.

#![expect(clippy::cast_precision_loss, reason = "the text format has only floating-point numbers")]

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, prometheus_text};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;

use super::figures::{AppFigures, Figures, unix_seconds};
use crate::config::Phase;
use crate::proxy::TrafficFigures;

/// The words of `status` for the phases of an app.
const STATES: [&str; 11] = [
    "waiting", "setup", "starting", "ready", "unready", "stopping", "stopped", "idle", "finished",
    "backoff", "failed",
];

type Labels<const N: usize> = [(&'static str, String); N];
/// What `encode_counter` wants to know about exemplars, which nothing here has.
type NoLabels = [(&'static str, &'static str); 0];

/// The page.
pub(super) fn page(figures: Figures) -> Result<String, fmt::Error> {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page(figures)));
    let mut text = String::new();
    prometheus_text::encode(&mut text, &registry)?;
    Ok(text)
}

#[derive(Debug)]
struct Page(Figures);

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let all = &self.0;
        process(all, &mut encoder)?;
        traffic(&all.traffic, &mut encoder)?;
        people(all, &mut encoder)?;
        apps(&all.apps, &mut encoder)?;
        let bytes = all.log_bytes.iter().map(|(app, bytes)| (of_app(app), *bytes as f64));
        counter(
            "appliance_log_bytes",
            "Bytes that an app has written to its log.",
            bytes,
            &mut encoder,
        )?;
        let ends = all.certificates.iter();
        let ends = ends.map(|(host, end)| ([("host", host.clone())], unix_seconds(*end)));
        gauge(
            "appliance_certificate_expiry_seconds",
            "When the certificate of a host expires, in seconds since 1970.",
            ends,
            &mut encoder,
        )?;
        let reload = &all.last_reload;
        gauge(
            "appliance_config_last_reload_successful",
            "Whether the last reload, or the start, has put the file in force.",
            [([], f64::from(u8::from(reload.successful)))],
            &mut encoder,
        )?;
        gauge(
            "appliance_config_last_reload_timestamp_seconds",
            "When the last reload, or the start, has ended.",
            [([], unix_seconds(reload.at))],
            &mut encoder,
        )
    }
}

fn process(all: &Figures, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    gauge("appliance_build_info", "The version.", [([("version", version)], 1.0)], encoder)?;
    let own = &all.process;
    let seconds = [([], own.cpu_seconds)];
    counter("process_cpu_seconds", "Processor time of the appliance itself.", seconds, encoder)?;
    for (name, help, value) in [
        (
            "process_resident_memory_bytes",
            "Memory of the appliance itself.",
            own.resident_bytes as f64,
        ),
        ("process_open_fds", "Open files of the appliance.", own.open_files as f64),
        ("process_max_fds", "Limit of open files.", own.max_open_files as f64),
        ("process_start_time_seconds", "When the appliance started.", own.started),
    ] {
        gauge(name, help, [([], value)], encoder)?;
    }
    Ok(())
}

fn traffic(all: &[(String, TrafficFigures)], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let codes = all.iter().flat_map(|(app, figures)| {
        figures.codes.iter().map(move |(code, count)| {
            let code = if *code == 0 { "other".to_owned() } else { code.to_string() };
            ([("app", app.clone()), ("code", code)], *count as f64)
        })
    });
    counter("appliance_requests", "Requests that have ended.", codes, encoder)?;
    let of_apps = || all.iter().filter(|(app, _)| app != crate::telemetry::APPLIANCE);
    let in_flight = of_apps().map(|(app, figures)| (of_app(app), figures.in_flight as f64));
    gauge(
        "appliance_requests_in_flight",
        "Requests whose response has not ended.",
        in_flight,
        encoder,
    )?;
    let mut durations = encoder.encode_descriptor(
        "appliance_request_duration_seconds",
        "Time from the head of a request to the end of its response.",
        None,
        MetricType::Histogram,
    )?;
    for (app, figures) in all {
        let count = figures.durations.iter().map(|(_, count)| count).sum();
        let labels = of_app(app);
        let mut family = durations.encode_family(&labels)?;
        family.encode_histogram::<NoLabels>(figures.seconds, count, &figures.durations, None)?;
    }
    let tunnels = of_apps().map(|(app, figures)| (of_app(app), figures.tunnels as f64));
    gauge("appliance_tunnels", "Open WebSockets.", tunnels, encoder)?;
    let people = of_apps().map(|(app, figures)| (of_app(app), figures.people as f64));
    gauge(
        "appliance_app_users",
        "People with a request to an app in the last 5 minutes.",
        people,
        encoder,
    )
}

fn people(all: &Figures, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    if let Some(auth) = &all.auth {
        let sessions = [([], auth.sessions as f64)];
        gauge("appliance_sessions", "Sessions in force.", sessions, encoder)?;
        let people = [([], auth.active_people as f64)];
        gauge(
            "appliance_users_active",
            "People with a request in the last 5 minutes.",
            people,
            encoder,
        )?;
        let by_result = |counts: &[(&'static str, u64)]| -> Vec<(Labels<1>, f64)> {
            let labelled = counts.iter();
            labelled
                .map(|(result, count)| ([("result", (*result).to_owned())], *count as f64))
                .collect()
        };
        let logins = by_result(&auth.logins);
        counter("appliance_logins", "Logins whose browser came back.", logins, encoder)?;
        let refreshes = by_result(&auth.refreshes);
        counter("appliance_refreshes", "Refreshes of sessions at the issuer.", refreshes, encoder)?;
    }
    if let Some(up) = all.issuer_up {
        let up = [([], f64::from(u8::from(up)))];
        gauge("appliance_issuer_up", "Whether people can sign in.", up, encoder)?;
    }
    Ok(())
}

fn apps(all: &[AppFigures], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    let states = all.iter().flat_map(|app| {
        STATES.iter().map(|state| {
            let is_it = state_of(app.phase) == *state;
            let labels = [("app", app.name.clone()), ("state", (*state).to_owned())];
            (labels, f64::from(u8::from(is_it)))
        })
    });
    gauge("appliance_app_state", "1 for the state of an app, 0 for all others.", states, encoder)?;
    let restarts = all.iter().map(|app| (of_app(&app.name), app.restarts as f64));
    counter("appliance_app_restarts", "Restarts of an app.", restarts, encoder)?;
    let some = |value: fn(&AppFigures) -> Option<f64>| {
        all.iter().filter_map(move |app| Some((of_app(&app.name), value(app)?)))
    };
    let starts = some(|app| app.start.map(|start| start.as_secs_f64()));
    gauge("appliance_app_start_seconds", "Time of the last start to readiness.", starts, encoder)?;
    let memory = some(|app| app.memory.map(|bytes| bytes as f64));
    gauge("appliance_app_memory_bytes", "Memory of all processes of an app.", memory, encoder)?;
    let cpu = some(|app| app.cpu.map(|cpu| cpu.as_secs_f64()));
    counter("appliance_app_cpu_seconds", "Processor time of all processes of an app.", cpu, encoder)
}

/// `appliance status` shows two of the states only in its `reason`.
fn state_of(phase: Phase) -> &'static str {
    match phase {
        Phase::Idle => "idle",
        Phase::Finished => "finished",
        other => other.as_str(),
    }
}

fn of_app(app: &str) -> Labels<1> {
    [("app", app.to_owned())]
}

fn gauge<const N: usize>(
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (Labels<N>, f64)>,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
    for (labels, value) in rows {
        if N == 0 {
            metric.encode_gauge(&value)?;
        } else {
            metric.encode_family(&labels)?.encode_gauge(&value)?;
        }
    }
    Ok(())
}

/// `name` without `_total`.
fn counter<const N: usize>(
    name: &str,
    help: &str,
    rows: impl IntoIterator<Item = (Labels<N>, f64)>,
    encoder: &mut DescriptorEncoder<'_>,
) -> fmt::Result {
    let mut metric = encoder.encode_descriptor(name, help, None, MetricType::Counter)?;
    for (labels, value) in rows {
        if N == 0 {
            metric.encode_counter::<NoLabels, _, f64>(&value, None)?;
        } else {
            metric.encode_family(&labels)?.encode_counter::<NoLabels, _, f64>(&value, None)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "../../tests/unit/metrics/page.rs"]
mod tests;
