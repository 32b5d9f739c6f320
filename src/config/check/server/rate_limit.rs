//! `rate_limit`

use std::num::NonZeroU32;

use crate::config::check::context::Check;
use crate::config::file::{self, At, TextOr};
use crate::config::grammar;
use crate::config::model::RateLimit;

/// Values of `burst`.
const BURST: std::ops::RangeInclusive<i64> = 1..=1_000_000;

impl Check<'_, '_> {
    pub(super) fn rate_limit(&mut self, at: &At<TextOr<file::RateLimit>>) -> Option<RateLimit> {
        let (rate, burst) = match &at.value {
            TextOr::Text(text) => (At::new(text.clone(), at.span.clone()), None),
            TextOr::Other(table) => {
                let Some(rate) = &table.rate else {
                    self.problems.error(
                        &at.span,
                        "`rate_limit` has no `rate`; write for example `rate = \"50/s\"`",
                    );
                    return None;
                };
                (rate.clone(), table.burst.as_ref())
            }
        };
        let burst: Option<u32> = self.number(burst, BURST, "`burst`");
        let (count, period) = self.parse_some(Some(&rate), grammar::rate)?;
        let burst = burst.and_then(NonZeroU32::new).unwrap_or(count);
        Some(RateLimit { count, period, burst })
    }
}
