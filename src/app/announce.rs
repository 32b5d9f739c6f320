//! Log lines about the appliance as a whole: its start, and where to sign in.

use std::collections::HashMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tracing::{info, warn};

use super::first_administrator::{self, Looking};
use crate::auth::IssuerState;
use crate::config::{Access, AppName, Config, Phase, Problem};
use crate::control::timeline::{critical_path, in_words};
use crate::supervisor::{StartReport, brief};

/// How long the last line of the start waits for the sign-in.
const SIGN_IN: Duration = Duration::from_secs(10);

pub(super) fn announce(config: &Config) {
    info!(
        version = env!("CARGO_PKG_VERSION"),
        pid = std::process::id(),
        apps = config.apps.len(),
        url = %config.server.public_url,
        "the appliance starts"
    );
}

/// Logs whose passwords everybody knows who has the realm file, if other machines are meant to reach
/// the login.
pub(super) fn warn_of_known_passwords(config: &Config) {
    if let Some(users) = known_passwords(config) {
        warn!(
            users,
            url = %config.server.public_url,
            "the passwords of these users are in the realm file and public_url is not a loopback name: \
             change the passwords or delete the users, and remove them from the realm file"
        );
    }
}

/// The same after a reload, if it has changed that.
pub(super) fn warn_of_new_known_passwords(before: &Config, after: &Config) {
    if known_passwords(before) != known_passwords(after) {
        warn_of_known_passwords(after);
    }
}

/// The same for `appliance check`, at the key of the realm file.
pub(super) fn warning_of_known_passwords(config: &Config) -> Option<Problem> {
    let users = known_passwords(config)?;
    let issuer = config.oidc.as_ref()?.served_by.as_ref()?;
    let key = ["apps", issuer.as_str(), "keycloak", "realm"];
    let url = &config.server.public_url;
    let why = format!(
        "the passwords of {users} are in the realm file, and public_url is {url}; \
         change the passwords or delete the users, and remove them from the realm file"
    );
    Some(config.warning_about(&key, &why))
}

fn known_passwords(config: &Config) -> Option<String> {
    let users = &config.oidc.as_ref()?.realm_users;
    let reachable = !config.server.public_url.is_loopback();
    (reachable && !users.is_empty()).then(|| users.join(", "))
}

/// Logs what an operator waits for during the start: where to sign in, and at last how long the start took.
/// Returns at once.
pub(super) fn log_progress(
    config: &Config,
    issuer: Option<watch::Receiver<IssuerState>>,
    phases: &HashMap<AppName, watch::Receiver<Phase>>,
    started: watch::Receiver<Option<StartReport>>,
    looking: Looking,
) {
    let sign_in = issuer.map(|issuer| log_sign_in(config.clone(), issuer, phases.clone(), looking));
    tokio::spawn(log_timeline(started, sign_in.map(tokio::spawn)));
}

/// Logs where and as whom to sign in, as soon as sign-in works and the protected apps are ready.
async fn log_sign_in(
    config: Config,
    mut issuer: watch::Receiver<IssuerState>,
    mut phases: HashMap<AppName, watch::Receiver<Phase>>,
    looking: Looking,
) {
    if issuer.wait_for(|state| *state == IssuerState::Right).await.is_err() {
        return;
    }
    for app in &config.apps {
        let guarded = app.route.as_ref().is_some_and(|route| route.access != Access::Public);
        if let Some(phase) = phases.get_mut(&app.name).filter(|_| guarded)
            && phase.wait_for(|phase| phase.is_settled()).await.is_err()
        {
            return;
        }
    }
    let users = config.oidc.as_ref().map(|oidc| oidc.realm_users.join(", ")).unwrap_or_default();
    let url = &config.server.public_url;
    if users.is_empty() {
        info!("ready: sign in at {url}");
    } else if config.apps_folder.is_some() {
        info!("ready: sign in at {url} as one of {users} (the password of each is its name)");
    } else {
        info!("ready: sign in at {url} as one of {users} (their passwords are in the realm file)");
    }
    first_administrator::look(&config, &looking.administration, &looking.log).await;
}

/// Logs how long the apps took, when the start is complete: after the line about the sign-in, if that
/// comes soon.
async fn log_timeline(
    mut started: watch::Receiver<Option<StartReport>>,
    sign_in: Option<JoinHandle<()>>,
) {
    let report = started.wait_for(Option::is_some).await.map(|report| report.clone());
    let Ok(Some(report)) = report else { return };
    if let Some(sign_in) = sign_in {
        let _ = timeout(SIGN_IN, sign_in).await;
    }
    let apps: Vec<_> = report.apps.iter().map(|(app, times)| in_words(app, times)).collect();
    let (took, waited_for) = (brief(report.took), critical_path(&report));
    info!(%took, waited_for, apps = apps.join("; "), "the start is complete");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warned(public_url: &str, users: &str) -> Option<String> {
        let dir = tempfile::tempdir().unwrap();
        let realm = format!("{{ \"realm\": \"demo\", \"users\": [{users}] }}");
        std::fs::write(dir.path().join("realm.json"), realm).unwrap();
        let text = format!(
            "[server]\npublic_url = \"{public_url}\"\n[oidc]\nserved_by = \"kc\"\nclient_id = \"a\"\n\
             client_secret = {{ generate = \"oidc-client\" }}\n[apps.kc]\npath = \"/auth\"\n\
             keycloak = {{ home = \"kc\", realm = \"realm.json\" }}\n"
        );
        let path = dir.path().join("appliance.toml");
        std::fs::write(&path, text).unwrap();
        known_passwords(&Config::load(&path, |_| None).unwrap_or_else(|error| panic!("{error}")))
    }

    #[test]
    fn known_passwords_are_told_where_others_can_use_them() {
        let user = |name: &str, value: &str| {
            format!(
                "{{ \"username\": \"{name}\", \"credentials\": [{{ \"type\": \"password\", {value} }}] }}"
            )
        };
        let test = user("test", "\"value\": \"test\"");
        for url in [
            "http://apps.example.org",
            "http://192.168.1.7:8080",
            "https://localhost.example.org",
            "http://127.example.org",
        ] {
            assert_eq!(warned(url, &test).as_deref(), Some("test"), "{url}");
        }
        for url in [
            "http://localhost:8080",
            "http://apps.localhost",
            "http://127.0.0.1:8080",
            "http://127.1.2.3",
            "http://[::1]:8080",
        ] {
            assert_eq!(warned(url, &test), None, "{url}");
        }
        let public = "https://apps.example.org";
        let both = [test, user("test1", "\"value\": \"${TEST1:test1}\"")].join(",");
        assert_eq!(warned(public, &both).as_deref(), Some("test, test1"));
        let hashed = "\"secretData\": \"{}\", \"credentialData\": \"{}\"";
        for harmless in
            [user("a", hashed), user("a", "\"value\": \"${ADMIN_PASSWORD}\""), String::new()]
        {
            assert_eq!(warned(public, &harmless), None, "{harmless}");
        }
    }
}
