//! GitHub, which is no OpenID provider: OAuth 2 without ID tokens. Its REST API tells who has signed in.
//!
//! GitHub has no discovery document, no keys and no page that ends its session. An OAuth app gets no
//! refresh token either: a refresh asks the API with the same access token again.

mod addresses;
mod api;
mod link;
mod pauses;
mod person;
mod renewal;
mod tokens;

use tokio::sync::Semaphore;

use super::http_client::HttpClient;
use crate::telemetry::Throttle;
use addresses::Addresses;
use pauses::Pauses;

pub(crate) use api::ApiError;
pub(super) use person::Account;

/// For how many people the API is asked at the same time.
const PARALLEL: usize = 8;

/// GitHub as people sign in there: github.com, or a GitHub Enterprise Server.
#[derive(Debug)]
pub(super) struct GitHub {
    pub(super) addresses: Addresses,
    /// People whose requests GitHub limits.
    pauses: Pauses,
    free: Semaphore,
    /// People some of whose organisations GitHub hides.
    hidden: Throttle,
}

impl GitHub {
    /// `issuer` is the address of its pages.
    pub(super) fn new(issuer: &str) -> Self {
        Self {
            addresses: Addresses::of(issuer),
            pauses: Pauses::default(),
            free: Semaphore::new(PARALLEL),
            hidden: Throttle::default(),
        }
    }

    /// Whether GitHub answers. The error is for people.
    pub(super) async fn check(&self, http: &HttpClient) -> Result<(), String> {
        api::check(http, &self.addresses).await
    }
}
