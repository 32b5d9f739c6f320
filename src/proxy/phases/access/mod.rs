//! Whether this request, of this person, may reach this app.

pub(crate) mod authenticate;
pub(crate) mod authorise;
pub(crate) mod limits;
pub(crate) mod shield;
