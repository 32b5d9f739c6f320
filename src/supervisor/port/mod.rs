//! Decides whether a port belongs to an app. A port number proves nothing: any local program can
//! listen on it while the app does not.
//!
//! Before a start, the app's port must be free ([`claim`]). The success of a probe counts only while
//! the listening socket belongs to the processes or the user of the app ([`owner`]). Both ask
//! the kernel and read `/proc`. If the kernel does not show a socket, the app keeps the benefit of the doubt.

pub(crate) mod address;
pub(crate) mod claim;
pub(crate) mod client;
mod filter;
mod held;
mod holder;
pub(crate) mod listeners;
pub(crate) mod outsider;
pub(crate) mod own_listener;
pub(crate) mod owner;
mod sock_diag;
mod socket;
