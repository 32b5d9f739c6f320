//! The appliance's own cookies: their names and attributes, and the encryption of their values.
//! Sessions and login attempts both use this room; it knows neither.

pub(crate) mod cookies;
mod embed_cookie;
mod names;
mod seal;

pub(crate) use cookies::Cookies;
pub(crate) use embed_cookie::{EmbedCookie, OriginDigest};
pub(crate) use names::CookieNames;
pub(crate) use seal::{Binding, Keyring, Purpose};
