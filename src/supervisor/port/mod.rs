//! Whose a port is: a port proves nothing, the owner of its listening socket does.
//!
//! Before a start the app's port must be free ([`claim`]). A probe's yes counts only while the
//! listener belongs to the app's own processes or user ([`owner`]). All of it as far as `/proc`
//! tells: what the kernel does not show is not held against an app.

pub(crate) mod address;
pub(crate) mod claim;
mod exposed;
mod holder;
mod listeners;
pub(crate) mod owner;
