//! `[apps.NAME]`.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Access, At, Constraints, EnvValue, FlagOr, OneOrMany, Rule, Size, TextOr};

/// An app: a child process, a route, or both. Exactly one of `command`, a preset
/// (`streamlit`, `keycloak`) or, for something that runs elsewhere, `upstream` alone.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct App {
    /// Program and arguments. `{port}`, `{path}`, `{public_url}` and `{name}` are replaced here
    /// and in `env`, `ready` and `live`.
    pub(in crate::config) command: Option<At<Vec<String>>>,
    /// Preset for a Streamlit app: its script, or a table.
    pub(in crate::config) streamlit: Option<At<TextOr<StreamlitPreset>>>,
    /// Preset for Keycloak.
    pub(in crate::config) keycloak: Option<At<KeycloakPreset>>,
    /// Its port on 127.0.0.1. Default: a free one.
    pub(in crate::config) port: Option<At<i64>>,
    /// Where it is dialled, or a list: `http://host:port`, `https://host`, `unix:/path`.
    /// Default: `http://127.0.0.1:{port}`.
    pub(in crate::config) upstream: Option<At<OneOrMany>>,
    /// Prefix under which it is reached, on segment borders. Without `path` and `host` it is not
    /// reachable from outside.
    pub(in crate::config) path: Option<At<String>>,
    /// Host name under which it is reached. It has a login of its own: register
    /// `/oauth2/callback` under it as a redirect URI at the issuer, too.
    pub(in crate::config) host: Option<At<String>>,
    /// The app does not see the prefix. Default: `false`.
    pub(in crate::config) strip_prefix: Option<bool>,
    /// Who may open it: `"public"`, `"signed-in"` or constraints. Default: `[access] default`.
    pub(in crate::config) access: Option<At<Access>>,
    /// Who may not, whatever `access` says.
    pub(in crate::config) deny: Option<At<Constraints>>,
    /// Policies of its parts; the first that matches wins.
    pub(in crate::config) rules: Option<Vec<Rule>>,
    /// Never redirect to the login: always 401 as JSON. Default: `false`.
    pub(in crate::config) api: Option<bool>,
    /// Headers under which it hears who is signed in; `false` for none.
    /// Default: `X-Forwarded-User`, `-Email`, `-Groups`, `-Preferred-Username`.
    pub(in crate::config) identity: Option<At<FlagOr<Identity>>>,
    /// Apps that must be ready first.
    pub(in crate::config) after: Option<Vec<At<TextOr<After>>>>,
    /// When it is ready. Default: when its port accepts connections, if it is routed; else when
    /// it is started.
    pub(in crate::config) ready: Option<At<Probe>>,
    /// When it hangs: then it is restarted. Not asked before the first ready.
    pub(in crate::config) live: Option<At<Probe>>,
    /// When it is started again. Default: `"always"`.
    pub(in crate::config) restart: Option<Restart>,
    /// Pause before that. Default: `{ min = "500ms", max = "30s" }`.
    pub(in crate::config) backoff: Option<At<Backoff>>,
    /// More restarts than this within `window`, and it has failed. Default: `10`.
    pub(in crate::config) max_restarts: Option<At<i64>>,
    /// Default: `"10m"`.
    pub(in crate::config) window: Option<At<String>>,
    /// Exit codes that are no failure. Default: `[0]`.
    pub(in crate::config) success_exit_codes: Option<At<Vec<i64>>>,
    /// The appliance stops with its code when it fails for good. Default: `false`.
    pub(in crate::config) critical: Option<bool>,
    /// Signal of a polite stop, to its whole group. Default: `"TERM"`.
    pub(in crate::config) stop_signal: Option<At<String>>,
    /// Then KILL. Default: `"5s"`.
    pub(in crate::config) stop_timeout: Option<At<String>>,
    /// Runs once; ready when it exits with success. Default: `false`.
    pub(in crate::config) oneshot: Option<bool>,
    /// `false`: as if it were not written here. Default: `true`.
    pub(in crate::config) enabled: Option<bool>,
    /// Run as this user.
    pub(in crate::config) user: Option<At<String>>,
    /// Instead of that user's own group.
    pub(in crate::config) group: Option<At<String>>,
    /// Octal, as `"027"`.
    pub(in crate::config) umask: Option<At<String>>,
    /// Working directory. Default: the folder of this file.
    pub(in crate::config) cwd: Option<At<String>>,
    /// Variables for it; it gets no others beside `PATH`, `HOME`, `LANG`, `TZ`, `USER`, `PORT`.
    pub(in crate::config) env: Option<BTreeMap<String, At<EnvValue>>>,
    /// File of `NAME=value` lines; `env` wins over it.
    pub(in crate::config) env_file: Option<At<String>>,
    /// Names of variables that it gets from the appliance's own environment.
    pub(in crate::config) pass_env: Option<Vec<At<String>>>,
    /// Resource limits.
    pub(in crate::config) limits: Option<Limits>,
    /// It and its children cannot gain privileges. Default: `false`.
    pub(in crate::config) no_new_privs: Option<bool>,
    /// `false` throws its output away. Default: `true`.
    pub(in crate::config) log: Option<bool>,
    /// First-time setup.
    pub(in crate::config) setup: Option<At<Setup>>,
    /// Largest request body; over it 413. Default: none.
    pub(in crate::config) max_body: Option<At<String>>,
    /// For the first byte of an answer. Default: `"60s"`.
    pub(in crate::config) timeout: Option<At<String>>,
    /// Accepted `Origin` of WebSocket handshakes beside `public_url`; `"*"` for all.
    pub(in crate::config) origins: Option<Vec<At<String>>>,
    /// The portal's tile: name for people. Default: the app's name.
    pub(in crate::config) title: Option<String>,
    /// The portal's tile: an emoji, a `data:` URL or a path of this origin.
    pub(in crate::config) icon: Option<At<String>>,
    /// The portal's tile: one line.
    pub(in crate::config) description: Option<String>,
    /// No tile. Default: `false`.
    pub(in crate::config) hidden: Option<bool>,
}

