//! Responses of the appliance: pages for people, JSON for programs.

pub(crate) mod cache_control;
pub(crate) mod cause;
pub(crate) mod challenge;
pub(crate) mod clear_cookies;
pub(crate) mod compose;
pub(crate) mod escape;
pub(crate) mod pages;
pub(crate) mod path_fault;
pub(crate) mod raw_response;
pub(crate) mod refusal;
pub(crate) mod refuse;
pub(crate) mod request_id;
mod wording;
