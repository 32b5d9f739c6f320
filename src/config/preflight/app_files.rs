//! Files of one app that the user of another app can change or read. The other app would choose what this
//! app gets or runs, or have its secrets.

use nix::unistd::geteuid;

use super::findings::Findings;
use super::given_files::{GivenFile, environment};
use super::tenant::{Changer, Tenant, changer, readers};
use crate::config::model::{App, Config};
use crate::config::ownership::reach::Way;
use crate::config::report::problem::Severity;

impl Findings<'_> {
    /// Warns of each file of an app that the users of other apps can change, or can read if it is a secret.
    pub(super) fn files_of_apps(&mut self, config: &Config) {
        let tenants = config.tenants();
        if tenants.is_empty() {
            return;
        }
        for app in &config.apps {
            let Some(user) = user_of(app) else { continue };
            let others: Vec<_> =
                tenants.iter().filter(|tenant| tenant.account.uid.as_raw() != user).collect();
            for file in config.given_files(app) {
                let way = Way::to(file.path);
                if let Some(changer) = changer(&way, others.iter().copied()) {
                    self.chosen(app, user, &file, &changer);
                } else if file.is_secret {
                    self.read_by_others(app, &file, &way, &others);
                }
            }
        }
    }

    fn chosen(&mut self, app: &App, user: u32, file: &GivenFile<'_>, changer: &Changer<'_>) {
        let Changer { app: other, what } = changer;
        let reader = if user == 0 { "root".to_owned() } else { format!("`{}`", app.name) };
        let path = file.path.display();
        let message = format!(
            "the user of `{}` can choose what {reader} reads as {path}: {what}",
            other.name
        );
        let help = format!("run `{}`, or move the file", what.command());
        self.add(Severity::Warning, &file.key, &message, Some(&help));
    }

    fn read_by_others(
        &mut self,
        app: &App,
        file: &GivenFile<'_>,
        way: &Way,
        others: &[&Tenant<'_>],
    ) {
        let is_given = |other: &App| environment(other).iter().any(|given| given.path == file.path);
        let others = others.iter().copied().filter(|other| !is_given(other.app));
        let (Some(readers), Some(real)) = (readers(way, others), way.file()) else { return };
        let message = format!(
            "these apps can read {}, which `{}` gets its variables from (mode {:04o}): {}",
            file.path.display(),
            app.name,
            readers.mode,
            readers.names
        );
        let help = format!("run `chmod go-rwx {}`", real.display());
        self.add(Severity::Warning, &file.key, &message, Some(&help));
    }
}

/// The user that the app runs as; `None` if it runs nothing, or as nobody who exists.
fn user_of(app: &App) -> Option<u32> {
    let account = app.run.as_ref()?.account().ok()?;
    Some(account.map_or(geteuid(), |account| account.uid).as_raw())
}
