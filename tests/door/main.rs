//! The front door against programs of others.
//!
//! `tests/all door` installs the programs below a folder and sets `DOOR_TOOLS` to its path.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the tests start processes and print the log of a failed one"
)]
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "an unexpected value ends the test")]
#![expect(dead_code, reason = "the tests in tests/it use more of the shared files")]
#![expect(unreachable_pub, reason = "no other crate uses a test binary")]

mod autobahn;
mod certificates;
#[path = "../it/harness.rs"]
mod harness;
mod pebble;
mod slowhttptest;
mod sslyze;
#[path = "../it/upstream.rs"]
mod upstream;

use std::path::PathBuf;

/// The path of an installed program or folder.
fn tool(path: &str) -> PathBuf {
    let folder = std::env::var_os("DOOR_TOOLS");
    PathBuf::from(folder.expect("run `tests/all door`, which sets DOOR_TOOLS")).join(path)
}
