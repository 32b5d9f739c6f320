//! A certificate authority of the appliance's own, for names that no public authority knows.
//!
//! ```text
//! authority → root → constraints
//! ```
//!
//! **Guarantees.** The authority can sign only for the hosts of the configuration it was made for:
//! a thief of its key cannot pretend to be another site to people who trust it. Its key is in
//! `state_dir`, which no app can read; the key of the certificate that is served is only in memory.

mod authority;
mod constraints;
mod root;

pub(super) use authority::{Opened, OwnCa};
pub use root::Root;
