//! The session store: every session in force (in memory), and what must survive a restart (in
//! `<state_dir>/sessions`).
//!
//! [`Sessions`] is what the rest of `auth` uses. A store that is shared between several processes
//! would replace [`table`], [`ledger`] and [`idle`].

mod agenda;
mod end_reason;
mod idle;
mod ledger;
mod lookup;
mod sessions;
pub(crate) mod state_files;
mod table;

pub(crate) use end_reason::EndReason;
pub(crate) use ledger::Ledger;
pub(crate) use lookup::Found;
pub(crate) use sessions::Sessions;
