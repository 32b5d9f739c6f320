//! `[server]`, `[log]` and `[alerts]`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::check::context::{Check, absolute};
use crate::config::file::{self, At};
use crate::config::grammar;
use crate::config::model::{
    Access, AlertEvent, AlertFormat, Alerts, Color, Listen, Log, LogFormat, PublicUrl,
    SecretSource, Server,
};
use crate::config::read::interpolate::Lookup;
use crate::config::report::suggest;

mod logo;
mod rate_limit;
mod tls;

use tls::Doors;

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

/// Values of `max_connections` and `max_connections_per_ip`.
const CONNECTIONS: std::ops::RangeInclusive<i64> = 1..=1_000_000;

impl Check<'_, '_> {
    pub(super) fn server(&mut self, file: file::Server, lookup: Lookup<'_>) -> Server {
        let listen = self.listen(file.listen.as_ref());
        let Doors { listen, tls, redirect_http } = self.doors(&file, listen, lookup);
        let public_url = self
            .parse_some(file.public_url.as_ref(), grammar::public_url)
            .unwrap_or_else(|| default_public_url(&listen, tls.is_some()));
        self.needs_https(&file, tls.is_some(), &public_url);
        // With port 0, the address for browsers is unknown until the listener is bound.
        if file.public_url.is_none() && public_url.port == 0 {
            let first = file.listen.as_ref().and_then(|listen| listen.0.first());
            if let Some(at) = first {
                self.problems.error(
                    &at.span,
                    "a listener on port 0 needs a `public_url`; set it to the address that browsers use",
                );
            }
        }
        let proxy_protocol = self.proxy_protocol(&file);
        Server {
            listen,
            public_url,
            tls,
            redirect_http,
            http2: file.http2.unwrap_or(true),
            h2c: file.h2c.unwrap_or(false),
            hsts: self.hsts(file.hsts.as_ref()),
            state_dir: self.state_dir(file.state_dir.as_ref(), lookup),
            users: self.users(file.users, lookup),
            trusted_proxies: file
                .trusted_proxies
                .unwrap_or_default()
                .iter()
                .filter_map(|at| self.parse_some(Some(at), grammar::network))
                .collect(),
            proxy_protocol,
            max_connections: self
                .number(file.max_connections.as_ref(), CONNECTIONS, "max_connections")
                .unwrap_or(10_000),
            max_connections_per_ip: self.number(
                file.max_connections_per_ip.as_ref(),
                CONNECTIONS,
                "max_connections_per_ip",
            ),
            rate_limit: file.rate_limit.as_ref().and_then(|at| self.rate_limit(at)),
            max_header_bytes: self.parse(file.max_header_bytes.as_ref(), 32 * 1024, header_bytes),
            header_timeout: self.positive(file.header_timeout.as_ref(), Duration::from_secs(10)),
            idle_timeout: self.positive(file.idle_timeout.as_ref(), Duration::from_secs(75)),
            body_timeout: self.positive(file.body_timeout.as_ref(), Duration::from_secs(30)),
            send_timeout: self.positive(file.send_timeout.as_ref(), Duration::from_mins(5)),
            compression: file.compression.unwrap_or(true),
            shutdown_timeout: self.positive(file.shutdown_timeout.as_ref(), Duration::from_secs(8)),
            parallel_starts: self.number(
                file.parallel_starts.as_ref(),
                1..=10_000,
                "parallel_starts",
            ),
            metrics: self.parse_some(file.metrics.as_ref(), metrics),
            operators: file.operators.as_ref().and_then(|at| self.operators(at)),
            title: file.title,
            logo: self.logo(file.logo.as_ref()),
            color: self.parse_some(file.color.as_ref(), grammar::color),
            contact: file.contact,
        }
    }

    /// Only known proxies may name clients: anybody else could name any address.
    fn proxy_protocol(&mut self, file: &file::Server) -> bool {
        let Some(at) = file.proxy_protocol.as_ref().filter(|at| at.value) else { return false };
        let has_proxies = file.trusted_proxies.as_ref().is_some_and(|list| !list.is_empty());
        if !has_proxies && !self.cut_out.any("server", &["trusted_proxies"]) {
            self.problems.error_with_help(
                &at.span,
                "`proxy_protocol` needs `trusted_proxies`",
                "name the networks of the proxies that send the header",
            );
        }
        true
    }

    fn listen(&mut self, file: Option<&At<file::OneOrMany>>) -> Vec<Listen> {
        let Some(file) = file else {
            return vec![Listen::Tcp(([0, 0, 0, 0], 8080).into())];
        };
        if file.0.is_empty() {
            let help = "write an address, or remove the key for `0.0.0.0:8080`";
            self.problems.error_with_help(&file.span, "`listen` is an empty list", help);
        }
        let mut found: Vec<Listen> = Vec::new();
        for at in &file.0 {
            let Some(address) = self.parse_some(Some(at), grammar::listen) else { continue };
            let address = match address {
                Listen::Unix(path) => Listen::Unix(self.dir.join(path)),
                tcp @ Listen::Tcp(_) => tcp,
            };
            if found.contains(&address) {
                self.problems
                    .error(&at.span, format!("`{}` is listed twice; keep only one", at.value));
            } else {
                found.push(address);
            }
        }
        found
    }

