//! Supervises the apps' processes: start order, readiness, restarts, output and stop.
//!
//! **How it works.** [`Supervisor`] is one task that owns all apps (`actor/`). Everything that
//! happens reaches the task as an event: the exit of a process from the [`Reaper`], the answer of a
//! probe, a command from a [`Handle`], an expired timer. The state machine of the app (`life/`,
//! pure) returns the actions that follow, and the actor carries them out: it spawns and signals
//! processes (`process/`) and starts probes (`probe/`).
//!
//! ```text
//! actor  → handle, life, port, probe, process, usage
//! timetable (pure) and wall_clock: the times of `schedule` and `restart_at`
//! setup  → process
//! probe  → life (its answers are events), port, process (the `exec` probe)
//! port   → process
//! process → guard
//! handle → incident, port, usage, idle, timeline
//! timeline (pure): how long the starts of the apps took
//! idle: the use of apps with an `idle_stop`
//! usage  → process
//! signals → signal_sender → process
//! handle, incident, life, process → exit
//! ```
//!
//! **Guarantees.** No child process, exit status or line of output is lost. Two incarnations of an
//! app never run at the same time, and neither do members of their process groups. Nothing in this
//! folder waits for the log. A stop keeps to its one budget. Without probes, the task does not wake
//! up while nothing happens.
//!
//! **Limits.** The supervisor chooses no ports, routes no requests and knows no issuer; other
//! folders follow the phase of an app through [`Handle::phase`]. It needs one current-thread
//! runtime on the main thread: a fork is cheap there, and the parent thread of all children lives
//! as long as the process.

mod actor;
mod exit;
mod former_output;
mod guard;
mod handle;
mod idle;
mod incident;
mod life;
mod port;
mod probe;
mod process;
#[cfg(test)]
#[path = "../../tests/unit/supervisor/sample_apps.rs"]
mod sample_apps;
pub mod setup;
mod signal_sender;
pub mod signals;
mod timeline;
mod timetable;
mod usage;
mod wall_clock;

pub use actor::supervisor::Supervisor;
pub use exit::Exit;
pub use guard::{Means, check_secrets_place, refuse_served};
pub use handle::{AppStatus, CommandError, Critical, Handle};
pub use incident::{Incident, Trouble};
pub use process::child::user_namespace::make_user_namespace_if_asked;
pub use process::environment::{EnvironmentError, own_home};
pub use process::fingerprint::{Fingerprints, differing, fingerprints};
pub use process::kernel::peer::Peer;
pub use process::kin::Descent;
pub use process::own_process::{keep_memory_private, raise_open_files};
pub use process::reaper::Reaper;
pub use process::spawn_error::SpawnError;
pub use process::state_guard_trial::{Guarded, guard_more, guard_state};
pub use process::sweep::sweep;
pub use timeline::{Course, StartReport, Timeline, brief};
pub use usage::{Usage, amount};
