//! What no client may say: identity headers in every spelling and with their whole family, other
//! methods than that of the request, and what only proxies know.
//!
//! Some app servers read `_`, `.` or any other sign in a header's name as `-`, so all are one here.

use std::collections::BTreeSet;

use http::HeaderName;
use http::header::HeaderMap;

use super::hop_by_hop;
use crate::config::{Config, Identity};

/// Families of which every name is removed from every request.
const FAMILIES: [&str; 4] = ["remote-", "x-auth-request-", "x-http-method", "x-remote-"];

/// Names that are removed from every request.
const ALWAYS: [&str; 8] = [
    // hyper answers it itself as soon as the body is wanted.
    "expect",
    // Apps read a method here that no rule with `methods` has seen.
    "http-method-override",
    "proxy",
    "x-method-override",
    "x-original-uri",
    "x-original-url",
    "x-request-id",
    "x-rewrite-url",
];

/// The family of the names that say where a request came from. Those that no proxy needs are
/// removed from every request: they name a person.
const FORWARDED: &str = "x-forwarded-";

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

/// Names with a meaning of their own, by how they begin. They belong to no family that an app's
/// `identity` makes, as `User-Agent` beside `User-Name`.
const STANDARD: [&str; 14] = [
    "accept-",
    "access-control-",
    "cache-control",
    "content-",
    "if-",
    "last-event-id",
    "sec-",
    "service-worker",
    "transfer-encoding",
    "upgrade-insecure-requests",
    "user-agent",
    "x-csrf-token",
    "x-requested-with",
    "x-xsrf-token",
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
    /// How the names of the families begin that `identity` of an app uses.
    families: Vec<String>,
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
        let own: Vec<String> = own.map(|name| plain(&name.to_ascii_lowercase())).collect();
        let families: BTreeSet<String> = own.iter().filter_map(|name| family(name)).collect();
        let fixed = ALWAYS.iter().chain(&hop_by_hop::ENDS_HERE).map(|&name| name.to_owned());
        let mut names: Vec<String> = own.into_iter().chain(fixed).collect();
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
        for family in families.iter().map(String::as_str).chain(FAMILIES).chain([FORWARDED]) {
            lengths[first(family)] = u64::MAX;
        }
        Self { names, families: families.into_iter().collect(), lengths }
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
        if self.names.binary_search_by(|one| one.as_str().cmp(name)).is_ok() {
            return true;
        }
        if FORWARDING.binary_search(&name).is_ok() || name.starts_with(FORWARDED) {
            return !trusted || FORWARDING.binary_search(&name).is_err();
        }
        FAMILIES.iter().any(|family| name.starts_with(family))
            || self.families.iter().any(|family| name.starts_with(family.as_str()))
                && !STANDARD.iter().any(|standard| name.starts_with(standard))
    }
}

/// How the family of an identity header begins: `x-webauth-` for `x-webauth-user`. A name such as
/// `x-user` has none.
fn family(name: &str) -> Option<String> {
    /// First words of attributes that have two: `preferred-username`, `access-token`.
    const FIRST_WORDS: [&str; 8] =
        ["access", "display", "first", "full", "given", "last", "preferred", "user"];
    let (mut base, _) = name.rsplit_once('-')?;
    if let Some((shorter, word)) = base.rsplit_once('-')
        && FIRST_WORDS.contains(&word)
        && shorter != "x"
    {
        base = shorter;
    }
    (base != "x" && !base.is_empty()).then(|| format!("{base}-"))
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
            "remote-groups",
            "remote.name",
            "REMOTE_anything",
            "x-remote-group",
            "x-forwarded-userx",
            "x-forwarded-roles",
            "x-http-method-override",
            "x_http_method_override",
            "x-http.method",
            "x-method-override",
            "x_method.override",
        ] {
            let name = name.to_ascii_lowercase();
            assert!(scrub.covers(&name, false) && scrub.covers(&name, true), "{name}");
        }
        for name in [
            "x-forwarded-for",
            "forwarded",
            "x-real-ip",
            "x-forwarded-prefix",
            "x-forwarded-host",
            "x-forwarded",
            "true-client-ip",
        ] {
            assert!(scrub.covers(name, false) && !scrub.covers(name, true), "{name}");
        }
        for name in [
            "x-user-agent",
            "my-remote-user",
            "remote",
            "x-httpmethod",
            "x-method",
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

    #[test]
    fn the_family_of_each_identity_header() {
        for (name, wanted) in [
            ("x-webauth-user", Some("x-webauth-")),
            ("x-webauth-preferred-username", Some("x-webauth-")),
            ("x-company-auth-user", Some("x-company-auth-")),
            ("x-access-token", Some("x-access-")),
            ("remote-user", Some("remote-")),
            ("cf-access-authenticated-user-email", Some("cf-access-authenticated-")),
            ("oidc-claim-sub", Some("oidc-claim-")),
            ("x-user", None),
            ("user", None),
        ] {
            assert_eq!(family(name).as_deref(), wanted, "{name}");
        }
    }

    #[test]
    fn members_of_a_family_go_and_standard_names_stay() {
        let scrub = Scrub::of(
            [
                "X-Webauth-User",
                "X_Sso-Mail",
                "User-Name",
                "Access-Token",
                "X-Requested-User",
                "X-Real-IP",
            ]
            .into_iter(),
        );
        assert!(scrub.covers("x-real-ip", true));
        for name in [
            "x-webauth-groups",
            "x_webauth_role",
            "x-webauth.anything-at-all",
            "x-sso-admin",
            "user-groups",
            "access-level",
            "x-requested-role",
        ] {
            assert!(scrub.covers(name, false) && scrub.covers(name, true), "{name}");
        }
        for name in [
            "x-webauthn",
            "x-ssokey",
            "user-agent",
            "access-control-request-method",
            "x-requested-with",
            "x-groups",
            "x-role",
        ] {
            assert!(!scrub.covers(name, false), "{name}");
        }
    }
}
