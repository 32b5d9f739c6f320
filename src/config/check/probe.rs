//! `ready` and `live`: the probes of an app.

use std::time::Duration;

use super::context::Check;
use crate::config::file::{self, At};
use crate::config::grammar::placeholder::fill;
use crate::config::model::{BrowserView, HttpQuestion, Notify, Probe, ProbeKind, Upstream};

/// What the probes of an app need to know about it.
#[derive(Debug)]
pub(super) struct Probed<'a> {
    pub(super) upstreams: &'a [Upstream],
    /// `None` if browsers do not reach the app.
    pub(super) browser: Option<BrowserView>,
    pub(super) words: &'a [(&'a str, &'a str)],
}

impl Check<'_, '_> {
    /// `by_port`: without `ready`, the app is ready when it accepts connections on its port.
    pub(super) fn ready(
        &mut self,
        table: &file::App,
        app: &Probed<'_>,
        by_port: bool,
    ) -> Option<Probe> {
        let Some(at) = &table.ready else {
            return by_port.then(|| standard(ProbeKind::Accepts(app.upstreams.to_vec())));
        };
        if table.oneshot == Some(true) {
            self.problems.error_with_help(
                &at.span,
                "a oneshot is ready when it exits with success",
                "remove `ready`",
            );
        }
        if let Some(failures) = &at.failures {
            self.problems.error(&failures.span, "`failures` belongs to `live`; remove it");
        }
        self.probe(at, app)
    }

    pub(super) fn live(&mut self, table: &file::App, app: &Probed<'_>) -> (Option<Probe>, u32) {
        let Some(at) = &table.live else { return (None, 3) };
        if at.log.is_some() || at.notify.is_some() {
            self.problems.error_with_help(
                &at.span,
                "`live` asks repeatedly, but `log` and `notify` are sent only once",
                "use `http`, `tcp` or `exec`",
            );
        }
        let failures = self.number(at.failures.as_ref(), 1..=1_000_000, "`failures`");
        (self.probe(at, app), failures.unwrap_or(3))
    }

    fn probe(&mut self, at: &At<file::Probe>, app: &Probed<'_>) -> Option<Probe> {
        let forms = [
            at.http.is_some(),
            at.tcp.is_some(),
            at.exec.is_some(),
            at.log.is_some(),
            at.notify.is_some(),
        ];
        if forms.iter().filter(|there| **there).count() != 1 {
            // A question that was cut out because of its type has already been reported.
            if !self.problems.any_within(&at.span) {
                self.problems.error(
                    &at.span,
                    "a probe needs exactly one of `http`, `tcp`, `exec`, `log` and `notify`",
                );
            }
            return None;
        }
        if let Some(status) = at.status.as_ref().filter(|_| at.http.is_none()) {
            self.problems.error(&status.span, "`status` belongs to `http`; remove it");
        }
        let kind = self.kind(at, app)?;
        let normal = standard(kind);
        let timeout = self.positive(at.timeout.as_ref(), normal.timeout);
        Some(Probe {
            interval: self.positive(at.interval.as_ref(), normal.interval),
            timeout,
            deadline: self.positive(at.deadline.as_ref(), normal.deadline),
            kind: normal.kind,
        })
    }

    fn kind(&mut self, at: &At<file::Probe>, app: &Probed<'_>) -> Option<ProbeKind> {
        let words = app.words;
        if let Some(path) = &at.http {
            let asked = fill(path, words);
            let odd = !asked.starts_with('/') || asked.contains(|c: char| !c.is_ascii_graphic());
            // An unknown placeholder has already been reported.
            if odd && !self.problems.any_within(&path.span) {
                self.problems.error(
                    &path.span,
                    format!("`{asked}` is not a path; write for example `/health`"),
                );
            }
            let status = self.statuses(at.status.as_ref());
            let question = HttpQuestion { path: asked, status, browser: app.browser.clone() };
            return Some(ProbeKind::Http { question, at: app.upstreams.to_vec() });
        }
        if let Some(tcp) = &at.tcp {
            if !tcp.value {
                let help = "remove the probe, or write `tcp = true`";
                self.problems.error_with_help(
                    &tcp.span,
                    "`tcp = false` does not ask anything",
                    help,
                );
            }
            return Some(ProbeKind::Tcp(app.upstreams.to_vec()));
        }
        if let Some(exec) = &at.exec {
            let argv = self.argv(exec, "`exec`");
            let argv = argv.iter().map(|part| fill(part, words)).collect();
            return Some(ProbeKind::Exec(self.rooted(argv)));
        }
        if let Some(log) = &at.log {
            return match regex::bytes::Regex::new(log) {
                Ok(expression) => Some(ProbeKind::Log(expression)),
                Err(error) => {
                    self.problems.error(
                        &log.span,
                        format!("`log` is not a regular expression: {}", last_line(&error)),
                    );
                    None
                }
            };
        }
        at.notify.as_ref().map(|notify| {
            ProbeKind::Notify(match notify.value {
                file::Notify::Fd => Notify::Fd,
                file::Notify::Systemd => Notify::Systemd,
            })
        })
    }

    fn statuses(&mut self, at: Option<&file::OneOrManyNumbers>) -> Vec<u16> {
        let Some(at) = at else { return vec![200] };
        if at.numbers.is_empty() {
            self.problems.error(
                &at.span,
                "`status` is an empty list; write the status of a success, for example `200`",
            );
        }
        let valid = |one| self.number(Some(one), 100..=599, "`status`");
        at.numbers.iter().filter_map(valid).collect()
    }
}

fn standard(kind: ProbeKind) -> Probe {
    Probe {
        kind,
        interval: Duration::from_secs(1),
        timeout: Duration::from_secs(2),
        deadline: Duration::from_mins(1),
    }
}

/// The last line of the message; the lines before it show the expression.
fn last_line(error: &regex::Error) -> String {
    let text = error.to_string();
    text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}
