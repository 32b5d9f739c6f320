//! Names that belong to the appliance: of its files and folders in `state_dir`, and of apps.
//!
//! Every file there has its name from here, so that no generated secret can be one of them: an app
//! would be handed a key of the appliance, or the appliance would take an app's secret for its key.

use std::path::Path;

/// The lock that keeps a second appliance out.
pub(crate) const LOCK: &str = "lock";
/// The socket of `appliance status` and the other client commands.
pub(crate) const CONTROL_SOCKET: &str = "control.sock";
/// The default of `[session] keys`.
pub(crate) const SESSION_KEYS: &str = "session-keys";
/// The key that signs identity assertions.
pub(crate) const ASSERTION_KEY: &str = "assertion-key";
/// The folder with ended sessions, last uses and used login attempts.
pub(crate) const SESSIONS: &str = "sessions";
/// The folder of Python environments.
pub(crate) const VENVS: &str = "venvs";
/// The folder in which earlier versions made homes of apps whose user has none.
pub(crate) const HOMES: &str = "homes";
/// The password of Keycloak's first administrator. The preset passes it to Keycloak alone.
pub(crate) const KEYCLOAK_ADMIN: &str = "keycloak-admin";

/// The link with which the first administrator makes an account, as a digest.
pub(crate) const FIRST_ADMINISTRATOR: &str = "first-administrator";

/// The private key and the certificate of the appliance's own certificate authority.
pub(crate) const CA: &str = "ca.key";

/// The account at the authority of `tls = { acme = … }`.
pub(crate) const ACME_ACCOUNT: &str = "acme.account";
/// The certificate of that authority, with its private key.
pub(crate) const ACME_CERTIFICATE: &str = "acme.key";
/// How many orders there have failed, and when the next one may begin.
pub(crate) const ACME_RETRY: &str = "acme.retry";

/// What else is in the state folder: made by the scripts of presets, and names that later versions
/// use for certificates, downloads and the data of apps.
const OTHERS: [&str; 9] = [
    "keycloak",
    "keycloak-data",
    "downloads",
    "data",
    "apps",
    "ca",
    "acme",
    "certificates",
    "store",
];

/// Secrets whose name begins so belong to `[oidc]` and to the app that is the issuer.
pub(crate) const OIDC: &str = "oidc-";

/// Names that no app can have, and what has them.
const APPS: [(&str, &str); 3] = [
    ("appliance", "the appliance's own log lines"),
    ("root", "the user with all rights"),
    // In the volume of the image, the folders of apps are beside it.
    ("state", "the state folder"),
];

/// Whether a file of this name in `state_dir` is the appliance's. `NAME.…` is as well, because locks
/// and drafts of a file stand beside it.
pub(crate) fn is_reserved_file(name: &str) -> bool {
    let ours = [
        LOCK,
        CONTROL_SOCKET,
        SESSION_KEYS,
        ASSERTION_KEY,
        SESSIONS,
        VENVS,
        HOMES,
        KEYCLOAK_ADMIN,
        FIRST_ADMINISTRATOR,
    ];
    let is_or_begins = |own: &&str| {
        name.strip_prefix(*own).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    ours.iter().chain(&OTHERS).any(is_or_begins)
        || Path::new(name).extension().is_some_and(|end| end == "new")
        || name.starts_with("control.")
}

/// What has this name, so that no app can have it.
pub(crate) fn why_no_app(name: &str) -> Option<&'static str> {
    APPS.iter().find(|(reserved, _)| *reserved == name).map(|(_, why)| *why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_appliances_files_and_their_neighbours_are_reserved() {
        for name in [
            "session-keys",
            "assertion-key",
            "lock",
            "sessions",
            "control.sock",
            "venvs",
            "keycloak",
            "keycloak-data",
            "keycloak-admin",
            "first-administrator",
            "keycloak.lock",
            "session-keys.1234.new",
            "assertion-key.old",
            "lock.pid",
            "mine.new",
        ] {
            assert!(is_reserved_file(name), "{name}");
        }
        for name in ["oidc-client", "app1-secret", "locker", "my-session-keys", "db", "a.b"] {
            assert!(!is_reserved_file(name), "{name}");
        }
        assert!(why_no_app("root").is_some() && why_no_app("roots").is_none());
    }
}
