//! A child process: its command, environment and limits, and its user.

mod run;
mod users;
