//! What must survive a restart, in `<state_dir>/sessions`.

mod ended;
pub(super) mod ended_before;
mod journal;
mod ledger;
mod logouts;
mod refresh_tokens;
pub(crate) mod state_files;

pub(crate) use ledger::Ledger;
pub(crate) use logouts::Logouts;
pub(crate) use refresh_tokens::RefreshTokens;
