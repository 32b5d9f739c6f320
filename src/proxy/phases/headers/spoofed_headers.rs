//! Removes the headers that a client must not send to an app: identity headers in every spelling,
//! forwarding headers of an untrusted client, and hop-by-hop headers.
//!
//! Some app servers read `_`, `.` or another sign in a header's name as `-`, so all signs count as
//! `-` here.

use http::HeaderName;
use http::header::HeaderMap;

use super::hop_by_hop;
use crate::config::{Config, Identity};

/// Prefixes. Every name that starts with one of them is removed.
const FAMILIES: [&str; 1] = ["x-auth-request-"];

/// Names that are removed from every request.
const ALWAYS: [&str; 14] = [
    // hyper sends 100 (Continue) itself when the proxy reads the body.
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

/// Names that describe the origin of a request. Only a trusted proxy may send them.
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

/// Framing headers. `admit` has checked them under these names; in any other spelling they are
/// removed. An app server that reads `Content_Length` as `Content-Length` would find another end of
/// the request than the proxy.
const FRAMING: [&str; 4] = ["content-length", "host", "trailer", "transfer-encoding"];

/// The names of the headers that are removed from requests.
#[derive(Debug)]
pub(crate) struct SpoofedHeaders {
    /// In normal form, sorted.
    names: Vec<String>,
    /// The lengths of all names with the same first byte, as bits. First byte and length already rule
    /// out most headers.
    lengths: [u64; 256],
}

impl SpoofedHeaders {
    /// The fixed names, and the names of all identity headers of all apps.
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
            .chain(hop_by_hop::REQUEST_NAMES)
            .map(|name| normal_form(&name.to_ascii_lowercase()))
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut lengths = [0; 256];
        for name in names.iter().map(String::as_str).chain(FORWARDING).chain(FRAMING) {
            lengths[first_byte(name)] |= length_bit(name);
        }
        // In normal form a name that starts with a sign has another first byte, so this filter lets
        // such a name through to the look-up.
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_alphanumeric()) {
            lengths[usize::from(byte)] = u64::MAX;
        }
        for family in FAMILIES {
            lengths[first_byte(family)] = u64::MAX;
        }
        Self { names, lengths }
    }

    /// Removes the headers. Forwarding headers stay if the sender is a trusted proxy.
    pub(super) fn remove_from(&self, headers: &mut HeaderMap, trusted: bool) {
        // Nearly always empty; an empty vector allocates no memory.
        let found: Vec<HeaderName> =
            headers.keys().filter(|name| self.covers(name.as_str(), trusted)).cloned().collect();
        for name in found {
            headers.remove(name);
        }
    }

    fn covers(&self, name: &str, trusted: bool) -> bool {
        if self.lengths[first_byte(name)] & length_bit(name) == 0 {
            return false;
        }
        if name.contains(is_sign) {
            // No proxy uses these spellings, so a trusted sender makes no difference.
            let name = normal_form(name);
            FRAMING.contains(&name.as_str()) || self.covers_normal_form(&name, false)
        } else {
            self.covers_normal_form(name, trusted)
        }
    }

    fn covers_normal_form(&self, name: &str, trusted: bool) -> bool {
        self.names.binary_search_by(|listed| listed.as_str().cmp(name)).is_ok()
            || FAMILIES.iter().any(|family| name.starts_with(family))
            || !trusted && FORWARDING.binary_search(&name).is_ok()
    }
}

fn first_byte(name: &str) -> usize {
    name.bytes().next().map_or(0, usize::from)
}

/// The bit for the length of a name. The last bit stands for 63 and more.
fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}

fn normal_form(name: &str) -> String {
    name.replace(is_sign, "-")
}

fn is_sign(c: char) -> bool {
    !c.is_ascii_alphanumeric() && c != '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_is_removed_and_similar_names_are_kept() {
        assert!(FORWARDING.is_sorted());
        let spoofed = SpoofedHeaders::of(["X-User", "X_Mail.Address", "_who"].into_iter());
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
            assert!(spoofed.covers(name, false) && spoofed.covers(name, true), "{name}");
        }
        for name in
            ["x-forwarded-for", "forwarded", "x-real-ip", "x-forwarded-prefix", "true-client-ip"]
        {
            assert!(spoofed.covers(name, false) && !spoofed.covers(name, true), "{name}");
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
            assert!(!spoofed.covers(name, false), "{name}");
        }
        assert!(spoofed.covers("x_forwarded_for", true));
    }
}
