//! Owners: the user of each app, paths that no other user can change, and what root does with the
//! files and folders of an app.

pub(crate) mod account;
pub(crate) mod app_file;
pub(crate) mod app_socket;
pub(crate) mod as_user;
mod bounded;
pub(crate) mod folder;
pub(crate) mod nested;
pub(crate) mod operator_file;
pub(crate) mod own_file;
pub(crate) mod owner;
pub(crate) mod reach;
pub(crate) mod trusted_path;
pub(crate) mod user_number;
