//! The session store: every session in force (in memory), and what must survive a restart (in
//! `<state_dir>/sessions`).
//!
//! [`Sessions`] is what the rest of `auth` uses. A store that is shared between several processes
//! would replace [`table`], [`ledger`] and [`idle`].

mod end_reason;
mod ended;
mod idle;
mod ledger;
mod lookup;
mod refresh_tokens;
mod review;
mod sessions;
pub(crate) mod state_files;
mod table;
mod terms;

pub(crate) use end_reason::EndReason;
pub(crate) use ledger::Ledger;
pub(crate) use lookup::{Found, Nobody};
pub(crate) use refresh_tokens::RefreshTokens;
pub(crate) use sessions::{Barred, Sessions};
pub(crate) use terms::Terms;
