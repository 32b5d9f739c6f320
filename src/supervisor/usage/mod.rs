//! How much memory and processor time the apps use: measured only when somebody asks, and where an
//! app has a limit of its memory.
//!
//! ```text
//! guard → excess, meter
//! meter → gauge, rate
//! gauge → process
//! ```

mod amount;
mod excess;
mod gauge;
pub(super) mod guard;
pub(super) mod meter;
mod rate;

pub use amount::amount;
pub use meter::Usage;