/// A Streamlit app.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct StreamlitPreset {
    /// The script. Required.
    pub(in crate::config) script: Option<At<String>>,
    /// Further arguments of `streamlit run`.
    pub(in crate::config) args: Option<Vec<String>>,
    /// What is installed into its virtual environment. Default: `requirements.txt` beside the script.
    pub(in crate::config) requirements: Option<At<String>>,
    /// The Python that makes the virtual environment. Default: the newest that is found.
    pub(in crate::config) python: Option<String>,
}

/// Keycloak as the issuer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct KeycloakPreset {
    /// Where it is, or where `setup` puts it. Required.
    pub(in crate::config) home: Option<At<String>>,
    /// Realm as JSON, imported on the first start; `${PUBLIC_URL}`, `${CLIENT_ID}` and
    /// `${CLIENT_SECRET}` are replaced in it. Required.
    pub(in crate::config) realm: Option<At<String>>,
    /// What `setup` fetches. Default: `"26.7.3"`.
    pub(in crate::config) version: Option<At<String>>,
    /// Its Java: a `java` program or a `JAVA_HOME`. Default: what is found.
    pub(in crate::config) java: Option<String>,
    /// Largest Java heap. Default: `"512m"`.
    pub(in crate::config) heap: Option<At<String>>,
    /// Opens `/admin/` and the master realm to the outside. Default: `false`.
    pub(in crate::config) admin_console: Option<bool>,
    /// Its database: `KC_DB`. Default: `"dev-file"`.
    pub(in crate::config) db: Option<String>,
}

