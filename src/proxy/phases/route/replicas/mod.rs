//! Which process of an app serves a request, where the app has several.
//!
//! All requests of a session go to the same process, because most apps keep the state of a session
//! in their memory. A session is that of the person who is signed in; a visitor of a public app has
//! a [`pass`] instead.

pub(crate) mod choice;
pub(crate) mod pass;
pub(crate) mod seats;
