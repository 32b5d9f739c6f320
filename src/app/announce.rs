//! Log lines about the appliance as a whole: its start, and where to sign in.

use std::collections::HashMap;

use nix::unistd::geteuid;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::auth::IssuerState;
use crate::config::{Access, App, AppName, Config, Phase, Users};

pub(super) fn announce(config: &Config) {
    info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        apps = config.apps.len(),
        url = %config.server.public_url,
        "the appliance starts"
    );
}

/// Logs which apps do not run as users of their own.
pub(super) fn log_users(config: &Config) {
    let is_root = geteuid().is_root();
    if config.server.users == Users::PerApp && !is_root {
        info!(
            uid = geteuid().as_raw(),
            "all apps run as the user of the appliance: only root can give each app a user of its own"
        );
    }
    let has_no_user = |app: &&App| {
        let run = app.run.as_ref();
        run.is_some_and(|run| run.user.is_none() && run.own_user.is_none())
    };
    let names: Vec<_> =
        config.apps.iter().filter(has_no_user).map(|app| app.name.as_str()).collect();
    if is_root && !names.is_empty() {
        warn!(
            apps = names.join(", "),
            "these apps run as root: write `users = \"per-app\"` in [server], or a `user` for each app (`user = \"root\"` for an app that needs root)"
        );
    }
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
