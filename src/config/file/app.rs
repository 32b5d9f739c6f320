//! `[apps.NAME]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::access::{Access, Constraints, Rule};
use super::identity::Identity;
use super::life::{After, Backoff, Restart};
use super::preset::{KeycloakPreset, StreamlitPreset};
use super::probe::Probe;
use super::run::{Limits, Setup};
use super::secret::EnvValue;
use super::shape::{At, FlagOr, NameOrNumber, OneOrMany, TextOr};

/// An app: a child process, a route, or both. Exactly one of `command`, a preset
/// (`streamlit`, `keycloak`) or, for something that runs elsewhere, `upstream` alone.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct App {
    /// Program and arguments. `{port}`, `{path}`, `{public_url}` and `{name}` are replaced here
    /// and in `env`, `ready` and `live`.
    pub(crate) command: Option<At<Vec<String>>>,
    /// Preset for a Streamlit app: its script, or a table.
    pub(crate) streamlit: Option<At<TextOr<StreamlitPreset>>>,
    /// Preset for Keycloak.
    pub(crate) keycloak: Option<At<KeycloakPreset>>,
    /// Its port on 127.0.0.1. Default: a free one.
    pub(crate) port: Option<At<i64>>,
    /// Where it is dialled, or a list: `http://host:port`, `https://host`, `unix:/path`.
    /// Default: `http://127.0.0.1:{port}`.
    pub(crate) upstream: Option<At<OneOrMany>>,
    /// Prefix under which it is reached, on segment borders. Without `path` and `host` it is not
    /// reachable from outside.
    pub(crate) path: Option<At<String>>,
    /// Host name under which it is reached. It has a login of its own: register
    /// `/oauth2/callback` under it as a redirect URI at the issuer, too.
    pub(crate) host: Option<At<String>>,
    /// The app does not see the prefix. Default: `false`.
    pub(crate) strip_prefix: Option<bool>,
    /// Who may open it: `"public"`, `"signed-in"` or constraints. Default: `[access] default`.
    pub(crate) access: Option<At<Access>>,
    /// Who may not, whatever `access` says.
    pub(crate) deny: Option<At<Constraints>>,
    /// Policies of its parts; the first that matches wins.
    pub(crate) rules: Option<Vec<Rule>>,
    /// Never redirect to the login: always 401 as JSON. Default: `false`.
    pub(crate) api: Option<bool>,
    /// Headers under which it hears who is signed in; `false` for none.
    /// Default: `X-Forwarded-User`, `-Email`, `-Groups`, `-Preferred-Username`.
    pub(crate) identity: Option<At<FlagOr<Identity>>>,
    /// Apps that must be ready first.
    pub(crate) after: Option<Vec<At<TextOr<After>>>>,
    /// When it is ready. Default: when its port accepts connections, if it is routed; else when
    /// it is started.
    pub(crate) ready: Option<At<Probe>>,
    /// When it hangs: then it is restarted. Not asked before the first ready.
    pub(crate) live: Option<At<Probe>>,
    /// When it is started again. Default: `"always"`.
    pub(crate) restart: Option<Restart>,
    /// Pause before that. Default: `{ min = "500ms", max = "30s" }`.
    pub(crate) backoff: Option<At<Backoff>>,
    /// More restarts than this within `window`, and it has failed. Default: `10`.
    pub(crate) max_restarts: Option<At<i64>>,
    /// Default: `"10m"`.
    pub(crate) window: Option<At<String>>,
    /// Exit codes that are no failure. Default: `[0]`.
    pub(crate) success_exit_codes: Option<At<Vec<i64>>>,
    /// The appliance stops with its code when it fails for good. Default: `false`.
    pub(crate) critical: Option<bool>,
    /// Signal of a polite stop, to its whole group. Default: `"TERM"`.
    pub(crate) stop_signal: Option<At<String>>,
    /// Then KILL. Default: `"5s"`.
    pub(crate) stop_timeout: Option<At<String>>,
    /// Runs once; ready when it exits with success. Default: `false`.
    pub(crate) oneshot: Option<bool>,
    /// `false`: as if it were not written here. Default: `true`.
    pub(crate) enabled: Option<bool>,
    /// Name or number of the user that the app and its setup run as; `"root"` for an app that really
    /// needs it. A number without an entry in the user database needs a `group` as well. Default: see
    /// `[server] users`.
    pub(crate) user: Option<At<NameOrNumber>>,
    /// Name or number of the app's group, in place of the groups of its user.
    pub(crate) group: Option<At<NameOrNumber>>,
    /// Octal, as `"027"`.
    pub(crate) umask: Option<At<String>>,
    /// Working directory. Default: the folder of this file.
    pub(crate) cwd: Option<At<String>>,
    /// Variables for it; it gets no others beside `PATH`, `HOME`, `LANG`, `TZ`, `USER`, `PORT`.
    pub(crate) env: Option<BTreeMap<String, At<EnvValue>>>,
    /// File of `NAME=value` lines; `env` wins over it.
    pub(crate) env_file: Option<At<String>>,
    /// Names of variables that it gets from the appliance's own environment.
    pub(crate) pass_env: Option<Vec<At<String>>>,
    /// Resource limits.
    pub(crate) limits: Option<Limits>,
    /// It and its children cannot gain privileges. Default: `false`.
    pub(crate) no_new_privs: Option<bool>,
    /// `false` throws its output away. Default: `true`.
    pub(crate) log: Option<bool>,
    /// First-time setup.
    pub(crate) setup: Option<At<Setup>>,
    /// Largest request body; over it 413. Default: none.
    pub(crate) max_body: Option<At<String>>,
    /// For the first byte of an answer. Default: `"60s"`.
    pub(crate) timeout: Option<At<String>>,
    /// Accepted `Origin` of WebSocket handshakes beside `public_url`; `"*"` for all.
    pub(crate) origins: Option<Vec<At<String>>>,
    /// The portal's tile: name for people. Default: the app's name.
    pub(crate) title: Option<String>,
    /// The portal's tile: an emoji, a `data:` URL or a path of this origin.
    pub(crate) icon: Option<At<String>>,
    /// The portal's tile: one line.
    pub(crate) description: Option<String>,
    /// No tile. Default: `false`.
    pub(crate) hidden: Option<bool>,
}
