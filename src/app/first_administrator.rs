//! The link for the first administrator at the first start, and the warning about test users that a
//! database from before has.

use std::sync::Arc;

use tracing::warn;

use crate::administration::{Administration, AtStart};
use crate::config::Config;
use crate::telemetry::LogHandle;

/// Looks who is in the realm, when people can sign in. On a loopback name nobody else can reach the login,
/// and the test users are there.
pub(super) async fn look(config: &Config, administration: &Administration, log: &LogHandle) {
    let url = &config.server.public_url;
    if url.is_loopback() {
        return;
    }
    let AtStart { link, test_users } = administration.look_at_start().await;
    if !test_users.is_empty() {
        warn!(
            users = test_users.join(", "),
            %url,
            "the test users of the realm file are in Keycloak's database, and public_url is not a loopback name: \
             everybody knows their passwords, so delete these users"
        );
    }
    if let Some(link) = link {
        log.print_once(&format!(
            "create the first administrator within 30 minutes: {link} (works once; `appliance admin-link` makes another one)"
        ));
    }
}

/// What announces the start asks the administration by this.
#[derive(Debug, Clone)]
pub(super) struct Looking {
    pub(super) administration: Arc<Administration>,
    pub(super) log: LogHandle,
}
