//! The configuration: reads `appliance.toml` and checks it. The result is a [`Config`], or every
//! problem in the file.
//!
//! A `Config` is a value: every setting in it is valid, defaults and presets are filled in. Reading
//! and checking spawns nothing, binds nothing and sends nothing over the network.
//!
//! ```text
//! load → read (TOML document, ${X}, structs of file/) → check (presets, then every rule) → model
//! run  → preflight (what only this machine can tell: secrets, users, ports, programs)
//! ```
//!
//! Rooms: `apps_folder/` a folder with apps in place of a file · `model/` the checked configuration · `file/` structs that mirror the TOML · `read/` text
//! to structs · `grammar/` values inside strings · `preset/` presets and their data · `check/`
//! structs to model · `report/` problems and masked secrets · `expanded/` the output of `check
//! --expanded` · `preflight/` the checks before a start.

mod apps_folder;
mod change;
mod check;
mod draft;
mod expanded;
mod file;
mod grammar;
mod load;
mod model;
pub(crate) mod ownership;
mod preflight;
mod preset;
mod read;
mod report;
#[cfg(test)]
#[path = "../../tests/unit/config/schema_keys.rs"]
mod schema_keys;

pub use apps_folder::holds_packages;
pub use change::{Plan, Step};
pub use draft::{NewApp, NewFile, check_text, has_app};
pub use file::schema::schema;
#[cfg(test)]
pub(crate) use grammar::schedule;
#[cfg(test)]
pub(crate) use grammar::warm_hours;
pub(crate) use grammar::{signal, time_zone};
pub use load::ConfigError;
pub use model::{
    Access, Acme, After, AlertEvent, AlertFormat, Alerts, App, AppClients, AppName, AppTls,
    AppsFolder, Backoff, BrandColor, BrowserView, Busy, CertificateFiles, ClientEnd, Color, Config,
    Constraint, Constraints, Dial, Ends, EnvValue, Folder, Folders, FoundApp, GroupPattern,
    GroupsOverage, HttpQuestion, Identity, LeftOut, Limits, Listen, ListenerCheck, ListenerChecks,
    ListenerFault, Log, LogFormat, LoopbackPort, Missing, Need, Notify, Oidc, OpenedTls, OwnRealm,
    PATH, PathPattern, Phase, Probe, ProbeKind, PublicUrl, RateLimit, Reading, RealmConsole,
    RealmContent, Restart, Route, Rule, Run, Schedule, Secret, SecretError, SecretSource, Server,
    Session, Setup, Shield, SignInProtocol, Sleeper, Sleepers, Standing, StaticFiles, StopPlan,
    StopTarget, Subject, Times, Tls, TlsContent, Until, Upstream, Users, WarmHours, WarmRange,
    below, client_network, first_segments, folded, is_loopback_host, made_once,
};
pub(crate) use model::{InFlight, app_of, reserved};
pub use ownership::account::{AccountError, OwnUser};
pub(crate) use preflight::Changer;
pub(crate) use report::mask;
pub use report::problem::{Place, Problem, Severity};

/// Whether a header can carry a part of the identity to apps.
pub(crate) fn is_identity_header(name: &str) -> bool {
    check::identity_header(name).is_ok()
}
