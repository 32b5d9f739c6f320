//! Operating system processes: how one is spawned, reaped, signalled and ended.

pub(crate) mod child;
pub(super) mod environment;
pub(crate) mod fingerprint;
pub(crate) mod kernel;
pub(crate) mod kin;
pub(crate) mod memory_kills;
pub(crate) mod output;
pub(crate) mod own_process;
pub(crate) mod procfs;
pub(crate) mod reaper;
pub(crate) mod spawn_error;
pub(crate) mod spec;
pub(crate) mod state_guard_trial;
pub(crate) mod sweep;
mod tag;
mod users;
