//! Foundations that the other rooms of `auth` share: wall-clock time, a mutex, background tasks,
//! single flight and a limit on work. This room imports no other room.

pub(crate) mod clock;
mod mutex;
mod single_flight;
pub(crate) mod tally;
mod tasks;
mod turnstile;

pub(crate) use mutex::Mutex;
pub(crate) use single_flight::{Flight, SingleFlight};
pub(crate) use tasks::Tasks;
pub(crate) use turnstile::Turnstile;
