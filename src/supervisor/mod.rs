//! Processes: order, readiness, restarts, output, stop.
//!
//! **How it works.** [`Supervisor`] (`actor.rs`) is one task that owns all apps. Whatever happens
//! comes to it as an event: an end from the [`Reaper`], an answer from a probe, an order from a
//! [`Handle`], the passing of time. The app's `Life` (`life.rs`, pure) says what follows, the
//! actor carries it out: spawns (`spawn.rs`), signals groups, starts probes (`probe.rs`,
//! `notify.rs`), tells people (`tell.rs`). `order.rs` (pure) says who may start and who may stop.
//! Output (`output.rs`) goes to the log in tasks of its own.
//!
//! **What it guarantees.** No child, exit status or line of output is lost. Two incarnations of
//! an app never live at the same time, nor members of their groups. Nothing in here waits for
//! the log. A stop keeps to its one budget. Without probes it does not wake up.
//!
//! **What it does not.** It chooses no ports, routes nothing, and knows no issuer: who depends on
//! a phase gets a [`Handle::phase`]. It is made for one current-thread runtime on the main
//! thread, where a fork is cheap and the parent of all children lives as long as we do.

mod actor;
mod environment;
mod exit;
mod handle;
mod identity;
mod incarnation;
mod life;
mod notify;
mod order;
mod output;
mod owned;
mod probe;
mod processes;
mod reaper;
#[cfg(test)]
#[path = "../../tests/unit/samples.rs"]
mod samples;
pub mod setup;
pub mod signals;
mod spawn;
mod stop;
mod tell;

pub use actor::Supervisor;
pub use environment::EnvironmentError;
pub use exit::Exit;
pub use handle::{AppStatus, CommandError, Critical, Handle};
pub use identity::IdentityError;
pub use probe::Tls;
pub use reaper::Reaper;
pub use spawn::{SpawnError, raise_open_files, verify};
pub use stop::sweep;

use exit::INTERNAL;

/// Shuts our memory and environment, which hold secrets, to children that run as the same user:
/// they can neither trace us nor read our `/proc/PID/environ`. No core is dumped either.
pub fn keep_memory_private() -> std::io::Result<()> {
    Ok(nix::sys::prctl::set_dumpable(false)?)
}
