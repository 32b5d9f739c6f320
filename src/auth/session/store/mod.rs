//! The session store: every session in force (in memory), and what must survive a restart (in
//! `<state_dir>/sessions`).
//!
//! [`Sessions`] is what the rest of `auth` uses. A store that is shared between several processes
//! would replace [`table`], [`disk`] and [`idle`].

mod disk;
mod end_reason;
mod ending;
mod idle;
mod lookup;
mod review;
mod sessions;
mod table;
mod terms;

pub(crate) use disk::{Ledger, RefreshTokens, state_files};
pub(crate) use end_reason::EndReason;
pub(crate) use ending::Which;
pub(crate) use lookup::{Found, Nobody};
pub(crate) use sessions::{Barred, Sessions};
pub(crate) use terms::Terms;
