//! The access log: one line per request, written when the response ends.

use std::net::IpAddr;
use std::time::Duration;

use tracing::Level;

use super::format::{APPLIANCE, Format};

const NULL: &str = "null";

/// A request that has ended. Queries are not recorded, because they may contain codes and tokens.
#[derive(Debug, Clone)]
pub struct AccessRecord<'a> {
    /// Method.
    pub method: &'a str,
    /// `Host` as received.
    pub host: &'a str,
    /// Canonical path without the query.
    pub path: &'a str,
    /// Status that was sent; 499 if the client disconnected before.
    pub status: u16,
    /// Body bytes received.
    pub bytes_in: u64,
    /// Body bytes sent.
    pub bytes_out: u64,
    /// Time from the request head to the end of the response.
    pub duration: Duration,
    /// Time until the upstream's response head; `None` if no upstream was asked.
    pub upstream: Option<Duration>,
    /// Name of the routed app.
    pub app: Option<&'a str>,
    /// Pattern of the rule that matched.
    pub route_rule: Option<&'a str>,
    /// User name of the person who is signed in.
    pub user: Option<&'a str>,
    /// `allow`, `sign-in`, `deny`, `refuse`, …
    pub decision: &'a str,
    /// Reason of a decision other than `allow`.
    pub reason: Option<&'a str>,
    /// The reason as a word for programs.
    pub reason_code: Option<&'a str>,
    /// The client that an access token was issued to.
    pub azp: Option<&'a str>,
    /// `X-Request-Id`.
    pub request_id: &'a str,
    /// Address of the peer, or the address that a trusted proxy forwarded.
    pub client_ip: Option<IpAddr>,
    /// The trace id of `traceparent`; a client can choose it.
    pub trace_id: &'a str,
}

impl AccessRecord<'_> {
    /// The record as a line about the routed app. In JSON every field is present, so that all lines
    /// have the same shape; an unknown value is null.
    pub(super) fn line(&self, format: Format) -> Vec<u8> {
        let mut entry = format.entry(self.app.unwrap_or(APPLIANCE), Level::INFO, "request");
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
        if let Some(azp) = self.azp {
            entry.text("azp", azp);
        }
        let client_ip = self.client_ip.map(|ip| ip.to_string());
        for (name, value) in [
            ("route_rule", self.route_rule),
            ("user", self.user),
            ("decision", Some(self.decision)),
            ("reason", self.reason),
            ("reason_code", self.reason_code),
            ("request_id", Some(self.request_id)),
            ("client_ip", client_ip.as_deref()),
            ("trace_id", Some(self.trace_id)),
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
            reason_code: None,
            azp: None,
            request_id: "r1",
            client_ip: Some(IpAddr::from([10, 0, 0, 1])),
            trace_id: "t1",
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
             client_ip=10.0.0.1 trace_id=t1\n"
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
        for unknown in ["upstream_ms", "route_rule", "reason", "reason_code"] {
            assert_eq!(value.get(unknown), Some(&serde_json::Value::Null), "{unknown}");
        }
    }
}
