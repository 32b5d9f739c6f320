//! The built appliance with an issuer and an app in the test process, and as PID 1 of its own
//! namespace.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the tests start processes and print the log of a failed one"
)]
#![expect(clippy::unwrap_used, reason = "an unexpected value ends the test")]
#![expect(unreachable_pub, reason = "no other crate uses a test binary")]

mod alerts;
mod apps_folder;
mod assertion;
mod auth;
mod author;
mod bearer;
mod brand;
mod can;
mod command_line;
mod compression;
mod connections;
mod console;
mod diagnostics;
mod doctor;
mod doors;
mod embed;
mod endurance;
mod faults;
mod first_administrator;
mod fixture;
mod fresh_token;
mod fronts;
mod github;
mod grafana;
mod groups;
mod halted;
mod harness;
mod hold;
mod hostile;
mod http2;
mod idle;
mod idle_replicas;
mod import;
mod issuer;
mod keycloak_scripts;
mod languages;
mod left_behind;
mod lifecycle;
mod log;
mod login;
mod logout;
mod metrics;
mod ocsp;
mod one_user;
#[cfg(feature = "otlp")]
mod otlp;
mod overage;
mod own_ca;
mod own_files;
mod pid1;
mod policy;
mod ports;
mod proxy_protocol;
mod rate_limit;
mod readiness;
mod reload;
mod reload_claims;
mod reload_listen;
mod reload_setup;
mod reload_traces;
mod replicas;
mod requests;
mod rights;
mod schedule;
mod sent_by_app;
mod session;
mod sessions;
mod shared_user;
mod shut_entrances;
mod site;
mod status;
mod timeline;
mod tls;
mod too_large;
mod trace;
mod upstream;
mod upstream_tls;
mod upstreams;
mod usage;
mod users;
mod websocket;
