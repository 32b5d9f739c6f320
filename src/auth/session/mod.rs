//! Sessions. Inside this room the arrows point one way: `renewal` → `store` → [`Session`] and its
//! cookie's [`ticket`].
//!
//! This room knows `issuer`, `person` and `cookie`; it knows no login and no endpoint.

pub(crate) mod device;
mod dispute;
mod grant;
mod live;
pub(crate) mod renewal;
pub(crate) mod store;
mod ticket;

pub(crate) use dispute::Dispute;
pub(crate) use grant::{Grant, SealedCookie, Tokens};
use live::Activity;
pub(crate) use live::ProgramTerms;
pub use live::{Session, SessionState, TunnelGuard};
pub(crate) use ticket::{Proof, SessionId, Ticket};
