//! Tokens that the issuer has signed: their signature, and what each kind must say.

mod id_token;
mod logout_token;
mod signed_token;

pub(crate) use id_token::{IdTokenError, VerifiedIdToken};
pub(crate) use logout_token::LogoutToken;
pub(crate) use signed_token::TokenFault;
