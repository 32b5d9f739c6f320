//! Which place of an app serves a request, where the app has several: processes, or addresses.
//!
//! Most apps keep the state of a session in their memory. With `sticky`, all requests of a session go to
//! the same place; a session is that of the person who is signed in, and a visitor of a public app has a
//! [`pass`] instead. Without `sticky`, the place with the fewest requests in flight is chosen.

pub(crate) mod choice;
pub(crate) mod pass;
pub(crate) mod seats;
pub(crate) mod spread;
