//! What the issuer says about people: their claims, read out of its tokens, and groups to which a token
//! only refers.

mod group_source;
mod person_reader;

pub(crate) use group_source::GroupsError;
pub(crate) use person_reader::PersonReader;
