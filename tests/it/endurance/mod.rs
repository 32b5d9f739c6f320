//! What happens a thousand times: crashes, reloads, stops, and signals to every app; and bodies of a
//! gigabyte. Nothing grows, nothing is left, and no app has two processes.
//!
//! The usual run makes fewer rounds. `ENDURANCE_FULL=1`, which `tests/all endurance` sets, makes all.

mod growth;
mod idle;
mod large;
mod stops;
mod storm;

/// One number of rounds for the usual run, one for the full run.
fn rounds<T>(usual: T, full: T) -> T {
    if std::env::var("ENDURANCE_FULL").is_ok_and(|value| value == "1") { full } else { usual }
}

/// Shows a figure, also of a test that passes.
fn show(text: &str) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stderr(), "{text}");
}
