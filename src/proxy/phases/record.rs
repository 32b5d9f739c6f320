//! The access record: one access line for each request, written when its response ends.
//!
//! A record starts with the request and is dropped with the response body, so the line is written
//! for every request. If the client leaves before the end of the response, the line has status 499.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::{Duration, SystemTime};

use http::uri::PathAndQuery;
use http::{HeaderValue, Method};
use tokio::time::Instant;

use super::detached;
use super::headers::trace_context::TraceContext;
use super::refusals::{Refusals, Refused, shortened};
use super::route::routed_app::RoutedApp;
use crate::auth::Person;
use crate::config::InFlight;
use crate::proxy::answer::cause::Cause;
use crate::telemetry::{AccessRecord, LogHandle, Span, rfc3339};

/// The status of the access line if the client left before the end of the response. No response has
/// this status.
const CLIENT_LEFT: u16 = 499;

/// The app closed its connection before the end of its response.
static BROKEN: Cause =
    Cause { code: "upstream_broke_off", text: Cow::Borrowed("the app broke off its response") };

/// The methods that a span names.
const STANDARD: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::PATCH,
    Method::DELETE,
    Method::OPTIONS,
];

/// The values of an access line, as far as they are known.
pub(crate) struct RequestRecord {
    pub started: Instant,
    pub method: Method,
    pub host: Option<HeaderValue>,
    /// The path and the query, canonical after `admit`. The log omits the query.
    pub target: Option<PathAndQuery>,
    /// Bytes of the request body. The body shares the cell and counts.
    pub bytes_in: Rc<Cell<u64>>,
    /// Bytes of the response body.
    pub bytes_out: u64,
    /// Time from sending the request to the head of the app's response.
    pub upstream: Option<Duration>,
    pub app: Option<Arc<RoutedApp>>,
    /// The request counts for its place, if its app has several.
    pub in_flight: Option<InFlight>,
    /// The number of the access rule that matched.
    pub rule: Option<usize>,
    pub person: Option<Arc<Person>>,
    /// The person was named by an access token.
    pub is_program: bool,
    pub decision: &'static str,
    /// Why the decision is not `allow`, or the response did not come to its end.
    pub cause: Option<Cause>,
    pub id: HeaderValue,
    pub trace: TraceContext,
    /// The span of the request.
    pub span: Span,
    pub client_ip: Option<IpAddr>,
    /// The status of the response; `None` until the response has started.
    pub status: Option<u16>,
    /// How the request uses its app.
    pub stage: Stage,
    /// The response was sent to its end.
    pub complete: bool,
    /// The app closed its connection before the end of its response.
    pub broken: bool,
    /// `None` if access lines are switched off.
    pub log: Option<LogHandle>,
    /// Where the request is remembered if it was refused: set with the refusal.
    pub refused: Option<Arc<Refusals>>,
}

/// How a request uses its app, which may be stopped while nobody uses it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The request has not reached the app: a stranger may have sent it.
    Apart,
    /// The app works on its response.
    Answered,
    /// The response lasts. Each piece that passes is a use, the time between two pieces is none.
    Lasts,
    /// The request has become a tunnel.
    Tunnel,
}

impl RequestRecord {
    /// `X-Request-Id` as text.
    pub(crate) fn id(&self) -> &str {
        self.id.to_str().unwrap_or_default()
    }

    /// The app that the request goes to.
    pub(crate) fn route_to(&mut self, app: Arc<RoutedApp>) {
        // A request that has waited through a reload is routed again: the app has kept its counts.
        if self.app.is_none() {
            app.traffic.begin();
        }
        self.app = Some(app);
    }

    /// The request is permitted, and sent to its app.
    pub(crate) fn reaches_app(&mut self) {
        self.stage = Stage::Answered;
    }

    /// The response pauses, and is not at its end.
    pub(crate) fn note_pause(&mut self) {
        if self.stage == Stage::Answered
            && let Some(app) = &self.app
            && app.sleeper().is_some()
        {
            app.traffic.begin_lasting();
            self.stage = Stage::Lasts;
        }
    }

    /// A piece of the response has passed. `listens`: the client only listens to what the app sends by
    /// itself.
    pub(crate) fn note_piece(&mut self, listens: bool, is_last: bool) {
        if !is_last {
            self.note_pause();
        }
        if self.stage == Stage::Lasts && !listens {
            self.note_use(Instant::now());
        }
    }

    fn note_use(&self, at: Instant) {
        if let Some(sleeper) = self.app.as_ref().and_then(|app| app.sleeper()) {
            sleeper.used(at);
        }
    }

