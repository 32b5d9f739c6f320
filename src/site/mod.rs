//! Folders with files that the appliance serves itself: what a path leads to, and the bytes of a file.
//!
//! Nothing outside of the folder is reached, whatever links are in it, and a link shows nothing that its
//! author may not show. All work with files is done on
//! other threads, and files that never answer take a few threads of one folder only.

mod beneath;
mod folder;
mod links;
mod lookup;
mod names;
mod reader;
mod turns;

pub(crate) use folder::Site;
pub(crate) use lookup::{File, Found, MISSING, Question};
pub(crate) use names::{ENDINGS, other_names};
pub(crate) use reader::{Pace, Reader};
pub(crate) use turns::SiteError;
