//! The one task that owns all apps.
//!
//! It turns commands, exits, answers and timers into events of each app's
//! [`Life`](super::life::machine::Life), carries out the actions that follow, and publishes the
//! state of the app. It waits for events and never polls; it never waits for a process, for the log
//! or for an answer.

mod actions;
mod commands;
mod idle;
mod incarnation;
mod log;
mod order;
mod readiness_report;
mod reconfigure;
mod replicas;
mod schedule;
mod sequence;
mod stop_budget;
mod successor;
mod supervised;
pub(crate) mod supervisor;
mod times;
mod turn;

#[cfg(test)]
#[path = "../../../tests/unit/supervisor/actor/simulation/mod.rs"]
mod simulation;