    /// The request becomes a tunnel. Copies the values that point into the read buffer of the request, so that a long-lived tunnel
    /// does not keep the whole buffer in memory.
    pub(crate) fn detach(&mut self) {
        if let Some(app) = &self.app {
            app.traffic.begin_tunnel();
            self.stage = Stage::Tunnel;
        }
        self.note_use(Instant::now());
        self.host = self.host.as_ref().map(detached::header);
        self.target = self.target.as_ref().map(detached::target);
    }

    fn final_status(&self) -> u16 {
        match self.status {
            Some(status) if self.complete || self.broken => status,
            _ => CLIENT_LEFT,
        }
    }

    /// Writes into the span what is known of the request, by the names of OpenTelemetry. Queries are
    /// left out, as in the log.
    fn describe(&self, span: &Span, status: u16) {
        let route = self.app.as_ref().map(|app| app.route.path.as_str());
        // A client can invent methods, and a name must not have any number of values.
        let method = if STANDARD.contains(&self.method) { self.method.as_str() } else { "_OTHER" };
        span.rename(&format!("{method} {}", route.unwrap_or("appliance")));
        span.text("http.request.method", method);
        span.text("url.path", self.target.as_ref().map_or("", PathAndQuery::path));
        span.number("http.response.status_code", status);
        let app = self.app.as_ref().map(|app| app.name.as_str());
        let (host, client) = (self.host.as_ref(), self.client_ip.map(|ip| ip.to_string()));
        for (key, value) in [
            ("http.route", route),
            ("server.address", host.and_then(|host| host.to_str().ok())),
            ("client.address", client.as_deref()),
            ("appliance.app", app),
            ("appliance.decision", Some(self.decision)),
            ("appliance.request_id", Some(self.id())),
        ] {
            if let Some(value) = value {
                span.text(key, value);
            }
        }
        if status >= 500 {
            let text = self.cause.as_ref().map(|cause| &*cause.text);
            span.fail(text.unwrap_or("the response is an error"));
        }
    }

    fn refusal(&self) -> Refused {
        Refused {
            ts: rfc3339(SystemTime::now()).to_string(),
            user: self.person.as_ref().map(|person| shortened(&person.user)),
            app: self.app.as_ref().map(|app| app.name.to_string()),
            path: shortened(self.target.as_ref().map_or("", PathAndQuery::path)),
            reason: self.cause.as_ref().map(|cause| shortened(&cause.text)).unwrap_or_default(),
            request_id: self.id().to_owned(),
        }
    }

    fn write(&self, log: &LogHandle, status: u16, duration: Duration) {
        let cause = self.cause.as_ref().or(self.broken.then_some(&BROKEN));
        log.access(&AccessRecord {
            method: self.method.as_str(),
            host: self.host.as_ref().and_then(|host| host.to_str().ok()).unwrap_or_default(),
            path: self.target.as_ref().map_or("", PathAndQuery::path),
            status,
            bytes_in: self.bytes_in.get(),
            bytes_out: self.bytes_out,
            duration,
            upstream: self.upstream,
            app: self.app.as_ref().map(|app| app.name.as_str()),
            route_rule: self.rule.and_then(|rule| {
                let rules = &self.app.as_ref()?.route.rules;
                rules.get(rule).map(|rule| rule.path.text())
            }),
            user: self.person.as_ref().map(|person| person.user.as_str()),
            azp: self.person.as_ref().filter(|_| self.is_program).and_then(|one| one.client()),
            decision: self.decision,
            reason: cause.map(|cause| &*cause.text),
            reason_code: cause.map(|cause| cause.code),
            request_id: self.id(),
            client_ip: self.client_ip,
            trace_id: self.trace.id(),
        });
    }
}

impl Drop for RequestRecord {
    fn drop(&mut self) {
        let (status, duration) = (self.final_status(), self.started.elapsed());
        match (&self.app, self.stage) {
            (Some(app), Stage::Lasts) => app.traffic.end_lasting(),
            (Some(_), Stage::Answered) => {
                self.note_use(self.started + duration);
                // Who sees that the request has ended also sees this use.
                fence(Ordering::Release);
            }
            _ => {}
        }
        match &self.app {
            Some(app) if self.stage == Stage::Tunnel => app.traffic.end_tunnel(status),
            Some(app) => app.traffic.end(status, duration),
            None => {}
        }
        self.span.describe(|span| self.describe(span, status));
        // A refresh that outlasts the request holds the span as well.
        self.span.end();
        if let Some(refusals) = &self.refused {
            refusals.note(self.refusal());
        }
        if let Some(log) = &self.log {
            self.write(log, status, duration);
        }
    }
}

impl fmt::Debug for RequestRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestRecord").field("id", &self.id).finish_non_exhaustive()
    }
}
