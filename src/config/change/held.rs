//! Settings that cannot change while the appliance runs: a reload reads the file with the values that
//! run instead.

use super::plan::needing_new_start;
use crate::config::file::{At, File};
use crate::config::model::Config;
use crate::config::preset::issuer;

/// The values of a running configuration that stay in force.
#[derive(Debug)]
pub(crate) struct Held<'c> {
    running: &'c Config,
    /// The issuer's address follows from `public_url`, which therefore cannot change either.
    public_url: bool,
}

impl<'c> Held<'c> {
    /// What has to be held so that `new` can follow `running`, with the keys that differ. `None` if
    /// nothing has to be held.
    pub(crate) fn between(running: &'c Config, new: &Config) -> Option<(Self, Vec<String>)> {
        let mut keys = needing_new_start(running, new);
        if keys.is_empty() {
            return None;
        }
        let issuer = |config: &Config| config.oidc.as_ref().map(|oidc| oidc.issuer.clone());
        let derived = new.oidc.as_ref().is_some_and(|oidc| oidc.served_by.is_some());
        let moved = running.server.public_url != new.server.public_url;
        let public_url = derived && moved && issuer(running) != issuer(new);
        if public_url {
            keys.push("server.public_url".to_owned());
        }
        Some((Self { running, public_url }, keys))
    }

    /// Replaces the values of a file.
    pub(crate) fn replace_in(&self, file: &mut File) {
        let server = file.server.get_or_insert_default();
        let state_dir = self.running.server.state_dir.display().to_string();
        server.state_dir = Some(at_start(state_dir));
        server.metrics = self.running.server.metrics.map(|address| at_start(address.to_string()));
        if self.public_url {
            server.public_url = Some(at_start(self.running.server.public_url.to_string()));
        }
        if let (Some(oidc), Some(running)) = (&mut file.oidc, &self.running.oidc) {
            let oidc = &mut oidc.value;
            let provider = oidc.provider.as_ref().and_then(|name| issuer::find(name));
            if provider.unwrap_or(&issuer::GENERIC).protocol != running.protocol {
                oidc.provider = running.provider.map(|name| at_start(name.to_owned()));
            }
            oidc.client_id = Some(at_start(running.client_id.clone()));
            oidc.served_by = running.served_by.as_ref().map(|app| at_start(app.to_string()));
            // The preset knows its issuer.
            let is_preset = running.account_actions;
            oidc.issuer = (!is_preset).then(|| at_start(running.issuer.clone()));
        }
    }
}

/// A value that is not written in the file.
fn at_start(value: String) -> At<String> {
    At { value, span: 0..0 }
}
