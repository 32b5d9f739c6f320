//! `/metrics`: numbers about the appliance in the text format of Prometheus, on an address of their
//! own.
//!
//! ```text
//! server → sources → figures
//! server → page    → figures
//! ```
//!
//! **Guarantees.** Numbers are gathered only when somebody asks. No label has a value that a client
//! can choose: apps are those of the configuration, and status codes are numbers.

mod figures;
mod page;
mod server;
mod sources;

pub use figures::LastReload;
pub use server::Server;
pub use sources::Sources;
