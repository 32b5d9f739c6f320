//! What every room of auth runs on: time, locks and background tasks.

pub(crate) mod clock;
pub(crate) mod mutex;
pub(crate) mod single_flight;
pub(crate) mod tasks;
