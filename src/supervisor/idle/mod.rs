//! Apps that are stopped while nobody uses them: what is known of their use, and what follows from
//! it.

pub(crate) mod nap;
pub(crate) mod rule;
