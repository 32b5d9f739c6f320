//! What the issuer says about people: their claims, read out of its tokens, and groups to which a token
//! only refers.

mod group_source;
mod identification;
mod person_reader;

pub(crate) use identification::{Identified, IdentityError, Untold};
pub(crate) use person_reader::PersonReader;
