//! One process that puts a few web apps and an identity provider behind one login.
//!
//! Each folder is one part of the program. Dependencies point one way:
//!
//! ```text
//! main.rs → app.rs (composition root: Config → build → run → exit code)
//!    proxy/       admission, routes, phases, forwarding, tunnels, pages      → auth, tls, config
//!    auth/        issuer, login, sessions, sealing, cookies, policy          → config
//!    supervisor/  state machine of an app, processes, probes, setup          → config
//!    control/     control socket, command-line client                        → supervisor, auth, administration
//!    console/     the operators' console in the browser                       → proxy, control, supervisor
//!    administration/  the first administrator at the own Keycloak            → proxy, supervisor, config
//!    alerts/      messages to a webhook                                      → supervisor, auth, config
//!    metrics/     numbers for Prometheus                                     → proxy, supervisor, auth
//!    tokens/      access tokens for the programs of apps                     → proxy, auth, config
//!    import/      files of other programs → appliance.toml                   → config
//!    tls/         certificates of the listeners                              → config
//!    config/      appliance.toml: read, check, presets, preflight            → nothing
//!    site/        files that the appliance serves itself                      → config
//!    texts/       what people read on pages, in several languages              ← all may use it
//!    threads/     threads for work that may block                            ← all may use it
//!    telemetry/   log writer, formats, access log                            ← all may use it
//! ```
//!
//! `proxy` never imports `supervisor`: [`app`] passes it a `watch::Receiver<Phase>` for each app.
//! `auth` never imports `proxy`.

mod administration;
pub mod alerts;
pub mod app;
pub mod auth;
pub mod config;
mod console;
pub mod control;
pub mod import;
pub mod metrics;
mod net;
#[cfg(test)]
#[path = "../tests/it/not_run.rs"]
mod not_run;
#[cfg(test)]
#[path = "../tests/unit/one_process.rs"]
mod one_process;
pub mod proxy;
mod site;
pub mod supervisor;
pub mod telemetry;
pub mod texts;
mod threads;
pub mod tls;
pub mod tokens;
