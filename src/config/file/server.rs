//! `[server]` and `[log]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::access::Access;
use super::shape::{At, OneOrMany};

/// The front door.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// Address, or list of addresses, as `"0.0.0.0:8080"`, `"[::]:8080"` or `"unix:/path"`.
    /// Default: `"0.0.0.0:8080"`.
    pub(crate) listen: Option<At<OneOrMany>>,
    /// The origin that browsers use, without a path. With `https://` cookies are `Secure`, also
    /// when TLS ends in front of the appliance. Default: `http://localhost:<port>`.
    pub(crate) public_url: Option<At<String>>,
    /// Keys, generated secrets, control socket; made with mode 0700. `STATE_DIRECTORY` overrides
    /// it. Default: `".appliance"`.
    pub(crate) state_dir: Option<At<String>>,
    /// `"per-app"`: each app that names no `user` runs as a user of its own, whose number (from 40000
    /// to 59999) follows from the name of the app; `check --expanded` shows it. Its `HOME` is a
    /// folder that it can write to. Only root can do that: otherwise all apps run as the user of the
    /// appliance. The variable `APPLIANCE_USERS` does the same. Default: the user of the appliance.
    pub(crate) users: Option<Users>,
    /// Networks whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed. Default: none.
    pub(crate) trusted_proxies: Option<Vec<At<String>>>,
    /// All header lines of a request together; over it 431. Default: `"32KiB"`.
    pub(crate) max_header_bytes: Option<At<String>>,
    /// For a whole request head; after it 408. Default: `"10s"`.
    pub(crate) header_timeout: Option<At<String>>,
    /// Between two requests of a connection. Default: `"75s"`.
    pub(crate) idle_timeout: Option<At<String>>,
    /// Longest pause inside a body: while a request's comes in, and while a client takes nothing of
    /// an answer's. A slow one may take as long as it likes. Default: `"30s"`.
    pub(crate) body_timeout: Option<At<String>>,
    /// The one budget of a stop. Default: `"8s"`.
    pub(crate) shutdown_timeout: Option<At<String>>,
    /// Who may see and use the operator page. Default: nobody.
    pub(crate) operators: Option<At<Access>>,
    /// Heading of the appliance's own pages.
    pub(crate) title: Option<String>,
    /// Image on them: a `data:` URL or a path of this origin.
    pub(crate) logo: Option<At<String>>,
    /// Whom to ask, shown on refusals: an address or a URL.
    pub(crate) contact: Option<String>,
}

/// The user of apps that name none.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Users {
    /// A user for each app.
    PerApp,
}

/// What is logged, and how.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    /// Default: `"text"`.
    pub(crate) format: Option<LogFormat>,
    /// Filter of the appliance's own lines: `off`, `error`, `warn`, `info`, `debug` or `trace`,
    /// also by target as in `"info,hyper=warn"`. Default: `"info"`.
    pub(crate) level: Option<At<String>>,
    /// One line for every request. Default: `true`.
    pub(crate) access: Option<bool>,
    /// Colours in text. Default: `"auto"`, on a terminal.
    pub(crate) color: Option<Color>,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// When text is coloured.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}
