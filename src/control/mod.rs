//! The control socket, and the command line that uses it.
//!
//! `<state_dir>/control.sock` has mode 0600 in a folder with mode 0700. The server also checks the
//! credentials of every peer and accepts only its own user and root, and no process of an app. A
//! request is one JSON line,
//! the answer a few lines, see [`protocol`]. There is no TCP socket, because a forged web request
//! must not be able to stop apps.

mod age;
pub mod arguments;
pub mod client;
mod people;
pub mod protocol;
mod reload;
pub mod server;
mod sessions;
mod table;
pub(crate) mod timeline;
mod watch;
pub mod whereabouts;

pub(crate) use age::age;
pub use people::People;
pub use reload::{ReloadOutcome, ReloadRequest};
pub use server::{Overview, Server};

/// The message about a name that no app has.
fn unknown<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.collect();
    if known.is_empty() {
        format!("there is no app called {name}; no app is configured")
    } else {
        format!("there is no app called {name}; the apps are {}", known.join(", "))
    }
}
