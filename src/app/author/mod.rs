//! Commands that write the configuration file: `init` and `add`. What they write is checked first, and
//! nothing that is in the file changes.

mod add;
mod init;
mod questions;

use std::path::Path;

use crate::config::check_text;

use super::refused::Refused;

pub use add::add;
pub use init::{InitOptions, init};

/// Refuses a text with errors.
fn check(path: &Path, text: &str) -> Result<(), Refused> {
    let lookup = |name: &str| std::env::var(name).ok();
    check_text(path, text, &lookup).map_err(|problems| {
        let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
        Refused::configuration(format!(
            "{}\n\nnothing was written, because the file would have these errors",
            texts.join("\n\n")
        ))
    })
}
