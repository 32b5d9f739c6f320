//! The built appliance from outside: against an in-process issuer and app, and as PID 1 of a
//! namespace of its own.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the tests are the outside: they start processes of their own and show a failed one's log"
)]

mod harness;
mod pid1;
