//! Threads for work that may block: slow disks, files and `/proc` entries that an app delays.

mod pool;
mod turn;

pub(crate) use pool::{blocking, keep_one};
pub(crate) use turn::Turn;
