//! The life of one app: a pure state machine.
//!
//! [`machine::Life::on`] takes what happened and returns what has to be done; it spawns nothing, asks
//! nobody and reads no clock. Guarantees, whatever the order of events:
//!
//! - a process is spawned only when nothing of the one before is left, neither the leader nor a
//!   member of its group;
//! - `Stop` leads to [`crate::config::Phase::Stopped`] from everywhere;
//! - what belongs to an earlier incarnation (its exit, its probes' answers) changes nothing: each
//!   carries the [`event::Generation`] it is about. A timer is a part of the state that waits for it, so
//!   that it cannot outlive it.

pub(crate) mod action;
mod ending;
pub(crate) mod event;
pub(crate) mod machine;
mod probed;
mod restart_policy;
pub(crate) mod settings;
mod starting;
mod state;
