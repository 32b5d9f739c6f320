//! A log for tests of other folders.

use std::io;

use super::{Format, LogHandle, Queue};
use crate::config::Log;

impl LogHandle {
    /// A log that is written nowhere and is read with [`Self::tail`].
    pub(crate) fn unwritten() -> Self {
        let log = Log {
            format: crate::config::LogFormat::Text,
            level: String::new(),
            access: true,
            color: crate::config::Color::Never,
        };
        let queue = Queue::start(Format::new(&log, false), io::sink()).unwrap();
        Self { queue, access: true }
    }
}
