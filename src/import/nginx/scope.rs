//! What holds in a `location`: directives of its own, and those that it inherits.

use super::directive::{Directive, named};
use crate::import::draft::Table;
use crate::import::identity::identity;
use crate::import::route::Access;

/// The inherited directives.
#[derive(Debug, Clone, Default)]
pub(super) struct Scope {
    /// The argument of `auth_request`; `None` for `off`.
    pub(super) auth: Option<String>,
    headers: Vec<(String, String)>,
    /// Variables by `auth_request_set`, and the headers that they are from.
    answers: Vec<(String, String)>,
    /// Variables by `set`.
    pub(super) variables: Vec<(String, String)>,
    max_body: Option<String>,
    read_timeout: Option<String>,
    /// A restriction that the appliance does not know: `deny`, `auth_basic`, …
    pub(super) is_closed: bool,
}

impl Scope {
    /// The scope of a block within this one.
    pub(super) fn within(&self, block: &[Directive]) -> Self {
        let mut scope = self.clone();
        let last = |name: &'static str| {
            block.iter().rev().find(|d| d.name == name).map(|directive| directive.arg(0).to_owned())
        };
        if let Some(auth) = last("auth_request") {
            scope.auth = Some(auth).filter(|auth| auth != "off");
        }
        let pairs = |name: &'static str| {
            named(block, name).map(|d| (d.arg(0).to_owned(), d.arg(1).to_owned()))
        };
        // nginx inherits these lists only as a whole.
        let headers: Vec<_> = pairs("proxy_set_header").collect();
        if !headers.is_empty() {
            scope.headers = headers;
        }
        scope.answers.extend(pairs("auth_request_set"));
        scope.variables.extend(pairs("set"));
        scope.max_body = last("client_max_body_size").or(scope.max_body);
        scope.read_timeout = last("proxy_read_timeout").or(scope.read_timeout);
        scope.is_closed |= block.iter().any(is_restriction);
        scope
    }

    /// Sets what the scope says about every route.
    pub(super) fn settings(&self, table: &mut Table, place: &str) {
        if let Some(size) = self.max_body.as_deref().and_then(size) {
            table.set("max_body", size);
        }
        let is_upgrade = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("upgrade"));
        // For WebSockets the time is that between two messages, which the appliance does not limit.
        if let Some(time) = self.read_timeout.as_deref().and_then(seconds).filter(|_| !is_upgrade) {
            table.set("timeout", time);
        }
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in &self.headers {
            let answer = self.answers.iter().find(|(variable, _)| variable == value);
            let Some((_, source)) = answer else {
                if value.starts_with("$upstream_http_") || !is_usual(name) {
                    table.missing(place, format!("`proxy_set_header {name}`: apps get who is signed in by `identity`, and nothing else"));
                }
                continue;
            };
            match part(source) {
                Some(part) if crate::config::is_identity_header(name) => {
                    pairs.push((part.to_owned(), name.clone()));
                }
                _ => table.missing(place, format!("`proxy_set_header {name}`: apps cannot get it")),
            }
        }
        if let Some(headers) = identity(pairs, place, table) {
            table.set("identity", headers);
        }
    }
}

/// Whether a directive keeps people out, at least from some methods or under some conditions.
fn is_restriction(directive: &Directive) -> bool {
    match directive.name.as_str() {
        "deny" => true,
        "auth_basic" | "auth_jwt" | "ssl_verify_client" => directive.arg(0) != "off",
        "limit_except" => directive.block.iter().any(is_restriction),
        "if" => named(&directive.block, "return")
            .any(|answer| matches!(answer.arg(0), "401" | "403" | "404" | "444")),
        _ => false,
    }
}

/// `$upstream_http_x_auth_request_user` → `user`
fn part(source: &str) -> Option<&'static str> {
    match source.strip_prefix("$upstream_http_")? {
        "x_auth_request_user" | "x_forwarded_user" | "remote_user" => Some("user"),
        "x_auth_request_email" | "x_forwarded_email" => Some("email"),
        "x_auth_request_groups" | "x_forwarded_groups" => Some("groups"),
        "x_auth_request_preferred_username" | "x_forwarded_preferred_username" => {
            Some("preferred_username")
        }
        "x_auth_request_access_token" | "x_forwarded_access_token" => Some("access_token"),
        _ => None,
    }
}

/// Headers that the appliance sets itself, or passes on.
fn is_usual(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let usual = [
        "host",
        "upgrade",
        "connection",
        "content-length",
        "x-real-ip",
        "x-scheme",
        "x-original-uri",
        "x-original-url",
        "x-original-method",
        "x-auth-request-redirect",
        "x-request-id",
        "accept-encoding",
        "origin",
        "cookie",
        "forwarded",
    ];
    usual.contains(&name.as_str()) || name.starts_with("x-forwarded-")
}

/// `10m` of nginx as a size. `0` is no limit.
fn size(text: &str) -> Option<String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits.parse().ok().filter(|number| *number > 0)?;
    match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => Some(format!("{number}B")),
        "k" => Some(format!("{number}KiB")),
        "m" => Some(format!("{number}MiB")),
        "g" => Some(format!("{number}GiB")),
        _ => None,
    }
}

/// `300`, `300s`, `5m` of nginx as a duration.
fn seconds(text: &str) -> Option<String> {
    let text = if text.ends_with(|c: char| c.is_ascii_digit()) {
        format!("{text}s")
    } else {
        text.to_owned()
    };
    humantime::parse_duration(&text).ok().filter(|time| !time.is_zero()).map(|_| text)
}

/// The constraints in the query of `/oauth2/auth?allowed_groups=a,b`.
pub(super) fn access(query: &str) -> Access {
    let mut kinds: Vec<(String, Vec<String>)> = Vec::new();
    for (name, values) in form_urlencoded::parse(query.as_bytes()) {
        let kind = match name.as_ref() {
            "allowed_groups" => "groups",
            "allowed_emails" => "emails",
            "allowed_email_domains" => "email_domains",
            _ => continue,
        };
        let values = values.split(',').filter(|value| !value.is_empty());
        let values: Vec<_> = values.map(|v| v.trim_start_matches("*.").to_owned()).collect();
        match kinds.iter_mut().find(|(known, _)| known == kind) {
            Some((_, known)) => known.extend(values),
            None if values.is_empty() => {}
            None => kinds.push((kind.to_owned(), values)),
        }
    }
    if kinds.is_empty() { Access::Default } else { Access::Limited(kinds) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_times_and_constraints() {
        assert_eq!(size("200M").as_deref(), Some("200MiB"));
        assert_eq!((size("0"), size("x")), (None, None));
        assert_eq!(seconds("300").as_deref(), Some("300s"));
        assert_eq!(seconds("5m").as_deref(), Some("5m"));
        let groups = Access::Limited(vec![("groups".into(), vec!["a".into(), "b".into()])]);
        assert_eq!(access("allowed_groups=a,b"), groups);
        assert_eq!(access("allowed_groups=a&allowed_groups=b"), groups);
        assert_eq!(access(""), Access::Default);
    }
}
