//! One process that puts a few web apps and an identity provider behind one login.
//!
//! The folders are the words of the field, and the arrows between them point one way:
//!
//! ```text
//! main.rs → app.rs (composition root: Config → build → run → exit code)
//!    proxy/       admission, routes, phases, forwarding, tunnels, pages      → auth, config
//!    auth/        issuer, login, sessions, sealing, cookies, policy          → config
//!    supervisor/  app state machine, spawn, reaper, probes, output           → config
//!    control/     socket protocol, command-line client                       → supervisor, auth, config
//!    config/      file (serde, 1:1 with the TOML) → check → Config           → nothing
//!    telemetry/   log writer, formats, access log                            ← all may use it
//! ```
//!
//! `proxy` never imports `supervisor`: [`app`] hands it a `watch::Receiver<Phase>` for each app.
//! `auth` never imports `proxy`.

pub mod app;
pub mod auth;
pub mod config;
pub mod control;
pub mod proxy;
pub mod supervisor;
pub mod telemetry;
