//! The endpoints under `/oauth2/`: login, sign-out and the questions about who is signed in. Each
//! returns a [`Reply`], which `proxy` renders.
//!
//! Each endpoint has a file of its own; a new one (back-channel logout) belongs beside
//! [`sign_out`]. This room knows all other rooms of `auth`; only the face of `auth` knows this one.

mod attempt;
mod auth_request;
mod authorization_request;
mod callback;
mod code_exchange;
mod consent;
pub mod intent;
mod origins;
mod reply;
mod return_path;
mod sign_out;
mod start;
mod userinfo;

use std::sync::Arc;

use http::HeaderMap;

use super::session::renewal::{Grants, Restorer};
use attempt::ReturnPaths;
use authorization_request::AuthorizationRequest;
use consent::Consents;

pub(crate) use auth_request::auth_request;
pub(crate) use code_exchange::CodeExchanges;
pub(crate) use origins::Origins;
pub use reply::{Action, Reply};
pub(crate) use return_path::start_path_with;
pub(crate) use userinfo::userinfo;

/// Signs people in and out.
#[derive(Debug)]
pub(crate) struct Login {
    grants: Arc<Grants>,
    restorer: Restorer,
    request: AuthorizationRequest,
    exchanges: CodeExchanges,
    consents: Arc<Consents>,
    return_paths: ReturnPaths,
    origins: Origins,
}

impl Login {
    pub(crate) fn new(
        grants: Arc<Grants>,
        restorer: Restorer,
        oidc: &crate::config::Oidc,
        exchanges: CodeExchanges,
        origins: Origins,
    ) -> Self {
        Self {
            grants,
            restorer,
            request: AuthorizationRequest::new(oidc),
            exchanges,
            consents: Arc::default(),
            return_paths: ReturnPaths::default(),
            origins,
        }
    }

    /// The origin that a request was sent to: that of `public_url`, or of an app's own host.
    pub(crate) fn origin(&self, headers: &HeaderMap) -> &str {
        &self.origins.of(headers).url
    }
}
