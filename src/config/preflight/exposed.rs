//! Files that the appliance reads for itself, and that the user of an app can change or read. Such an app
//! would choose whom the appliance trusts, or have a secret of the appliance.

use std::path::Path;

use super::findings::Findings;
use super::given_files::environment;
use super::tenant::{Changer, Tenant, changer, readers};
use crate::config::model::config::OwnSecret;
use crate::config::model::{App, Config};
use crate::config::ownership::reach::Way;
use crate::config::report::problem::Severity;

impl Findings<'_> {
    /// Own secrets and trusted files that apps can change are errors. Own secrets that apps can read are
    /// warnings.
    pub(super) fn exposed(&mut self, config: &Config) {
        let tenants = config.tenants();
        if tenants.is_empty() {
            return;
        }
        for own in config.own_secrets() {
            let way = Way::to(own.path);
            if let Some(changer) = changer(&way, &tenants) {
                self.changed(&own.key, own.path, &changer);
            } else {
                self.shown(config, &own, &way, &tenants);
            }
        }
        for trusted in config.trusted_files() {
            if let Some(changer) = changer(&Way::to(trusted.path), &tenants) {
                self.changed(&trusted.key, trusted.path, &changer);
            }
        }
    }

    fn changed(&mut self, key: &[&str], path: &Path, changer: &Changer<'_>) {
        let Changer { app, what } = changer;
        let message = format!(
            "the user of `{}` can choose what root reads as {}: {what}",
            app.name,
            path.display()
        );
        let help = format!("run `{}`, or move the file", what.command());
        self.add(Severity::Error, key, &message, Some(&help));
    }

    fn shown(&mut self, config: &Config, own: &OwnSecret<'_>, way: &Way, tenants: &[Tenant<'_>]) {
        let others = tenants.iter().filter(|tenant| !is_given(config, own, tenant.app));
        let (Some(readers), Some(file)) = (readers(way, others), way.file()) else { return };
        let message = format!(
            "these apps can read {}, a secret of the appliance (mode {:04o}): {}",
            own.path.display(),
            readers.mode,
            readers.names
        );
        let help = format!("run `chmod go-rwx {}`", file.display());
        self.add(Severity::Warning, &own.key, &message, Some(&help));
    }
}

/// Whether the configuration gives the app this secret.
fn is_given(config: &Config, own: &OwnSecret<'_>, app: &App) -> bool {
    let issuer = config.oidc.as_ref().and_then(|oidc| oidc.served_by.as_ref());
    let is_issuers = own.key == ["oidc", "client_secret"] && issuer == Some(&app.name);
    is_issuers || environment(app).iter().any(|given| given.path == own.path)
}
