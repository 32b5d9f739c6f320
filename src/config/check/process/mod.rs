//! A child process: what runs, in which surroundings, as which user.

mod run;
mod users;
