//! The effect of a changed setting: one declaration for each key of the schema.

/// What a new value of a setting takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Effect {
    /// The process of the app differs: the app is restarted.
    Restart,
    /// The next request, probe or restart decision uses the new value.
    InForce,
    /// Only a new start of the appliance uses the new value.
    NewStart,
    /// The key stands for other keys, whose effects count.
    Expands,
}

use Effect::{Expands, InForce, NewStart, Restart};

/// The keys of `[server]`, `[log]`, `[oidc]`, `[session]`, `[access]` and `[alerts]`.
const SECTIONS: &[(&str, &[(&str, Effect)])] = &[
    (
        "server",
        &[
            ("listen", InForce),
            ("public_url", InForce),
            ("tls", InForce),
            ("redirect_http", InForce),
            ("http2", InForce),
            ("h2c", InForce),
            ("hsts", InForce),
            ("state_dir", NewStart),
            ("users", Expands),
            ("trusted_proxies", InForce),
            ("proxy_protocol", InForce),
            ("max_connections", InForce),
            ("max_connections_per_ip", InForce),
            ("rate_limit", InForce),
            ("max_header_bytes", InForce),
            ("header_timeout", InForce),
            ("idle_timeout", InForce),
            ("body_timeout", InForce),
            ("send_timeout", InForce),
            ("compression", InForce),
            ("shutdown_timeout", InForce),
            ("parallel_starts", InForce),
            ("metrics", NewStart),
            ("operators", InForce),
            ("title", InForce),
            ("logo", InForce),
            ("color", InForce),
            ("contact", InForce),
        ],
    ),
    ("log", &[("format", InForce), ("level", InForce), ("access", InForce), ("color", InForce)]),
    (
        "oidc",
        &[
            ("provider", Expands),
            ("issuer", NewStart),
            ("served_by", NewStart),
            ("client_id", NewStart),
            ("client_secret", InForce),
            ("scopes", InForce),
            ("audiences", InForce),
            ("user_claim", InForce),
            ("email_claim", InForce),
            ("groups_claim", InForce),
            ("groups_prefix", InForce),
            ("groups_only", InForce),
            ("groups_overage", InForce),
            ("roles_claim", InForce),
            ("require_verified_email", InForce),
            ("clock_skew", InForce),
            ("ca_file", InForce),
            ("login_params", InForce),
        ],
    ),
    (
        "session",
        &[
            ("lifetime", InForce),
            ("idle", InForce),
            ("cookie", InForce),
            ("keys", InForce),
            ("recheck", InForce),
        ],
    ),
    ("access", &[("default", Expands)]),
    ("alerts", &[("webhook", InForce), ("events", InForce), ("format", InForce)]),
];

/// The keys of an app's table. A key with a dot is a part of its table.
const APP: &[(&str, Effect)] = &[
    ("command", Restart),
    ("streamlit", Expands),
    ("gradio", Expands),
    ("dash", Expands),
    ("panel", Expands),
    ("marimo", Expands),
    ("jupyter", Expands),
    ("voila", Expands),
    ("shiny", Expands),
    ("fastapi", Expands),
    ("flask", Expands),
    ("django", Expands),
    ("nicegui", Expands),
    ("mlflow", Expands),
    ("tensorboard", Expands),
    ("keycloak", Expands),
    ("static", InForce),
    ("port", Restart),
    ("upstream", InForce),
    ("sticky", InForce),
    ("ca_file", InForce),
    ("server_name", InForce),
    ("client_cert", InForce),
    ("client_key", InForce),
    ("path", InForce),
    ("host", InForce),
    ("strip_prefix", InForce),
    ("trailing_slash", InForce),
    ("raw_path", InForce),
    ("access", InForce),
    ("deny", InForce),
    ("rules", InForce),
    ("api", InForce),
    ("bearer", InForce),
    ("identity", InForce),
    ("after", InForce),
    ("ready", Expands),
    ("ready.interval", InForce),
    ("ready.timeout", InForce),
    ("ready.deadline", InForce),
    ("live", Expands),
    ("live.interval", InForce),
    ("live.timeout", InForce),
    ("live.deadline", InForce),
    ("live.failures", InForce),
    ("autostart", InForce),
    ("restart", InForce),
    ("backoff", InForce),
    ("max_restarts", InForce),
    ("window", InForce),
    ("max_memory", InForce),
    ("success_exit_codes", InForce),
    ("critical", InForce),
    ("stop_signal", InForce),
    ("stop_target", InForce),
    ("stop_timeout", InForce),
    ("oneshot", Restart),
    ("schedule", InForce),
    ("restart_at", InForce),
    ("replicas", InForce),
    ("idle_stop", InForce),
    ("keep_warm", InForce),
    ("enabled", Expands),
    ("user", Restart),
    ("group", Restart),
    ("umask", Restart),
    ("cwd", Restart),
    ("env", Expands),
    ("env_file", Restart),
    ("pass_env", Restart),
    ("limits", Restart),
    ("no_new_privs", Restart),
    ("log", Restart),
    ("setup", Expands),
    ("max_body", InForce),
    ("hold", InForce),
    ("timeout", InForce),
    ("origins", InForce),
    ("embed", InForce),
    ("title", InForce),
    ("icon", InForce),
    ("description", InForce),
    ("hidden", InForce),
    ("operators", InForce),
    ("data folder", Restart),
    ("reachable paths", InForce),
    ("hidden paths", InForce),
    ("pages of their own", InForce),
    ("paths for programs", InForce),
];

/// Parts of tables: every key that begins so and is not listed itself.
const PARTS: &[(&str, Effect)] =
    &[("env.", Restart), ("setup.", Restart), ("ready.", Restart), ("live.", Restart)];

/// The effect of a key of a section such as `server`, or of an app with `section` = `apps`. `None`
/// if the effect is not declared.
pub(super) fn of(section: &str, key: &str) -> Option<Effect> {
    let keys = match section {
        "apps" => APP,
        other => SECTIONS.iter().find(|(name, _)| *name == other)?.1,
    };
    let declared = keys.iter().find(|(name, _)| *name == key);
    let part = || PARTS.iter().find(|(prefix, _)| section == "apps" && key.starts_with(prefix));
    declared.or_else(part).map(|(_, effect)| *effect)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::schema;
    use crate::config::schema_keys::schema_keys;

    #[test]
    fn every_key_of_the_schema_has_a_declared_effect() {
        let keys = schema_keys(&schema());
        assert!(keys.len() > 80, "{} keys", keys.len());
        for (section, key) in keys {
            assert!(of(&section, &key).is_some(), "[{section}] {key} has no declared effect");
        }
    }
}
