//! A refused start: a message for stderr and an exit code (`sysexits.h`).

use std::io::Write;

use crate::config::Config;

/// Exit code: a bug in the appliance.
pub const INTERNAL: u8 = 70;
/// Exit code: the first-time setup failed.
pub(super) const SETUP_FAILED: u8 = 1;
/// Exit code: another process holds what the appliance needs.
pub(super) const UNAVAILABLE: u8 = 69;
/// Exit code: the command line is wrong.
pub(super) const USAGE: u8 = 2;
const CONFIGURATION: u8 = 78;

/// Why a start was refused: the message for stderr, and the exit code.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: u8,
    pub(super) text: String,
}

impl Refused {
    pub(super) fn configuration(text: impl std::fmt::Display) -> Self {
        Self { code: CONFIGURATION, text: text.to_string() }
    }

    pub(super) fn unavailable(text: impl std::fmt::Display) -> Self {
        Self { code: UNAVAILABLE, text: text.to_string() }
    }

    pub(super) fn internal(text: impl std::fmt::Display) -> Self {
        Self { code: INTERNAL, text: text.to_string() }
    }

    /// Prints the message. Returns the exit code.
    pub(super) fn report(&self) -> u8 {
        print_error(&self.text);
        self.code
    }
}

/// An error about a setting, in the same form as every other error in the file.
pub(super) fn setting(config: &Config, key: &[&str], why: &str) -> Refused {
    Refused::configuration(config.problem_with(key, why))
}

pub(super) fn print_error(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}
