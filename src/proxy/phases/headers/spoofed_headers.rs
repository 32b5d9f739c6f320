//! What no client may say: identity headers in every spelling, and what only proxies know; and
//! with them what is said to us alone.
//!
//! Some app servers read `_`, `.` or any other sign in a header's name as `-`, so all are one here.

use http::HeaderName;
use http::header::HeaderMap;

use super::hop_by_hop;
use crate::config::{Config, Identity};

/// Names of whole families.
const FAMILIES: [&str; 1] = ["x-auth-request-"];

/// Names that are removed from every request.
const ALWAYS: [&str; 14] = [
    // hyper answers it itself as soon as the body is wanted.
    "expect",
    "proxy",
    "remote-user",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
    "x-forwarded-access-token",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-user",
    "x-forwarded-uri",
    "x-remote-user",
    "x-request-id",
];

/// Names that say where a request came from: only a trusted proxy knows.
const FORWARDING: [&str; 26] = [
    "cf-connecting-ip",
    "fastly-client-ip",
    "forwarded",
    "true-client-ip",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-forwarded",
    "x-forwarded-by",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-tls-client-cert",
    "x-forwarded-tls-client-cert-info",
    "x-forwarded-url",
    "x-original-host",
    "x-original-method",
    "x-real-ip",
];

/// Names of framing, which has been judged under its proper names. In any other spelling they are
/// removed: an app server that reads `Content_Length` as `Content-Length` would find another end of
/// the request than we did.
const FRAMING: [&str; 4] = ["content-length", "host", "trailer", "transfer-encoding"];

/// All names that are removed.
#[derive(Debug)]
pub(crate) struct Scrub {
    /// Sorted.
    names: Vec<String>,
    /// Lengths of names, as bits, by their first byte: most headers are told by these two.
    lengths: [u64; 256],
}

impl Scrub {
    /// Of the fixed names and of all that any app is told its identity by.
    pub(crate) fn new(config: &Config) -> Self {
        let identities = config.apps.iter().filter_map(|app| app.route.as_ref()?.identity.as_ref());
        let own =
            identities.flat_map(|identity| {
                let Identity {
                    user,
                    email,
                    groups,
                    preferred_username,
                    name,
                    access_token,
                    assertion,
                } = identity;
                let all = [user, email, groups, preferred_username, name, access_token, assertion];
                all.into_iter().flatten()
            });
        Self::of(own.map(String::as_str))
    }

    fn of<'a>(own: impl Iterator<Item = &'a str>) -> Self {
        let mut names: Vec<String> = own
            .chain(ALWAYS)
            .chain(hop_by_hop::ENDS_HERE)
            .map(|name| plain(&name.to_ascii_lowercase()))
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut lengths = [0; 256];
        for name in names.iter().map(String::as_str).chain(FORWARDING).chain(FRAMING) {
            lengths[first(name)] |= length(name);
        }
        // A name that begins with a sign is spelt as nobody spells it.
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_alphanumeric()) {
            lengths[usize::from(byte)] = u64::MAX;
        }
        for family in FAMILIES {
            lengths[first(family)] = u64::MAX;
        }
        Self { names, lengths }
    }

    /// Removes them all; what only proxies know stays when a trusted one says it.
    pub(super) fn apply(&self, headers: &mut HeaderMap, trusted: bool) {
        // Nearly always empty, and then nothing is allocated.
        let found: Vec<HeaderName> =
            headers.keys().filter(|name| self.covers(name.as_str(), trusted)).cloned().collect();
        for name in found {
            headers.remove(name);
        }
    }

    fn covers(&self, name: &str, trusted: bool) -> bool {
        if self.lengths[first(name)] & length(name) == 0 {
            return false;
        }
        if name.contains(is_sign) {
            // No proxy spells them so.
            let name = plain(name);
            FRAMING.contains(&name.as_str()) || self.covers_plain(&name, false)
        } else {
            self.covers_plain(name, trusted)
        }
    }

    fn covers_plain(&self, name: &str, trusted: bool) -> bool {
        self.names.binary_search_by(|one| one.as_str().cmp(name)).is_ok()
            || FAMILIES.iter().any(|family| name.starts_with(family))
            || !trusted && FORWARDING.binary_search(&name).is_ok()
    }
}

fn first(name: &str) -> usize {
    name.bytes().next().map_or(0, usize::from)
}

/// One bit; the last one stands for all that is longer.
fn length(name: &str) -> u64 {
    1 << name.len().min(63)
}

fn plain(name: &str) -> String {
    name.replace(is_sign, "-")
}

fn is_sign(c: char) -> bool {
    !c.is_ascii_alphanumeric() && c != '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_and_no_look_alikes() {
        assert!(FORWARDING.is_sorted());
        let scrub = Scrub::of(["X-User", "X_Mail.Address", "_who"].into_iter());
        for name in [
            "x-forwarded-user",
            "x_forwarded_user",
            "x-forwarded_user",
            "x.forwarded.groups",
            "x-auth-request-anything",
            "x_auth_request_email",
            "remote-user",
            "remote_user",
            "x-user",
            "x_user",
            "x-mail-address",
            "proxy",
            "x-request-id",
            "x-original-url",
            "x~forwarded~user",
            "x+forwarded!user",
            "-who",
            "_who",
            ".who",
            "content_length",
            "transfer_encoding",
        ] {
            assert!(scrub.covers(name, false) && scrub.covers(name, true), "{name}");
        }
        for name in
            ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-prefix", "true-client-ip"]
        {
            assert!(scrub.covers(name, false) && !scrub.covers(name, true), "{name}");
        }
        for name in [
            "x-user-agent",
            "x-forwarded-userx",
            "my-remote-user",
            "x-request",
            "forwarded-user",
            "proxyx",
            "accept",
            "cookie",
            "content-length",
            "transfer-encoding",
            "host",
            "x_content_length",
        ] {
            assert!(!scrub.covers(name, false), "{name}");
        }
        assert!(scrub.covers("x_forwarded_for", true));
    }
}
