//! The control socket and the command line that talks to it.
//!
//! `<state_dir>/control.sock` is 0600 in a 0700 folder, and every peer's credentials are checked
//! as well: only our own user and root are served, and no process of an app. A request is one JSON line, the answer a few,
//! see [`protocol`]. There is no TCP: what may stop apps must not be one forged request away.

pub mod arguments;
pub mod client;
pub mod protocol;
pub mod server;
mod table;

pub use server::{Overview, Server};

/// What is said of a name that no app has.
fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    if known.is_empty() {
        format!("there is no app called {name}, and no other")
    } else {
        format!("there is no app called {name}; the apps are {}", known.join(", "))
    }
}
