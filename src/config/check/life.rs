//! Restart and stop settings of an app.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::context::{Check, Outline};
use crate::config::file::{self, At, Span, TextOr};
use crate::config::grammar;
use crate::config::model::{Backoff, Restart, Schedule, StopPlan, StopTarget, WarmHours};

impl Check<'_, '_> {
    pub(super) fn backoff(&mut self, at: Option<&At<file::Backoff>>) -> Backoff {
        let standard = Backoff { min: Duration::from_millis(500), max: Duration::from_secs(30) };
        let Some(at) = at else { return standard };
        let min = self.duration(at.min.as_ref(), standard.min);
        // If only one of the two is set, the default of the other one follows it.
        let max = self.duration(at.max.as_ref(), standard.max.max(min));
        let min = if at.min.is_none() { min.min(max) } else { min };
        if min > max {
            self.problems.error(
                &at.span,
                "backoff: `min` must not be longer than `max`; shorten one or lengthen the other",
            );
        }
        Backoff { min, max }
    }

    pub(super) fn max_restarts(&mut self, at: Option<&At<i64>>) -> u32 {
        self.number(at, 0..=i64::from(u32::MAX), "max_restarts").unwrap_or(10)
    }

    pub(super) fn exit_codes(&mut self, at: Option<&At<Vec<i64>>>) -> Vec<i32> {
        let Some(at) = at else { return vec![0] };
        if at.is_empty() {
            self.problems.error(
                &at.span,
                "`success_exit_codes` is empty, so no exit would be a success; remove the key for `[0]`",
            );
        }
        let codes = at.iter().filter_map(|code| u8::try_from(*code).ok()).map(i32::from);
        let codes: Vec<i32> = codes.collect();
        if codes.len() < at.len() {
            self.problems.error(&at.span, "an exit code is a number from 0 to 255");
        }
        codes
    }

    pub(super) fn schedule(&mut self, table: &file::App) -> Option<Schedule> {
        let schedule = self.parse_some(table.schedule.as_ref(), grammar::schedule);
        self.time_zone(table, schedule.is_some());
        schedule
    }

    pub(super) fn restart_at(&mut self, table: &file::App) -> Option<Schedule> {
        let at = table.restart_at.as_ref()?;
        let schedule = self.parse_some(Some(at), grammar::cron);
        self.refuse_if_app_ends(table, "restart_at", &at.span);
        self.time_zone(table, schedule.is_some());
        schedule
    }

    pub(super) fn idle_stop(
        &mut self,
        outline: &Outline<'_>,
        table: &file::App,
    ) -> Option<Duration> {
        let at = table.idle_stop.as_ref()?;
        let name = &outline.name;
        if !self.refuse_if_app_ends(table, "idle_stop", &at.span) && outline.route.is_none() {
            self.problems.error_with_help(
                &at.span,
                format!(
                    "`idle_stop` needs an app that requests can start, and `{name}` has no route"
                ),
                "set a `path` or a `host`, or remove `idle_stop`",
            );
        }
        self.parse_some(Some(at), idle_stop)
    }

    pub(super) fn keep_warm(&mut self, table: &file::App) -> Option<WarmHours> {
        let at = table.keep_warm.as_ref()?;
        if table.idle_stop.is_none() {
            self.problems.error_with_help(
                &at.span,
                "`keep_warm` needs `idle_stop`: without it, the app runs at all hours",
                "set `idle_stop` as well, or remove `keep_warm`",
            );
        }
        let hours = self.parse_some(Some(at), grammar::warm_hours);
        self.time_zone(table, hours.is_some());
        hours
    }

    /// Refuses the setting `key` of an app that runs to its end. Whether it was refused.
    pub(in crate::config::check) fn refuse_if_app_ends(
        &mut self,
        table: &file::App,
        key: &str,
        span: &Span,
    ) -> bool {
        let ends = table.schedule.is_some() || table.oneshot == Some(true);
        if ends {
            self.problems.error_with_help(
                span,
                format!("`{key}` needs an app that keeps running, and this one runs to its end"),
                format!("remove `{key}`, or `schedule` and `oneshot`"),
            );
        }
        ends
    }

    /// The clock of a time zone that does not exist would be that of UTC.
    fn time_zone(&mut self, table: &file::App, is_used: bool) {
        let zone = table.env.as_ref().and_then(|env| env.get("TZ"));
        if let Some(zone) = zone.filter(|_| is_used)
            && let TextOr::Text(name) = &zone.value
            && let Err(why) = grammar::time_zone(name)
        {
            self.problems.error(&zone.span, why);
        }
    }

    pub(super) fn stop_plan(&mut self, table: &file::App) -> StopPlan {
        StopPlan {
            signal: self.parse(table.stop_signal.as_ref(), Signal::SIGTERM, |text| {
                match grammar::signal(text)? {
                    Signal::SIGSTOP | Signal::SIGCONT | Signal::SIGTSTP => Err(format!(
                        "`{text}` does not end a process; write for example `TERM`, `INT` or `QUIT`"
                    )),
                    signal => Ok(signal),
                }
            }),
            target: match table.stop_target {
                Some(file::StopTarget::Leader) => StopTarget::Leader,
                Some(file::StopTarget::Group) | None => StopTarget::Group,
            },
            timeout: self.duration(table.stop_timeout.as_ref(), Duration::from_secs(5)),
        }
    }
}

/// A shorter time would stop an app between two requests of one page.
const LEAST_IDLE: Duration = Duration::from_secs(1);

fn idle_stop(text: &str) -> grammar::Parsed<Duration> {
    match grammar::duration(text)? {
        idle if idle >= LEAST_IDLE => Ok(idle),
        _ => Err("`idle_stop` is too short; write a duration of at least `1s`".to_owned()),
    }
}

/// A program needs some memory to start at all.
const LEAST_MEMORY: u64 = 1_000_000;

pub(super) fn max_memory(text: &str) -> grammar::Parsed<u64> {
    match grammar::size(text)? {
        bytes @ LEAST_MEMORY.. => Ok(bytes),
        _ => {
            Err("`max_memory` is too small for a program; write a size of at least `1MB`"
                .to_owned())
        }
    }
}

pub(super) fn restart(file: Option<file::Restart>) -> Restart {
    match file {
        Some(file::Restart::OnFailure) => Restart::OnFailure,
        Some(file::Restart::Never) => Restart::Never,
        Some(file::Restart::Always) | None => Restart::Always,
    }
}
