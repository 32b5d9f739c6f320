//! Foundations that the other rooms of `auth` share: wall-clock time, a mutex, background tasks and
//! single flight. This room imports no other room.

pub(crate) mod clock;
mod mutex;
mod single_flight;
mod tasks;

pub(crate) use mutex::Mutex;
pub(crate) use single_flight::{Flight, SingleFlight};
pub(crate) use tasks::Tasks;
