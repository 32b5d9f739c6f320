//! `/_appliance/apps`: the console of the operators. This folder decides who may see and order what; the
//! [`Console`] behind it knows the apps and their processes.

pub(super) mod guard;
pub(in crate::proxy) mod log;
pub(in crate::proxy) mod parts;
pub(in crate::proxy) mod paths;
mod room;
pub(in crate::proxy) mod serve;

pub(crate) use paths::Order;
pub(crate) use room::{Console, Initiator, NoAnswer, Scope, View};
