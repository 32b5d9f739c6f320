//! Apps that are stopped while nobody uses them: the hours in which they run anyway, and what the
//! proxy tells the supervisor about their use.

mod sleeper;
mod warm_hours;

pub use sleeper::{Busy, Sleeper, Sleepers};
pub use warm_hours::{WarmHours, WarmRange};
