//! Reads a file only up to a size: neither an app nor a wrong path may fill the memory.

use std::fs::File;
use std::io::{self, Read as _};

/// The content of a file.
///
/// # Errors
///
/// The file cannot be read, or is larger than `largest` bytes, which are whole MiB.
pub(super) fn content(file: File, largest: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if file.take(largest + 1).read_to_end(&mut bytes)? as u64 > largest {
        let why = format!("it is larger than {} MiB", largest >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}
