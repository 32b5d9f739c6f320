//! A request's head as its app gets it.
//!
//! The order is what makes it safe: hop-by-hop headers go first, so that nobody has ours
//! stripped; then every client copy of what only we may say; then our own values are set.

use http::header::{HOST, HeaderMap};
use http::{HeaderName, HeaderValue};

use super::cookies;
use super::hop_by_hop;
use super::spoofed_headers::Scrub;
use crate::auth::{Person, Session};
use crate::proxy::phases::admit::client_address::Origin;
use crate::proxy::phases::route::target::{Attribute, Target};

/// The header that ties an answer, a log line and an app's own log together.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// How many of them every request gets.
const FORWARDING: usize = 4;
const HTTP: HeaderValue = HeaderValue::from_static("http");
const HTTPS: HeaderValue = HeaderValue::from_static("https");

/// What is said about a request beside what it says itself.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    /// Where it came from.
    pub origin: &'a Origin,
    /// The public URL is https.
    pub secure: bool,
    /// `X-Request-Id`.
    pub id: &'a HeaderValue,
    /// Who is signed in.
    pub person: Option<&'a Person>,
    /// Their session.
    pub session: Option<&'a Session>,
}

/// Rewrites a head in place.
pub(crate) fn rewrite(
    headers: &mut HeaderMap,
    scrub: &Scrub,
    is_our_cookie: impl Fn(&str) -> bool,
    target: &Target,
    facts: &Facts<'_>,
) {
    hop_by_hop::strip_request(headers);
    scrub.apply(headers, facts.origin.trusted);
    cookies::withhold(headers, is_our_cookie);
    // Grown once: every growth sorts the whole map anew.
    headers.reserve(FORWARDING + target.identity.len());
    set_forwarding(headers, facts);
    set_identity(headers, target, facts);
}

/// Where a `Host` of its own is asked for, that; else the browser's byte for byte: as it is, or
/// `theirs` where another address may have had its own.
pub(crate) fn set_host(headers: &mut HeaderMap, own: Option<&str>, theirs: Option<&HeaderValue>) {
    let own = own.and_then(|host| HeaderValue::from_str(host).ok());
    if let Some(host) = own.or_else(|| theirs.cloned()) {
        headers.insert(HOST, host);
    }
}

fn set_forwarding(headers: &mut HeaderMap, facts: &Facts<'_>) {
    if let Some(list) = &facts.origin.forwarded_for {
        headers.insert(FORWARDED_FOR, list.clone());
    }
    let secure = facts.origin.secure.unwrap_or(facts.secure);
    headers.insert(FORWARDED_PROTO, if secure { HTTPS } else { HTTP });
    if let Some(host) = headers.get(HOST).cloned() {
        headers.insert(FORWARDED_HOST, host);
    }
    headers.insert(REQUEST_ID, facts.id.clone());
}

fn set_identity(headers: &mut HeaderMap, target: &Target, facts: &Facts<'_>) {
    let Some(person) = facts.person else { return };
    for (name, attribute) in &target.identity {
        let ready = &person.headers;
        let value = match attribute {
            Attribute::User => ready.user.clone(),
            Attribute::Email => ready.email.clone(),
            Attribute::Groups => ready.groups.clone(),
            Attribute::PreferredUsername => ready.preferred_username.clone(),
            Attribute::Name => ready.name.clone(),
            Attribute::AccessToken => facts.session.and_then(Session::access_token),
            Attribute::Assertion => facts.session.and_then(|one| one.assertion(&target.name)),
        };
        if let Some(value) = value {
            headers.insert(name.clone(), value);
        }
    }
}
