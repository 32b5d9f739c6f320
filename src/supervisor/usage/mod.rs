//! How much memory and processor time the apps use: measured only when somebody asks.
//!
//! ```text
//! meter → rate, process
//! ```

pub(super) mod meter;
mod rate;

pub use meter::Usage;
