//! `identity`: the headers that carry the identity to the app.

use super::context::Check;
use crate::config::file::{self, At, FlagOr};
use crate::config::grammar;
use crate::config::model::Identity;

impl Check<'_, '_> {
    /// `None` if the app gets no identity.
    pub(super) fn identity(&mut self, at: Option<&At<FlagOr<file::Identity>>>) -> Option<Identity> {
        let Some(at) = at else { return Some(default_identity()) };
        let table = match &at.value {
            FlagOr::Flag(false) => return None,
            FlagOr::Flag(true) => return Some(default_identity()),
            FlagOr::Table(table) => table,
        };
        let mut seen = Vec::new();
        let mut header = |at: &Option<At<String>>| {
            let name = self.parse_some(at.as_ref(), identity_header)?;
            if seen.contains(&name) {
                let span = at.as_ref().map(|at| at.span.clone()).unwrap_or_default();
                self.problems.error(
                    &span,
                    format!("identity: `{name}` is used twice; use a different header for each"),
                );
            }
            seen.push(name.clone());
            Some(name)
        };
        let identity = Identity {
            user: header(&table.user),
            email: header(&table.email),
            groups: header(&table.groups),
            preferred_username: header(&table.preferred_username),
            name: header(&table.name),
            access_token: header(&table.access_token),
            assertion: header(&table.assertion),
        };
        if seen.is_empty() && !self.problems.any_within(&at.span) {
            let help = "write `identity = false` to send no identity";
            self.problems.error_with_help(&at.span, "identity names no header", help);
        }
        Some(identity)
    }
}

fn default_identity() -> Identity {
    let header = |part: &str| Some(format!("x-forwarded-{part}"));
    Identity {
        user: header("user"),
        email: header("email"),
        groups: header("groups"),
        preferred_username: header("preferred-username"),
        name: None,
        access_token: None,
        assertion: None,
    }
}

/// Headers that frame or route a message, or that the appliance sets itself.
const RESERVED: [&str; 32] = [
    "host",
    "cookie",
    "set-cookie",
    "connection",
    "keep-alive",
    "transfer-encoding",
    "te",
    "trailer",
    "upgrade",
    "expect",
    "proxy",
    "authorization",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-server",
    "x-real-ip",
    "x-request-id",
    "origin",
    "referer",
    "range",
    "date",
    "via",
    "accept",
    "user-agent",
    "location",
    "cache-control",
    "max-forwards",
    "x-appliance-token-handle",
];

/// The name of a header that can carry a part of the identity, in lower case.
pub(crate) fn identity_header(text: &str) -> grammar::Parsed<String> {
    let name = grammar::header(text).map_err(|why| format!("identity: {why}"))?;
    let family = ["content-", "proxy-", "sec-", "if-", "access-control-", "accept-"];
    if RESERVED.contains(&&*name) || family.iter().any(|start| name.starts_with(start)) {
        return Err(format!(
            "identity: `{text}` is a reserved header; choose a name such as `X-User`"
        ));
    }
    Ok(name)
}
