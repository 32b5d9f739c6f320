//! Processes: order, readiness, restarts, output, stop.
//!
//! **How it works.** [`Supervisor`] is one task that owns all apps (`actor/`). Whatever happens
//! comes to it as an event: an end from the [`Reaper`], an answer from a probe, a command from a
//! [`Handle`], the passing of time. The app's life (`life/`, pure) says what follows, the actor
//! carries it out: it spawns and signals processes (`process/`) and starts probes (`probe/`).
//!
//! ```text
//! handle · setup · actor → life · probe · port · process
//! probe → life (answers), port (whose the listener is), process (exec)        port → process
//! ```
//!
//! **What it guarantees.** No child, exit status or line of output is lost. Two incarnations of
//! an app never live at the same time, nor members of their groups. Nothing in here waits for
//! the log. A stop keeps to its one budget. Without probes it does not wake up.
//!
//! **What it does not.** It chooses no ports, routes nothing, and knows no issuer: who depends on
//! a phase gets a [`Handle::phase`]. It is made for one current-thread runtime on the main
//! thread, where a fork is cheap and the parent of all children lives as long as we do.

mod actor;
mod exit;
mod handle;
mod life;
mod port;
mod probe;
mod process;
#[cfg(test)]
#[path = "../../tests/unit/supervisor/sample_apps.rs"]
mod sample_apps;
pub mod setup;
pub mod signals;

pub use actor::supervisor::Supervisor;
pub use exit::Exit;
pub use handle::{AppStatus, CommandError, Critical, Handle};
pub use probe::question::Tls;
pub use process::account::AccountError;
pub use process::environment::EnvironmentError;
pub use process::kin::{Descent, descent};
pub use process::own_process::{keep_memory_private, raise_open_files};
pub use process::reaper::Reaper;
pub use process::spawn_error::SpawnError;
pub use process::spec::verify;
pub use process::sweep::sweep;
