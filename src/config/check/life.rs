//! Restart and stop settings of an app.

use std::time::Duration;

use nix::sys::signal::Signal;

use super::context::Check;
use crate::config::file::{self, At};
use crate::config::grammar;
use crate::config::model::{Backoff, Restart, StopPlan, StopTarget};

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
