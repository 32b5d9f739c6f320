//! How much memory and processor time the apps use: measured only when somebody asks, and where an
//! app has a limit of its memory.
//!
//! ```text
//! guard → excess, meter
//! meter → rate, process
//! ```

mod amount;
mod excess;
pub(super) mod guard;
pub(super) mod meter;
mod rate;

pub use amount::amount;
pub use meter::Usage;
