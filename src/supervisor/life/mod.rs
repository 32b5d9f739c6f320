//! The life of one app: a pure state machine.
//!
//! [`machine::Life::on`] takes an event and returns actions. It spawns nothing, does no I/O and
//! reads no clock. Guarantees, whatever the order of events:
//!
//! - a process is spawned only when no process of the previous incarnation is left, neither the
//!   leader nor a member of its process group;
//! - `Stop` leads to [`crate::config::Phase::Stopped`] from every state;
//! - an event about an earlier incarnation (an exit, a probe's answer) changes nothing, because
//!   each event carries its [`event::Generation`]. A timer is part of the state that waits for it,
//!   so a timer never outlives its state.

pub(crate) mod action;
mod ending;
pub(crate) mod event;
pub(crate) mod machine;
mod probed;
mod restart_policy;
pub(crate) mod settings;
mod starting;
mod state;
