//! A kept line as its readers get it: on a terminal or in a file, or as an object of the JSON log.

pub(super) mod as_json;
pub(super) mod viewer;
