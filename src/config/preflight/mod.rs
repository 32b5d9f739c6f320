//! What only this machine can tell, asked right before a start: secrets, users, ports, programs.
//!
//! `appliance check` asks the same questions, but shows the answers as warnings, so that an image can
//! be checked where it is built. What prevents the whole appliance from starting is an error of
//! `run`. A missing program or folder and a taken port are warnings, because only that app fails,
//! with an error of its own.

mod app_files;
mod exposed;
mod findings;
mod github;
mod given_files;
mod machine;
mod place;
mod ports;
mod realm;
mod site;
mod tenant;
mod trusted_file;

pub(crate) use tenant::Changer;
