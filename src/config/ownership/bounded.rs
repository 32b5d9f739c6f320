//! Reads a file only up to a size: neither an app nor a wrong path may fill the memory.

use std::fs::File;
use std::io::{self, Read as _};

use rustix::fs::{PROC_SUPER_MAGIC, fstatfs};

/// Fails for a file that the kernel makes up while it is read: `/proc/kmsg` counts as a plain file, never
/// ends, and takes each message away from the next reader.
pub(super) fn refuse_kernel_file(file: &File) -> io::Result<()> {
    if fstatfs(file)?.f_type == PROC_SUPER_MAGIC {
        let why = "it is a file of the kernel below /proc; name another file";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(())
}

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
