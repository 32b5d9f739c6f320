//! Decides whether a request may reach its app: its limits, its session, and the access rules.

pub(crate) mod asked;
pub(crate) mod authenticate;
pub(crate) mod authorise;
pub(crate) mod limits;
pub(crate) mod page_origin;
pub(crate) mod right;
pub(crate) mod shield;
