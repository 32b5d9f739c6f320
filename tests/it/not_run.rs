//! Tests that need more than a machine allows.

use std::io::Write as _;

/// Says that a test does not run here; with `TESTS_REQUIRE_ALL=1` it fails.
pub(crate) fn not_run(test: &str, why: &str) {
    let all = std::env::var("TESTS_REQUIRE_ALL").is_ok_and(|value| value == "1");
    assert!(!all, "{test} must run here, but {why}");
    // The macros would write into the output of the test, which is shown only if the test fails.
    let _ = writeln!(std::io::stderr(), "NOT RUN: {test} ({why})");
}
