//! Log lines about the appliance as a whole: its start, and where to sign in.

use std::collections::HashMap;

use tokio::sync::watch;
use tracing::info;

use crate::auth::IssuerState;
use crate::config::{Access, AppName, Config, Phase};

pub(super) fn announce(config: &Config) {
    info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        apps = config.apps.len(),
        url = %config.server.public_url,
        "the appliance starts"
    );
}

/// Logs where and as whom to sign in, as soon as sign-in works and the protected apps are ready.
pub(super) async fn log_sign_in(
    config: Config,
    mut issuer: watch::Receiver<IssuerState>,
    mut phases: HashMap<AppName, watch::Receiver<Phase>>,
) {
    if issuer.wait_for(|state| *state == IssuerState::Right).await.is_err() {
        return;
    }
    for app in &config.apps {
        let guarded = app.route.as_ref().is_some_and(|route| route.access != Access::Public);
        if let Some(phase) = phases.get_mut(&app.name).filter(|_| guarded)
            && phase.wait_for(|phase| phase.is_ready() || *phase == Phase::Failed).await.is_err()
        {
            return;
        }
    }
    let users = config.oidc.as_ref().map(|oidc| oidc.realm_users.join(", ")).unwrap_or_default();
    let url = &config.server.public_url;
    if users.is_empty() {
        info!("ready: sign in at {url}");
    } else {
        info!("ready: sign in at {url} as one of {users} (their passwords are in the realm file)");
    }
}
