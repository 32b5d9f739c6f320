//! The access log: one line for each request, written when its answer ends.

use std::net::IpAddr;

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
    pub duration_ms: f64,
    /// Until the upstream's head; `None` when none was asked.
    pub upstream_ms: Option<f64>,
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
