//! The access log: one line for each request, written when its answer ends.

use std::net::IpAddr;
use std::time::Duration;

use tracing::Level;

use super::format::{Format, OURSELVES};

const NULL: &str = "null";

/// A request that has ended. Queries are not recorded: they carry codes and tokens.
#[derive(Debug, Clone)]
pub struct AccessRecord<'a> {
    /// Method.
    pub method: &'a str,
    /// `Host` as received.
    pub host: &'a str,
    /// Canonical path without query.
    pub path: &'a str,
    /// Status sent; 499 when the client left before.
    pub status: u16,
    /// Body bytes received.
    pub bytes_in: u64,
    /// Body bytes sent.
    pub bytes_out: u64,
    /// From the head to the end of the answer.
    pub duration: Duration,
    /// Until the upstream's head; `None` when none was asked.
    pub upstream: Option<Duration>,
    /// The routed app.
    pub app: Option<&'a str>,
    /// The pattern of the rule that matched.
    pub route_rule: Option<&'a str>,
    /// Who is signed in.
    pub user: Option<&'a str>,
    /// `allow`, `sign-in`, `deny`, `refuse`, …
    pub decision: &'a str,
    /// Why, when it is not `allow`.
    pub reason: Option<&'a str>,
    /// `X-Request-Id`.
    pub request_id: &'a str,
    /// The peer, or what a trusted proxy said.
    pub client_ip: Option<IpAddr>,
}

impl AccessRecord<'_> {
    /// The record as a line; its `app` is the routed one. In JSON every field is there, so that
    /// each line has the same shape; what is not known is null.
    pub(super) fn line(&self, format: Format) -> Vec<u8> {
        let mut entry = format.entry(self.app.unwrap_or(OURSELVES), Level::INFO, "request");
        entry.text("method", self.method);
        entry.text("host", self.host);
        entry.text("path", self.path);
        entry.bare("status", self.status);
        entry.bare("bytes_in", self.bytes_in);
        entry.bare("bytes_out", self.bytes_out);
        entry.bare("duration_ms", Millis(self.duration));
        match self.upstream {
            Some(upstream) => entry.bare("upstream_ms", Millis(upstream)),
            None if format.json => entry.bare("upstream_ms", NULL),
            None => {}
        }
        if let Some(app) = self.app.filter(|_| !format.json) {
            entry.text("app", app);
        }
        let client_ip = self.client_ip.map(|ip| ip.to_string());
        for (name, value) in [
            ("route_rule", self.route_rule),
            ("user", self.user),
            ("decision", Some(self.decision)),
            ("reason", self.reason),
            ("request_id", Some(self.request_id)),
            ("client_ip", client_ip.as_deref()),
        ] {
            match value {
                Some(value) => entry.text(name, value),
                None if format.json => entry.bare(name, NULL),
                None => {}
            }
        }
        entry.finish()
    }
}

/// Milliseconds with three decimals.
struct Millis(Duration);

impl std::fmt::Display for Millis {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{:03}", self.0.as_millis(), self.0.subsec_micros() % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Color, Log, LogFormat};

    fn line(format: LogFormat) -> String {
        let log = Log { format, level: String::new(), access: true, color: Color::Never };
        let record = AccessRecord {
            method: "GET",
            host: "localhost:8080",
            path: "/app1/\"x",
            status: 200,
            bytes_in: 0,
            bytes_out: 12,
            duration: Duration::from_micros(1250),
            upstream: None,
            app: Some("app1"),
            route_rule: None,
            user: Some("eve\n2026-11-24T10:00:00.123Z app2 | forged"),
            decision: "allow",
            reason: None,
            request_id: "r1",
            client_ip: Some(IpAddr::from([10, 0, 0, 1])),
        };
        String::from_utf8(record.line(Format::new(&log, false))).unwrap()
    }

    #[test]
    fn text_is_one_line_of_pairs() {
        let text = line(LogFormat::Text);
        assert_eq!(
            &text[24..],
            " appliance   | request method=GET host=localhost:8080 path=\"/app1/\\\"x\" status=200 \
             bytes_in=0 bytes_out=12 duration_ms=1.250 app=app1 \
             user=\"eve\\n2026-11-24T10:00:00.123Z app2 | forged\" decision=allow request_id=r1 \
             client_ip=10.0.0.1\n"
        );
    }

    #[test]
    fn json_has_the_routed_app_as_its_app() {
        let value: serde_json::Value = serde_json::from_str(&line(LogFormat::Json)).unwrap();
        assert_eq!(value["app"], "app1");
        assert_eq!(value["msg"], "request");
        assert_eq!(value["level"], "info");
        assert_eq!(value["duration_ms"], 1.25);
        assert_eq!(value["path"], "/app1/\"x");
        for unknown in ["upstream_ms", "route_rule", "reason"] {
            assert_eq!(value.get(unknown), Some(&serde_json::Value::Null), "{unknown}");
        }
    }
}
