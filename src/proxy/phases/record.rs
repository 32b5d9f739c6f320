//! One access line for each request, written when its answer ends.
//!
//! A record is begun with the request and dropped with the answer, whatever way that goes: a
//! client that left earlier is a 499.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use tokio::time::Instant;

use super::route::target::Target;
use crate::auth::Person;
use crate::telemetry::{AccessRecord, LogHandle};

/// The client left before the answer ended; for the log only.
const CLIENT_LEFT: u16 = 499;

const BROKEN: &str = "the app broke its answer off";

/// What is known of a request so far.
pub(crate) struct Record {
    pub started: Instant,
    pub method: Method,
    pub host: Option<HeaderValue>,
    pub target: Option<PathAndQuery>,
    /// Shared with the body that counts.
    pub bytes_in: Rc<Cell<u64>>,
    pub bytes_out: u64,
    pub upstream: Option<Duration>,
    pub app: Option<Arc<Target>>,
    pub rule: Option<usize>,
    pub person: Option<Arc<Person>>,
    pub decision: &'static str,
    pub reason: Option<Cow<'static, str>>,
    pub id: HeaderValue,
    pub client_ip: Option<IpAddr>,
    /// Of the answer, once there is one.
    pub status: Option<u16>,
    /// The answer was sent to its end.
    pub complete: bool,
    /// The app broke its answer off.
    pub broken: bool,
    /// `None` when requests are not logged.
    pub log: Option<LogHandle>,
}

impl Record {
    /// `X-Request-Id` as text.
    pub(crate) fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    /// Lets go of the buffer that the request came in: what lives on with a tunnel must not keep
    /// it.
    pub(crate) fn detach(&mut self) {
        self.host = self.host.take().and_then(|host| HeaderValue::from_bytes(host.as_bytes()).ok());
        self.target = self.target.take().and_then(|target| target.as_str().parse().ok());
    }

    fn write(&self, log: &LogHandle) {
        let status = match self.status {
            Some(status) if self.complete || self.broken => status,
            _ => CLIENT_LEFT,
        };
        log.access(&AccessRecord {
            method: self.method.as_str(),
            host: self.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default(),
            path: self.target.as_ref().map_or("", PathAndQuery::path),
            status,
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out,
            duration: self.started.elapsed(),
            upstream: self.upstream,
            app: self.app.as_ref().map(|app| app.name.as_str()),
            route_rule: self.rule.and_then(|rule| {
                let rules = &self.app.as_ref()?.route.rules;
                rules.get(rule).map(|rule| rule.path.text())
            }),
            user: self.person.as_ref().map(|person| person.user.as_str()),
            decision: self.decision,
            reason: self.reason.as_deref().or(self.broken.then_some(BROKEN)),
            request_id: self.id(),
            client_ip: self.client_ip,
        });
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(log) = &self.log {
            self.write(log);
        }
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Record").field("id", &self.id).finish_non_exhaustive()
    }
}
