//! A child process: its command, environment and limits, and its user.

pub(super) mod placeholders;
pub(super) mod replicas;
mod run;
mod users;
