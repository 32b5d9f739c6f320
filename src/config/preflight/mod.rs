//! What only the machine can tell, asked right before a start: secrets, users, ports, programs.
//!
//! `check` does not ask it, so that an image can be checked where it is built. What would stop
//! the whole appliance is an error; a program or a folder that is missing, or a port that is taken,
//! is a warning, because only its own app fails, and says so again.

mod findings;
mod machine;
mod ports;
