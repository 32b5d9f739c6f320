//! The operators' console: what `/_appliance/apps` shows, and how its orders are carried out.
//!
//! The front door admits people and requests, see `proxy/own/console`; this folder answers them from the
//! state of the apps, which `control` describes for the command line as well. It gets the [`Overview`]
//! when all parts of the appliance are there; the front door serves some moments earlier.
//!
//! ```text
//! room  → list, app, twins (what is shown)
//! room, app → log (the lines of an app)
//! app, twins → shown (what the page of one app is made of)
//! list, app → words (values for people)
//! ```

mod app;
mod list;
mod log;
mod room;
mod shown;
mod twins;
mod words;

pub(crate) use room::Room;
