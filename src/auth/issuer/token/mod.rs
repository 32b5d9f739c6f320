//! Tokens that the issuer has signed: their signature, and what each kind must say.

mod access_token;
mod claim;
mod id_token;
mod introspection;
mod logout_token;
mod signed_token;

pub(crate) use access_token::VerifiedAccessToken;
pub(crate) use id_token::{IdTokenError, VerifiedIdToken};
pub(crate) use introspection::IntrospectionError;
pub(crate) use logout_token::LogoutToken;
pub(crate) use signed_token::TokenFault;
