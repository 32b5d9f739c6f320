//! Errors that say that no descriptor is left.

use std::io;

use nix::errno::Errno;

/// Whether an error says that the process, or the machine, can open no further descriptor.
pub(crate) fn is_exhaustion(error: &io::Error) -> bool {
    [Errno::EMFILE, Errno::ENFILE].iter().any(|no| error.raw_os_error() == Some(*no as i32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lack_of_descriptors_is_an_exhaustion() {
        assert!(is_exhaustion(&io::Error::from_raw_os_error(Errno::EMFILE as i32)));
        assert!(!is_exhaustion(&io::Error::from_raw_os_error(Errno::ECONNREFUSED as i32)));
    }
}
