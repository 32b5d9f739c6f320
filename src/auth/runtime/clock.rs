//! Wall-clock time, in milliseconds since 1970.
//!
//! Sessions outlive us in cookies, so their ends are moments of the calendar, not of a stopwatch
//! that starts anew with every boot.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970.
pub(crate) type Millis = u64;

/// Now; 0 on a machine whose clock is before 1970.
pub(crate) fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// A duration in milliseconds; saturates.
pub(crate) fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
