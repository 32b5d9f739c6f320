//! Which apps run as the appliance's own user, and whether the secrets are hidden from them.

use nix::unistd::geteuid;
use tracing::{info, warn};

use crate::config::{App, Config};
use crate::supervisor::{Guarded, Means, Reaper, guard_state};

/// Hides the secrets in `state_dir` from processes of the appliance's own user, as far as this machine
/// allows, and logs what that means.
pub(super) fn guard(config: &Config, reaper: &Reaper) {
    let apps: Vec<&str> = config.apps.iter().filter(|app| is_own(app)).map(name).collect();
    if apps.is_empty() {
        return;
    }
    let (apps, state_dir) = (apps.join(", "), config.server.state_dir.display());
    let files = config.own_secret_files();
    match guard_state(reaper, &config.server.state_dir, &files) {
        Some(Guarded { means: Means::Namespace, shown_if_replaced }) => {
            info!(apps, "apps run as the appliance's user and cannot read its keys");
            if !shown_if_replaced.is_empty() {
                warn!(
                    files = shown_if_replaced.join(", "),
                    "apps that run cannot read these secrets of the appliance until a file is \
                     replaced by another one: restart the apps then, or put the secrets into a \
                     folder that contains nothing else"
                );
            }
        }
        Some(Guarded { means: Means::Landlock, .. }) => info!(
            apps,
            %state_dir,
            "apps run as the appliance's user and cannot read its keys (Landlock); files that are \
             created later directly in a folder above state_dir or another secret cannot be read either, files in \
             folders beside it can"
        ),
        None => warn!(
            apps,
            %state_dir,
            "apps run as the appliance's user and can read its keys: there are neither namespaces \
             nor Landlock here; start as root and give each app a `user`"
        ),
    }
}

fn name(app: &App) -> &str {
    app.name.as_str()
}

fn is_own(app: &App) -> bool {
    let Some(run) = &app.run else { return false };
    // An account that does not exist is an error of the app's start.
    run.account().is_ok_and(|account| account.is_none_or(|account| account.uid == geteuid()))
}
