//! A child process: its command, environment and limits, and its user.

pub(super) mod placeholders;
mod run;
mod users;
