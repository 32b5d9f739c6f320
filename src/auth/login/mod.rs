//! The endpoints under `/oauth2/`: login, sign-out and the questions about who is signed in. Each
//! returns a [`Reply`], which `proxy` renders.
//!
//! Each endpoint has a file of its own. This room knows all other rooms of `auth`; only the face of
//! `auth` knows this one.

mod account_action;
mod attempt;
mod auth_request;
mod authorization_request;
mod callback;
mod code_exchange;
mod consent;
pub mod intent;
mod origins;
mod oversight;
mod replacement;
mod reply;
mod return_path;
mod sign_out;
mod start;
mod userinfo;

use std::net::IpAddr;
use std::sync::Arc;

use http::HeaderMap;

use super::session::renewal::{Grants, Restorer};
use attempt::ReturnPaths;
use authorization_request::AuthorizationRequest;
use consent::Consents;
use sign_out::{BackchannelLogout, Departures, log_out_by_frame};

pub use account_action::AccountAction;
pub(crate) use auth_request::auth_request;
pub(crate) use code_exchange::CodeExchanges;
pub(crate) use origins::Origins;
pub use oversight::EndOrder;
pub use reply::{Action, Reply};
pub(crate) use return_path::start_path_with;
pub(crate) use userinfo::userinfo;

/// Signs people in and out.
#[derive(Debug)]
pub(crate) struct Login {
    grants: Arc<Grants>,
    restorer: Restorer,
    request: AuthorizationRequest,
    exchanges: Arc<CodeExchanges>,
    consents: Arc<Consents>,
    return_paths: Arc<ReturnPaths>,
    departures: Arc<Departures>,
    backchannel_logout: BackchannelLogout,
    origins: Origins,
    /// Refresh tokens outlive the issuer's session.
    offline_access: bool,
    /// The issuer is a Keycloak whose account actions are offered.
    account_actions: bool,
}

impl Login {
    pub(crate) fn new(
        grants: Arc<Grants>,
        restorer: Restorer,
        oidc: &crate::config::Oidc,
        exchanges: CodeExchanges,
        origins: Origins,
    ) -> Self {
        let account_actions = oidc.account_actions;
        Self {
            grants,
            restorer,
            request: AuthorizationRequest::new(oidc),
            exchanges: Arc::new(exchanges),
            consents: Arc::default(),
            return_paths: Arc::default(),
            departures: Arc::default(),
            backchannel_logout: BackchannelLogout::default(),
            offline_access: oidc.scopes.iter().any(|scope| scope == "offline_access"),
            origins,
            account_actions,
        }
    }

    /// The same under another configuration: logins that have begun can be completed.
    pub(crate) fn successor(
        &self,
        grants: Arc<Grants>,
        restorer: Restorer,
        oidc: &crate::config::Oidc,
        origins: Origins,
    ) -> Self {
        Self {
            grants,
            restorer,
            request: AuthorizationRequest::new(oidc),
            exchanges: Arc::clone(&self.exchanges),
            consents: Arc::clone(&self.consents),
            return_paths: Arc::clone(&self.return_paths),
            departures: Arc::clone(&self.departures),
            backchannel_logout: self.backchannel_logout.clone(),
            offline_access: oidc.scopes.iter().any(|scope| scope == "offline_access"),
            origins,
            account_actions: oidc.account_actions,
        }
    }

    /// `POST /oauth2/backchannel_logout`. `form` is the body of the request.
    pub(crate) async fn log_out(
        &self,
        headers: &HeaderMap,
        form: &[u8],
        client: Option<IpAddr>,
    ) -> Reply {
        self.backchannel_logout.serve(&self.grants, headers, form, client).await
    }

    /// `/oauth2/frontchannel_logout?iss=&sid=`.
    pub(crate) async fn log_out_by_frame(&self, query: &str) -> Reply {
        log_out_by_frame(&self.grants, query).await
    }

    /// The origin that a request was sent to: that of `public_url`, or of an app's own host.
    pub(crate) fn origin(&self, headers: &HeaderMap) -> &str {
        &self.origins.of(headers).url
    }
}
