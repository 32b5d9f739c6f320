//! The checked configuration, which the rest of the program works with.

mod access;
mod address;
mod app;
mod apps_folder;
pub(super) mod config;
mod folder;
mod idle;
mod life;
mod name;
mod oidc;
mod path_pattern;
mod probe;
pub(crate) mod reserved;
mod route;
mod run;
mod secret;
mod server;
mod upstream;

pub use access::{Access, Constraint, Constraints, Rule, Subject};
pub use address::{
    AppClients, ClientEnd, Dial, Ends, Listen, ListenerCheck, ListenerChecks, ListenerFault,
    LoopbackPort, PublicUrl, client_network, is_loopback_host,
};
pub use app::App;
pub use apps_folder::{AppsFolder, FoundApp, LeftOut};
pub use config::Config;
pub use folder::Folder;
pub use idle::{Busy, Sleeper, Sleepers, WarmHours, WarmRange};
pub use life::{After, Backoff, Phase, Restart, Schedule, StopPlan, StopTarget, Times, Until};
pub use name::AppName;
pub(crate) use name::app_of;
pub use oidc::{
    GroupPattern, GroupsOverage, Oidc, OwnRealm, RealmConsole, RealmContent, Session,
    SignInProtocol,
};
pub use path_pattern::{PathPattern, Reading, below, first_segments, folded};
pub use probe::{BrowserView, HttpQuestion, Notify, Probe, ProbeKind};
pub use route::{Identity, Route, Shield, StaticFiles};
pub use run::{EnvValue, Folders, Limits, Need, PATH, Run, Setup};
pub use secret::{Missing, Secret, SecretError, SecretSource, made_once};
pub use server::{
    Acme, AlertEvent, AlertFormat, Alerts, BrandColor, CertificateFiles, Color, Log, LogFormat,
    RateLimit, Server, Tls, Users,
};
pub(crate) use upstream::InFlight;
pub use upstream::{AppTls, OpenedTls, Standing, TlsContent, Upstream};
