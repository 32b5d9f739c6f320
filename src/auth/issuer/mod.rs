//! The issuer (OpenID provider) as its client sees it: discovery, the token endpoint, the verification
//! and introspection of tokens, userinfo and revocation. This room knows `person`, which it reads from
//! tokens; it knows no session and no login.

mod client_request;
mod direct;
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

pub(crate) use people::{GroupsError, PersonReader};
pub(crate) use provider::{OidcClient, Registration};
pub(crate) use token::{
    IdTokenError, IntrospectionError, LogoutToken, TokenFault, VerifiedAccessToken,
};
pub(crate) use token_endpoint::{TokenError, TokenResponse};
pub(crate) use watch::Issuer;
pub use watch::IssuerState;
