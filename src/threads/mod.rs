//! Threads for work that may block: slow disks, files and `/proc` entries that an app delays.

mod pool;

pub(crate) use pool::{blocking, keep_one};
