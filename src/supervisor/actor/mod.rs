//! The one task that owns all apps.
//!
//! It turns orders, ends, answers and timers into events of each app's
//! [`Life`](super::life::machine::Life), carries out what that asks for, and shows the outcome. It
//! waits for events and never polls; nothing in here waits for a child, for the log or for an answer.

mod actions;
mod commands;
mod incarnation;
mod log;
mod order;
mod self_report;
mod sequence;
mod stop_budget;
mod supervised;
pub(crate) mod supervisor;