/// Header names of the identity. Those that are not named are not sent.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Identity {
    /// User name.
    pub(in crate::config) user: Option<At<String>>,
    /// E-mail address.
    pub(in crate::config) email: Option<At<String>>,
    /// Comma-joined, percent-encoded groups.
    pub(in crate::config) groups: Option<At<String>>,
    /// `preferred_username`.
    pub(in crate::config) preferred_username: Option<At<String>>,
    /// Full name.
    pub(in crate::config) name: Option<At<String>>,
    /// The access token itself.
    pub(in crate::config) access_token: Option<At<String>>,
    /// A signed JWT that says who is signed in, for this app alone; keys at `/oauth2/jwks`.
    pub(in crate::config) assertion: Option<At<String>>,
}

/// A dependency.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct After {
    /// Name of the app.
    pub(in crate::config) app: At<String>,
    /// Default: `"ready"`.
    pub(in crate::config) until: Option<Until>,
}

/// What a dependent waits for.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Until {
    /// It was spawned.
    Started,
    /// It is ready.
    Ready,
    /// It has exited with success.
    Finished,
}

/// A question that is asked of an app. Exactly one of `http`, `tcp`, `exec`, `log`, `notify`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Probe {
    /// `GET` of this path on the app's address; redirects are not followed.
    pub(in crate::config) http: Option<At<String>>,
    /// Status that means yes, with `http`. Default: `200`.
    pub(in crate::config) status: Option<At<i64>>,
    /// A connection is accepted.
    pub(in crate::config) tcp: Option<At<bool>>,
    /// This command exits 0; it runs as the app does.
    pub(in crate::config) exec: Option<At<Vec<String>>>,
    /// A line of the app's output matches this expression.
    pub(in crate::config) log: Option<At<String>>,
    /// The app says so itself: a newline on the descriptor in `NOTIFY_FD`, or `sd_notify`.
    pub(in crate::config) notify: Option<At<Notify>>,
    /// Pause between two questions; shorter while the app starts. Default: `"1s"`.
    pub(in crate::config) interval: Option<At<String>>,
    /// For one answer. Default: `"2s"`.
    pub(in crate::config) timeout: Option<At<String>>,
    /// For the whole start; then it counts as failed. Default: `"60s"`.
    pub(in crate::config) deadline: Option<At<String>>,
    /// Of `live`: failures in a row that end it. Default: `3`.
    pub(in crate::config) failures: Option<At<i64>>,
}

/// How an app says that it is ready.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Notify {
    /// A newline on the descriptor whose number is in `NOTIFY_FD`.
    Fd,
    /// `READY=1` to `NOTIFY_SOCKET`.
    Systemd,
}

/// When an app that ended is started again.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::config) enum Restart {
    /// Whatever the exit was.
    Always,
    /// Unless the exit was a success.
    OnFailure,
    /// Never.
    Never,
}

/// Exponential, with ±20 % jitter.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Backoff {
    /// First pause. Default: `"500ms"`.
    pub(in crate::config) min: Option<At<String>>,
    /// Longest pause. Default: `"30s"`.
    pub(in crate::config) max: Option<At<String>>,
}

/// Resource limits, soft and hard alike. Sizes are numbers of bytes or strings as `"1GiB"`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Limits {
    /// Open files.
    pub(in crate::config) nofile: Option<At<Size>>,
    /// Size of a core dump.
    pub(in crate::config) core: Option<At<Size>>,
    /// Processes of its user.
    pub(in crate::config) nproc: Option<At<Size>>,
    /// Address space.
    #[serde(rename = "as")]
    pub(in crate::config) address_space: Option<At<Size>>,
    /// Size of a file that it writes.
    pub(in crate::config) fsize: Option<At<Size>>,
}

/// First-time setup: runs unless `creates` exists.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::config) struct Setup {
    /// Program and arguments.
    pub(in crate::config) run: At<Vec<String>>,
    /// What is there afterwards.
    pub(in crate::config) creates: At<String>,
    /// Variables beside the app's own.
    pub(in crate::config) env: Option<BTreeMap<String, String>>,
}
