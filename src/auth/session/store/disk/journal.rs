//! A file that grows by one line for each change, and is written anew when most of its lines are no
//! longer needed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use super::state_files;

/// The file is written anew once it has this many lines more than twice what is needed.
pub(crate) const SPARE_LINES: usize = 4096;

/// The file, open for appending.
#[derive(Debug)]
pub(crate) struct Journal {
    path: PathBuf,
    pub(crate) file: File,
    lines: usize,
    /// A write has failed.
    torn: bool,
}

impl Journal {
    /// Replaces the file by these lines.
    pub(crate) fn write(path: PathBuf, lines: &str) -> io::Result<Self> {
        state_files::replace(&path, lines.as_bytes())?;
        let file = OpenOptions::new().append(true).open(&path)?;
        Ok(Self { path, file, lines: lines.lines().count(), torn: false })
    }

    /// Appends a line. One short write into the page cache; does not wait for the disk. `count`: how
    /// many lines are needed; `needed`: these lines, of which the new one is one.
    pub(crate) fn append(
        &mut self,
        line: &str,
        count: impl FnOnce() -> usize,
        needed: impl FnOnce() -> String,
    ) -> io::Result<()> {
        // A failed write may leave a part of a line, which would spoil the next line.
        self.torn |= self.file.write_all(line.as_bytes()).is_err();
        self.lines += 1;
        if self.torn || self.lines > 2 * count() + SPARE_LINES {
            *self = Self::write(self.path.clone(), &needed())?;
        }
        Ok(())
    }
}
