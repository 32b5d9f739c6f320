//! The appliance against an in-process issuer and app, and as PID 1 of a namespace of its own.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the tests are the outside: they start processes and show a failed one's log"
)]
#![expect(clippy::unwrap_used, reason = "what is unexpected ends the test")]
#![expect(
    dead_code,
    reason = "tests/it/upstream.rs also serves the unit tests of the proxy, which ask it for more"
)]
#![expect(unreachable_pub, reason = "a test binary has no outside to be reached from")]

mod assertion;
mod auth;
mod command_line;
mod harness;
mod hostile;
mod issuer;
mod lifecycle;
mod log;
mod login;
mod pid1;
mod ports;
mod session;
mod telling;
mod upstream;
mod websocket;
mod world;
