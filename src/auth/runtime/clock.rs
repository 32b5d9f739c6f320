//! Wall-clock time in milliseconds since 1970.
//!
//! A session outlives the process in its cookie, so its limits are points in calendar time. A
//! monotonic clock starts anew with every boot and cannot express them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time or a length of time: milliseconds, for points since 1970-01-01 UTC.
pub(crate) type Millis = u64;

/// The current time; 0 if the system clock is set before 1970.
pub(crate) fn now() -> Millis {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, millis)
}

/// Converts a duration to milliseconds; saturates.
pub(crate) fn millis(duration: Duration) -> Millis {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