    pub(super) fn state_dir(&mut self, file: Option<&At<String>>, lookup: Lookup<'_>) -> PathBuf {
        let written = file.map(|at| self.path(at));
        self.given_dir("STATE_DIRECTORY", lookup)
            .or(written)
            .unwrap_or_else(|| self.dir.join(".appliance"))
    }

    /// A directory that systemd or an image passes in a variable.
    pub(super) fn given_dir(&self, variable: &str, lookup: Lookup<'_>) -> Option<PathBuf> {
        // systemd separates several directories with colons; the first one is used.
        lookup(variable)
            .and_then(|list| list.split(':').next().map(str::to_owned))
            .filter(|dir| !dir.is_empty())
            .map(|dir| absolute(self.dir, &dir))
    }

    pub(in crate::config::check) fn operators(&mut self, at: &At<file::Access>) -> Option<Access> {
        let access = self.access(at)?;
        if access == Access::Public {
            self.problems.error_with_help(
                &at.span,
                "the console cannot be public",
                "write for example `{ groups = [\"operators\"] }`",
            );
        }
        Some(access)
    }

    pub(super) fn log(&mut self, file: &file::Log) -> Log {
        Log {
            format: match file.format {
                Some(file::LogFormat::Json) => LogFormat::Json,
                Some(file::LogFormat::Text) | None => LogFormat::Text,
            },
            level: self.parse(file.level.as_ref(), "info".to_owned(), level),
            access: file.access.unwrap_or(true),
            color: match file.color {
                Some(file::Color::Always) => Color::Always,
                Some(file::Color::Never) => Color::Never,
                Some(file::Color::Auto) | None => Color::Auto,
            },
        }
    }

    pub(super) fn alerts(&mut self, at: &At<file::Alerts>) -> Option<Alerts> {
        if at.webhook.is_none() && !self.cut_out.any("alerts", &["webhook"]) {
            self.problems.error_with_help(
                &at.span,
                "[alerts] needs a `webhook`",
                "write `webhook = { env = \"NAME\" }` or `{ file = \"path\" }`: the URL is a secret",
            );
        }
        let events = match &at.events {
            Some(events) if events.value.is_empty() => {
                self.problems.error_with_help(
                    &events.span,
                    "`events` is empty, so nothing would cause an alert",
                    "name at least one event, or remove [alerts]",
                );
                Vec::new()
            }
            Some(events) => events.value.iter().map(|event| alert_event(*event)).collect(),
            None => vec![AlertEvent::Failed, AlertEvent::Issuer, AlertEvent::Certificate],
        };
        let webhook = at.webhook.as_ref()?;
        let source = self.secret(&webhook.value, &webhook.span)?;
        if matches!(source, SecretSource::Generate(_)) {
            self.problems.error_with_help(
                &webhook.span,
                "the URL of a webhook cannot be generated",
                "write `{ env = \"NAME\" }` or `{ file = \"path\" }`",
            );
        }
        let format = match at.format {
            Some(file::AlertFormat::Slack) => AlertFormat::Slack,
            Some(file::AlertFormat::Json) | None => AlertFormat::Json,
        };
        Some(Alerts { webhook: source, events, format })
    }
}

fn alert_event(event: file::AlertEvent) -> AlertEvent {
    match event {
        file::AlertEvent::Failed => AlertEvent::Failed,
        file::AlertEvent::Restarted => AlertEvent::Restarted,
        file::AlertEvent::Memory => AlertEvent::Memory,
        file::AlertEvent::Unready => AlertEvent::Unready,
        file::AlertEvent::Issuer => AlertEvent::Issuer,
        file::AlertEvent::Certificate => AlertEvent::Certificate,
    }
}

fn header_bytes(text: &str) -> grammar::Parsed<usize> {
    match usize::try_from(grammar::size(text)?) {
        Ok(bytes @ 1024..=1_048_576) => Ok(bytes),
        _ => Err("max_header_bytes is out of range; write a size from `1KiB` to `1MiB`".to_owned()),
    }
}

fn metrics(text: &str) -> grammar::Parsed<SocketAddr> {
    match grammar::listen(text) {
        Ok(Listen::Tcp(address)) if address.port() != 0 => Ok(address),
        _ => Err(format!(
            "`{text}` is not an address with a port; write for example `127.0.0.1:9464`"
        )),
    }
}

fn default_public_url(listen: &[Listen], secure: bool) -> PublicUrl {
    let default = if secure { 443 } else { 80 };
    let port = listen.iter().find_map(Listen::tcp).map_or(default, |address| address.port());
    PublicUrl { secure, host: "localhost".to_owned(), port }
}

/// `info`, or `info,hyper=warn`. Stricter than the log's filter, which would read a misspelt level
/// as the name of a target.
fn level(text: &str) -> grammar::Parsed<String> {
    for part in text.split(',') {
        let level = part.rsplit_once('=').map_or(part, |(_, level)| level).trim();
        if !LEVELS.contains(&level) {
            let help = suggest::help(level, &LEVELS);
            return Err(format!("`{level}` is not a log level; {help}"));
        }
    }
    Ok(text.to_owned())
}

/// An image of the portal or of an error page. The pages load nothing from other sites.
pub(super) fn image(text: &str) -> grammar::Parsed<String> {
    let own = text.starts_with('/') && !text.starts_with("//");
    if own || text.starts_with("data:image/") {
        Ok(text.to_owned())
    } else {
        Err("images from other sites are not allowed; write a path of this origin, for example `/app/logo.svg`, or a `data:image/…` URL".to_owned())
    }
}
