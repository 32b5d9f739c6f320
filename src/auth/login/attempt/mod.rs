//! Login attempts: the cookie in which the browser keeps one, the attempts that have been used up, and
//! where recent attempts return to. This room knows no other file of `login`.

mod cookie;
mod return_paths;
mod used;

pub(super) use cookie::{Attempt, Beginning, again_marker};
pub(super) use return_paths::ReturnPaths;
pub(super) use used::UsedAttempts;
