//! Certificates of an authority that checks by ACME (RFC 8555) that the hosts lead to the appliance.
//!
//! ```text
//! keep → attempt → order → account → http
//!   ↓       ↓
//!   ↓     keeper → held → kept
//! back_off    ↓
//!          provisional
//! ```
//!
//! **Guarantees.** Orders run in a task of their own: no request and no handshake waits for the
//! authority. A certificate is served until a newer one has come, whatever the authority answers
//! meanwhile.

mod account;
mod attempt;
mod back_off;
mod failure;
mod held;
mod http;
mod keep;
mod keeper;
mod kept;
mod order;
mod provisional;

pub(super) use http::roots;
pub(super) use keep::keep;
pub(super) use keeper::Keeper;
