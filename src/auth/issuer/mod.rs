//! The issuer as its client sees it: the authorization request, the token endpoint, who has signed in,
//! and revocation. Most are OpenID providers, with discovery, signed tokens and userinfo; `github` is the
//! exception, and the rest of `auth` does not see the difference. This room knows `person`, which it reads
//! from tokens; it knows no session and no login.

mod authorization;
mod client_request;
mod direct;
mod github;
mod http_client;
mod http_error;
mod keys;
mod loopback;
mod metadata;
mod own_app;
mod people;
mod provider;
mod revocation;
mod token;
mod token_endpoint;
mod transport;
pub(crate) mod untrusted_text;
mod watch;

pub(crate) use authorization::{Authorization, Sender};
pub(crate) use people::{Identified, IdentityError, PersonReader, Untold};
pub(crate) use provider::Registration;
pub(crate) use token::{IntrospectionError, LogoutToken, TokenFault, VerifiedAccessToken};
pub(crate) use token_endpoint::{TokenError, TokenResponse};
pub(crate) use watch::Issuer;
pub use watch::IssuerState;
