//! How a process ended.

use std::fmt;

use nix::sys::signal::Signal;

/// Our own exit code when something of ours, or an app without a code of its own, has failed.
pub(crate) const INTERNAL: u8 = 70;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// `exit(n)`
    Code(i32),
    /// Killed by a signal.
    Signal(i32),
}

impl Exit {
    /// The name of the signal without `SIG`, or its number; `None` for a code.
    pub fn signal_name(self) -> Option<String> {
        let Self::Signal(number) = self else { return None };
        Some(Signal::try_from(number).map_or_else(
            |_| number.to_string(),
            |signal| signal.as_str().trim_start_matches("SIG").to_owned(),
        ))
    }

    /// The code with which we end for it: its own, 128 + n for a signal. An app that failed with
    /// 0 (restarted too often) has none that would tell.
    pub(crate) fn as_failure(self) -> u8 {
        match self {
            Self::Code(0) => INTERNAL,
            Self::Code(code) => u8::try_from(code).unwrap_or(INTERNAL),
            Self::Signal(number) => u8::try_from(number + 128).unwrap_or(INTERNAL),
        }
    }
}

impl fmt::Display for Exit {
    /// `exit 3`, `signal KILL`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.signal_name()) {
            (Self::Code(code), _) => write!(f, "exit {code}"),
            (Self::Signal(_), name) => write!(f, "signal {}", name.unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_is_told_in_words_and_as_a_code() {
        for (exit, text, code) in [
            (Exit::Code(3), "exit 3", 3),
            (Exit::Code(255), "exit 255", 255),
            (Exit::Code(0), "exit 0", 70),
            (Exit::Signal(9), "signal KILL", 137),
            (Exit::Signal(11), "signal SEGV", 139),
            (Exit::Signal(40), "signal 40", 168),
        ] {
            assert_eq!((exit.to_string().as_str(), exit.as_failure()), (text, code));
        }
    }
}
