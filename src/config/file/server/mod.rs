//! `[server]` and `[log]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::access::Access;
use super::shape::{At, FlagOrText, OneOrMany, OneOrManyTables, TextOr};

mod rate_limit;
mod tls;

pub(crate) use rate_limit::RateLimit;
pub(crate) use tls::{Acme, Tls};

/// Addresses, limits and pages of the appliance itself.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Server {
    /// Address that the appliance listens on, or a list of addresses. A unix socket is written
    /// `unix:/path`.
    ///
    /// Type: address or list of addresses. Default: `"0.0.0.0:8080"`. Example: `["[::]:8080",
    /// "unix:/run/appliance.sock"]`.
    pub(crate) listen: Option<At<OneOrMany>>,
    /// The origin that browsers use: scheme, host and port, no path. With `https://`, session
    /// cookies are `Secure` and have the prefix `__Host-`, also when a proxy in front of the
    /// appliance terminates TLS. Requests for another host get 421, unless an app has this `host`.
    /// If the first listener has port 0, this key is required.
    ///
    /// Type: URL. Default: `http://localhost:PORT` with the first port of `listen`, or `https://` with
    /// `tls`. Example:
    /// `"https://apps.example.org"`.
    pub(crate) public_url: Option<At<String>>,
    /// Certificates for https: every TCP address of `listen` then speaks only TLS (1.2 and 1.3), and
    /// `public_url` begins with `https://`. Of several certificates, the one with the name that the
    /// browser asks for is shown, or the first one. Changed files are used within five seconds. Without
    /// this key and `redirect_http`, a certificate in the folder of the variable `APPLIANCE_TLS`
    /// (`fullchain.pem` and `privkey.pem`, or `tls.crt` and `tls.key`) switches https on: port 8443
    /// speaks it, and the first address of `listen` redirects. See [docs/https.md](https.md).
    ///
    /// Type: table with `cert` and `key`, a list of such tables, `{ internal = true }`, or `{ acme = {
    /// … } }`. Default: no TLS. Example: `{ cert = "tls/fullchain.pem", key = "tls/privkey.pem" }`.
    pub(crate) tls: Option<At<OneOrManyTables<Tls>>>,
    /// Address that answers every request with a redirect (308) to the same path of `public_url`,
    /// which must begin with `https://`.
    ///
    /// Type: address. Default: none. Example: `"0.0.0.0:8080"`.
    pub(crate) redirect_http: Option<At<String>>,
    /// Tells browsers to open this host only by https for this long (`Strict-Transport-Security`);
    /// `true` is a year. Browsers remember it: begin with a short time. `public_url` must begin with
    /// `https://`.
    ///
    /// Type: boolean or duration. Default: `false`. Example: `"1d"`.
    pub(crate) hsts: Option<At<FlagOrText>>,
    /// Offers HTTP/2 to clients over TLS (by ALPN). WebSockets use HTTP/1.1 in any case, and so do the apps.
    ///
    /// Type: boolean. Default: `true`. Example: `false`.
    pub(crate) http2: Option<bool>,
    /// Accepts HTTP/2 without TLS, from clients that know of it beforehand, such as a load balancer in front.
    /// Browsers do not speak it.
    ///
    /// Type: boolean. Default: `false`. Example: `true`.
    pub(crate) h2c: Option<bool>,
    /// Folder for keys, generated secrets, ended sessions and the control socket; created with mode
    /// 0700. Only one appliance can use a folder at a time. The variable `STATE_DIRECTORY`
    /// overrides this key.
    ///
    /// Type: path. Default: `".appliance"`. Example: `"/var/lib/appliance"`.
    pub(crate) state_dir: Option<At<String>>,
    /// User of the apps that name no `user`. With `"per-app"` each of these apps runs as a user of
    /// its own. The number of this user follows from the name of the app and lies between 40000 and
    /// 59999; `appliance check --expanded` shows it. The user needs no entry in the user database;
    /// its `HOME` is a private folder that the appliance creates. Only root can change users: an
    /// appliance that does not run as root runs all apps as its own user. The environment variable
    /// `APPLIANCE_USERS=per-app` has the same effect.
    ///
    /// Type: string. Default: the user of the appliance. Example: `"per-app"`.
    pub(crate) users: Option<Users>,
    /// Networks of proxies in front of the appliance. Their `X-Forwarded-For`,
    /// `X-Forwarded-Proto` and `X-Forwarded-Host` headers are trusted; from any other peer these
    /// headers are ignored. If the proxy says that a page was requested by http and `public_url` is
    /// https, the browser is redirected to https. If the `Host` is unknown, the last element of
    /// `X-Forwarded-Host` counts as the `Host`.
    ///
    /// Type: list of networks. Default: `[]`. Example: `["10.0.0.0/8", "::1"]`.
    pub(crate) trusted_proxies: Option<Vec<At<String>>>,
    /// The proxies of `trusted_proxies` name the client of each TCP connection in a header of the PROXY
    /// protocol (version 1 or 2), before TLS. Limits, log and headers then have the client's address. A
    /// connection of these proxies without the header is closed; any other peer sends none. See
    /// [docs/behind-a-proxy.md](behind-a-proxy.md#a-proxy-that-does-not-read-http).
    ///
    /// Type: boolean. Default: `false`. Example: `true`.
    pub(crate) proxy_protocol: Option<At<bool>>,
    /// Client connections that may be open at the same time. Over the limit the connection that has
    /// been idle for longest is closed; a request in flight or a WebSocket never is. A connection is
    /// idle until the whole head of a request has arrived. If no connection is idle, the new one gets
    /// 503. Apps with users of their own get at most three
    /// quarters of the places as clients. The limit of open files (`RLIMIT_NOFILE`) can lower this
    /// number: descriptors for apps and commands are kept free.
    ///
    /// Type: integer. Default: `10000`. Example: `2000`.
    pub(crate) max_connections: Option<At<i64>>,
    /// Connections of one client that may be open at the same time; over it as over
    /// `max_connections`. A client is an IPv4 address or the /64 network of an IPv6 address. Behind a
    /// proxy the address of the proxy counts, so this limit would be one for all clients, unless the proxy
    /// names them by `proxy_protocol`.
    ///
    /// Type: integer. Default: no limit. Example: `100`.
    pub(crate) max_connections_per_ip: Option<At<i64>>,
    /// Requests that one client may send in a second (`/s`), a minute (`/m`) or an hour (`/h`), and at once
    /// after a pause (`burst`, by default as many as in that time). More get 429 with `Retry-After`. A
    /// client is what a proxy of `trusted_proxies` names, or the peer of the connection: an IPv4 address
    /// or the /64 network of an IPv6 address. People behind one address share the limit, so leave room.
    /// Health checks have no limit. Logins always have one: 20 in a second, 200 at once.
    ///
    /// Type: string, or table with `rate` and `burst`. Default: no limit. Example:
    /// `{ rate = "50/s", burst = 200 }`.
    pub(crate) rate_limit: Option<At<TextOr<RateLimit>>>,
    /// Largest total size of the header lines of a request. A larger request gets 431. From `1KiB`
    /// to `1MiB`.
    ///
    /// Type: size. Default: `"32KiB"`. Example: `"64KiB"`.
    pub(crate) max_header_bytes: Option<At<String>>,
    /// Time for a whole request head. A slower request gets 408 and its connection is closed.
    ///
    /// Type: duration. Default: `"10s"`.
    pub(crate) header_timeout: Option<At<String>>,
    /// How long a connection may be idle between two requests before it is closed.
    ///
    /// Type: duration. Default: `"75s"`.
    pub(crate) idle_timeout: Option<At<String>>,
    /// Longest pause within the body of a request. A request whose body stops for this long gets
    /// 408. A client that no longer acknowledges data of a response is disconnected after this
    /// time. The whole body may take any time.
    ///
    /// Type: duration. Default: `"30s"`.
    pub(crate) body_timeout: Option<At<String>>,
    /// How long a client may accept no data of a response before it is disconnected, for example
    /// while a download or a video is paused. The whole response may take any time.
    ///
    /// Type: duration. Default: `"5m"`. Example: `"30m"`.
    pub(crate) send_timeout: Option<At<String>>,
    /// Compresses texts of apps that any cache may keep (`Cache-Control: public` or `immutable`) with
    /// zstd, brotli or gzip, as the browser accepts them. Pages and data of signed-in people are never
    /// compressed: their length would tell a part of their content.
    ///
    /// Type: boolean. Default: `true`.
    pub(crate) compression: Option<bool>,
    /// Time budget of a stop: finish requests, close WebSockets, stop the apps, write the log. Then
    /// the remaining processes are killed.
    ///
    /// Type: duration. Default: `"8s"`. Example: `"25s"`.
    pub(crate) shutdown_timeout: Option<At<String>>,
    /// Apps that may be `starting` at the same time; the others wait for a place. The issuer, the apps
    /// that it needs and the apps that others wait for come first. A place is free again when its
    /// app is ready, has failed or has ended. `appliance start` and `restart` need no place.
    ///
    /// Type: integer. Default: twice the number of processor cores. Example: `2`.
    pub(crate) parallel_starts: Option<At<i64>>,
    /// Address of `/metrics`, for Prometheus: requests, apps, sessions, memory. Clients on this machine
    /// may read it. If the address is reachable from elsewhere, clients from there get 403 unless
    /// `operators` admits them and they are signed in. See [docs/metrics.md](metrics.md).
    ///
    /// Type: address. Default: none. Example: `"127.0.0.1:9464"`.
    pub(crate) metrics: Option<At<String>>,
    /// Who may open the console `/_appliance/apps`, which shows the state and the log of all apps and
    /// starts, stops and restarts them, and who may see and end the sessions of everybody. Takes
    /// the same values as `access` of an app, except `"public"`. Needs `[oidc]`.
    ///
    /// Type: access policy. Default: nobody. Example: `{ groups = ["operators"] }`.
    pub(crate) operators: Option<At<Access>>,
    /// Heading of the portal, the sign-in page and the error pages.
    ///
    /// Type: string. Default: none. Example: `"Data team"`.
    pub(crate) title: Option<String>,
    /// Image on the portal, the sign-in page and the error pages: an SVG or PNG file (relative to the
    /// folder of the file, at most 128 KiB, read at the start), a path of the same origin that begins
    /// with `/`, or a `data:image/…` URL. Images from other sites are refused.
    ///
    /// Type: path or URL. Default: none. Example: `"logo.svg"`.
    pub(crate) logo: Option<At<String>>,
    /// Color of buttons and links on the portal, the sign-in page and the error pages. Where the color
    /// would be hard to read, for example yellow links on white, the pages use a darker or a lighter
    /// shade.
    ///
    /// Type: color. Default: `"#1f5fbf"`, and `"#7fb0ff"` in dark mode. Example: `"#7a1fa2"`.
    pub(crate) color: Option<At<String>>,
    /// Whom people can ask, shown on error pages: an e-mail address or a URL.
    ///
    /// Type: string. Default: none. Example: `"help@example.org"`.
    pub(crate) contact: Option<String>,
}

/// User of the apps that name no `user`.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Users {
    /// A user for each app.
    PerApp,
}

/// The log on stdout: the output of the apps, the appliance's own lines and the requests.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Log {
    /// Format of the log: `text` for people, `json` for one JSON object per line.
    ///
    /// Type: `"text"` or `"json"`. Default: `"text"`.
    pub(crate) format: Option<LogFormat>,
    /// Filter for the appliance's own lines: `off`, `error`, `warn`, `info`, `debug` or `trace`. A
    /// level for one target follows after a comma. The output of the apps is not filtered.
    ///
    /// Type: string. Default: `"info"`. Example: `"info,hyper=warn"`.
    pub(crate) level: Option<At<String>>,
    /// Write one line for each request. The lines contain no query strings.
    ///
    /// Type: boolean. Default: `true`.
    pub(crate) access: Option<bool>,
    /// Colour the log in text format. `auto` uses colours if stdout is a terminal.
    ///
    /// Type: `"auto"`, `"always"` or `"never"`. Default: `"auto"`.
    pub(crate) color: Option<Color>,
}

/// Format of the log.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

/// When the log in text format is coloured.
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
