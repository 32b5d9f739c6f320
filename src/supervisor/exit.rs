//! How a process ended.

use std::fmt;

use nix::sys::signal::Signal;

/// Exit code of the appliance after a bug in the appliance, or after a critical app without an exit
/// code of its own.
pub(crate) const INTERNAL: u8 = 70;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The process called `exit(n)`.
    Code(i32),
    /// Signal n killed the process.
    Signal(i32),
}

impl Exit {
    /// Name of the signal without `SIG`, or its number if it has no name; `None` for an exit code.
    pub fn signal_name(self) -> Option<String> {
        let Self::Signal(number) = self else { return None };
        Some(Signal::try_from(number).map_or_else(
            |_| number.to_string(),
            |signal| signal.as_str().trim_start_matches("SIG").to_owned(),
        ))
    }

    /// The appliance's own exit code when this exit makes it stop: the app's code, or 128 + n for
    /// signal n. An app that exited 0 but was restarted too often gives [`INTERNAL`].
    pub(crate) fn as_failure(self) -> u8 {
        match self {
            Self::Code(0) => INTERNAL,
            Self::Code(code) => u8::try_from(code).unwrap_or(INTERNAL),
            Self::Signal(number) => u8::try_from(number + 128).unwrap_or(INTERNAL),
        }
    }
}

impl fmt::Display for Exit {
    /// `exit 3` or `signal KILL`
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
    fn an_exit_has_a_text_and_a_failure_code() {
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
