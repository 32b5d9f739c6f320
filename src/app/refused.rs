//! A start that is refused: a sentence for stderr and an exit code (`sysexits.h`).

use std::io::Write;

use crate::config::Config;

/// A fault of ours.
pub const INTERNAL: u8 = 70;
/// A first-time setup that failed.
pub(super) const SETUP_FAILED: u8 = 1;
/// Somebody else has what we need.
pub(super) const UNAVAILABLE: u8 = 69;
const CONFIGURATION: u8 = 78;

/// Why a start was refused: the sentence for stderr, and the exit code.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) code: u8,
    pub(super) text: String,
}

impl Refused {
    pub(super) fn configuration(text: impl std::fmt::Display) -> Self {
        Self { code: CONFIGURATION, text: text.to_string() }
    }

    pub(super) fn internal(text: impl std::fmt::Display) -> Self {
        Self { code: INTERNAL, text: text.to_string() }
    }
}

/// What is wrong with a setting, told as every other error of the file is.
pub(super) fn setting(config: &Config, key: &[&str], why: &str) -> Refused {
    Refused::configuration(config.problem_with(key, why))
}

pub(super) fn complain(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", text.trim_end());
}
