//! Files of a site as responses of HTTP: media types, validators, ranges and compressed neighbours.

pub(crate) mod body;
mod conditions;
mod media_type;
mod range;
pub(crate) mod respond;
