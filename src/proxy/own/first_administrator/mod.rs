//! `/_appliance/first-administrator`: the page of the link with which the first administrator makes an
//! account at the Keycloak of the appliance.

mod fields;
pub(in crate::proxy) mod link;
pub(in crate::proxy::own) mod page;
