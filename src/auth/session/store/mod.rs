//! The session store: every session in force (in memory), and what must survive a restart (in
//! `<state_dir>/sessions`).
//!
//! [`Sessions`] is what the rest of `auth` uses, by the trait [`SessionStore`]; why there is one, and what
//! is not in it, is said there.

mod disk;
mod end_reason;
mod ending;
mod idle;
mod lease;
mod listed;
mod lookup;
mod memory;
mod review;
mod session_store;
mod sessions;
mod table;
mod terms;

pub(crate) use disk::{Ledger, RefreshTokens, state_files};
pub(crate) use end_reason::{Barred, EndReason};
pub(crate) use lease::Lease;
pub use listed::SessionRow;
pub(crate) use lookup::{Found, Nobody};
pub(crate) use session_store::{Arrival, EndedSession, SessionStore, Which};
pub(crate) use sessions::Sessions;
pub(crate) use terms::Terms;
