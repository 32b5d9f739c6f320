//! Apps with several processes: the phase of the app as a whole, and its restart without a moment in
//! which no process is ready.
//!
//! Each process is supervised as an app of its own, so everything else is the same as for an app
//! with one process.

pub(super) mod group;
pub(super) mod roll;
mod rolling;
