//! What a changed configuration does to a running appliance: pure, decided from two checked
//! configurations.
//!
//! ```text
//! held → plan → effect
//! ```

mod effect;
pub(super) mod held;
mod plan;

pub use plan::{Plan, Step};
