//! What only this machine can tell, asked right before a start: secrets, users, ports, programs.
//!
//! `appliance check` does not ask these questions, so that an image can be checked where it is
//! built. What prevents the whole appliance from starting is an error. A missing program or folder
//! is a warning, because only that app fails, with an error of its own.

mod findings;
mod machine;
mod ports;
