//! Removes the headers that a client must not send to an app: identity headers in every spelling and
//! with their whole family, headers whose [words](super::person_words) name a person, headers that name another method than the request, forwarding headers of
//! an untrusted client, and hop-by-hop headers.
//!
//! Some app servers read `_`, `.` or another sign in a header's name as `-`, so all signs count as
//! `-` here.

use std::collections::BTreeSet;

use http::HeaderName;
use http::header::HeaderMap;

use super::hop_by_hop;
use super::person_words;
use crate::config::{Config, Identity};

/// Prefixes. Every name that starts with one of them is removed from every request.
const FAMILIES: [&str; 38] = [
    "remote-",
    "x-http-method",
    "x-remote-",
    // Gateways name the person in these, and frameworks read some of them without being asked.
    "cf-access-",
    "iv-",
    "ngrok-auth-",
    "oam-",
    "oidc-",
    "plotly-user-",
    "posit-connect-",
    "rstudio-connect-",
    "shiny-server-",
    "sm-",
    "spiffe",
    "ssl-client-",
    "tailscale-",
    "teleport-",
    "x-amz-cognito",
    "x-amzn-ava-",
    "x-amzn-cognito",
    "x-amzn-oidc-",
    "x-auth-",
    "x-authelia-",
    "x-authenticated-",
    "x-authentik-",
    "x-consumer-",
    "x-goog-authenticated-user-",
    "x-goog-iap-",
    "x-ms-client-principal",
    "x-ms-token-",
    "x-pomerium-",
    "x-sandstorm-",
    "x-spiffe",
    "x-ssl-client-",
    "x-streamlit-",
    "x-token-",
    "x-vouch-",
    "x-webauth-",
];

/// Credentials in a family of [`FAMILIES`]: the app verifies them itself, as `OpenStack` and Rocket.Chat do.
const CREDENTIALS: [&str; 2] = ["x-auth-key", "x-auth-token"];

/// Prefixes of headers in which a proxy that ends TLS tells the client's certificate (RFC 9440), or which
/// service the client is (Envoy, Istio). Only a trusted proxy may send them.
const CERTIFICATES: [&str; 5] = [
    "client-cert",
    "x-client-cert",
    "x-envoy-downstream-service",
    "x-envoy-internal",
    "x-envoy-peer-",
];

/// Names that are removed from every request.
const ALWAYS: [&str; 12] = [
    // hyper sends 100 (Continue) itself when the proxy reads the body.
    "expect",
    "proxy",
    "x-appliance-token-handle",
    "x-forwarded-method",
    "x-forwarded-path",
    "x-forwarded-url",
    "x-jwt-assertion",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-request-id",
    "x-rewrite-url",
];

/// The prefix of forwarding headers and of the default identity headers. A trusted proxy may send
/// those of [`FORWARDING`]; all others are removed from every request.
const FORWARDED: &str = "x-forwarded-";

/// Names that describe the origin of a request. Only a trusted proxy may send them.
const FORWARDING: [&str; 34] = [
    "cf-connecting-ip",
    "cf-connecting-ipv6",
    "client-ip",
    "fastly-client-ip",
    "fly-client-ip",
    "forwarded",
    "front-end-https",
    "true-client-ip",
    "x-client-dn",
    "x-client-ip",
    "x-client-s-dn",
    "x-client-verify",
    "x-cluster-client-ip",
    "x-envoy-external-address",
    "x-forwarded",
    "x-forwarded-by",
    "x-forwarded-client-cert",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-prefix",
    "x-forwarded-proto",
    "x-forwarded-protocol",
    "x-forwarded-scheme",
    "x-forwarded-server",
    "x-forwarded-ssl",
    "x-forwarded-tls-client-cert",
    "x-forwarded-tls-client-cert-info",
    "x-original-forwarded-for",
    "x-original-host",
    "x-proxyuser-ip",
    "x-real-ip",
    "x-scheme",
    "x-url-scheme",
];

/// Prefixes of names with a meaning of their own. They belong to no family of an identity header, as
/// `User-Agent` beside `User-Name`.
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

/// Names of variables of CGI (RFC 3875 section 4.1) and WSGI. gunicorn, for one, takes `SCRIPT_NAME` from
/// a header of a client on the same machine, and cuts it off the path that the access rules have seen.
const CGI: [&str; 9] = [
    "document-root",
    "document-uri",
    "path-info",
    "path-translated",
    "query-string",
    "request-method",
    "request-uri",
    "script-filename",
    "script-name",
];

/// Last words of headers that name another path than the request.
const PATHS: [&str; 12] = [
    "-ingress-path",
    "-original-path",
    "-original-uri",
    "-original-url",
    "-path-info",
    "-path-override",
    "-replaced-path",
    "-request-uri",
    "-rewrite-uri",
    "-rewrite-url",
    "-script-name",
    "-url-override",
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
    /// Names of identity headers, also former ones, in normal form.
    identity: Vec<String>,
    /// Prefixes of the families to which the identity headers of apps belong.
    families: Vec<String>,
    /// The lengths of all names with the same first byte, as bits, and their second bytes. These already rule
    /// out most headers.
    lengths: [u64; 256],
    seconds: [u32; 256],
}

impl SpoofedHeaders {
    /// The fixed names, and the names and families of all identity headers of all apps. `before`: those of
    /// the configuration that is replaced. Former names stay for the life of the appliance: the process of
    /// an app that still reads one must not receive it from a client.
    pub(crate) fn new(config: &Config, before: Option<&Self>) -> Self {
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
        let former = before.into_iter().flat_map(|before| &before.identity);
        Self::of(own.chain(former).map(String::as_str))
    }

    fn of<'a>(own: impl Iterator<Item = &'a str>) -> Self {
        let own: BTreeSet<String> =
            own.map(|name| normal_form(&name.to_ascii_lowercase())).collect();
        let identity: Vec<String> = own.into_iter().collect();
        let families: BTreeSet<String> = identity.iter().filter_map(|name| family(name)).collect();
        let fixed = ALWAYS.iter().chain(&hop_by_hop::REQUEST_NAMES).map(|&name| name.to_owned());
        let mut names: Vec<String> = identity.iter().cloned().chain(fixed).collect();
        names.sort_unstable();
        names.dedup();
        let (mut lengths, mut seconds) = ([0; 256], [0; 256]);
        let all = names.iter().map(String::as_str).chain(FORWARDING).chain(FRAMING).chain(CGI);
        for name in all {
            lengths[first_byte(name)] |= length_bit(name);
            seconds[first_byte(name)] |= second_bit(name);
        }
        // In normal form a name that starts with a sign has another first byte, so this filter lets
        // such a name through to the look-up.
        for byte in (0..=u8::MAX).filter(|byte| !byte.is_ascii_alphanumeric()) {
            (lengths[usize::from(byte)], seconds[usize::from(byte)]) = (u64::MAX, u32::MAX);
        }
        let fixed = FAMILIES.into_iter().chain(CERTIFICATES).chain([FORWARDED]);
        for family in families.iter().map(String::as_str).chain(fixed) {
            lengths[first_byte(family)] = u64::MAX;
            seconds[first_byte(family)] |= second_bit(family);
        }
        // The first bytes of names that override the method.
        for byte in *b"hmox" {
            (lengths[usize::from(byte)], seconds[usize::from(byte)]) = (u64::MAX, u32::MAX);
        }
        Self { names, identity, families: families.into_iter().collect(), lengths, seconds }
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
        self.is_listed(name, trusted) || person_words::names_person(name, trusted)
    }

    fn is_listed(&self, name: &str, trusted: bool) -> bool {
        let first = first_byte(name);
        if self.lengths[first] & length_bit(name) == 0
            || self.seconds[first] & second_bit(name) == 0
        {
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
        if self.names.binary_search_by(|listed| listed.as_str().cmp(name)).is_ok() {
            return true;
        }
        if FORWARDING.binary_search(&name).is_ok() {
            return !trusted;
        }
        let is_in = |family: &str| name.starts_with(family);
        FAMILIES.into_iter().chain([FORWARDED]).any(is_in) && !CREDENTIALS.contains(&name)
            || !trusted && CERTIFICATES.into_iter().any(is_in)
            || overrides_method(name)
            || overrides_path(name)
            || self.families.iter().any(|family| is_in(family))
                && !STANDARD.iter().any(|standard| is_in(standard))
    }
}

/// Whether an app may read from this header another method than the one that the access rules have
/// seen. Frameworks use many names: `X-HTTP-Method-Override`, `X-HTTPMethod-Override`, `X-Method`,
/// `Method-Override`, `_method`.
fn overrides_method(name: &str) -> bool {
    let is_method = name.ends_with("-method")
        || name.ends_with("httpmethod")
        || name.ends_with("-http-verb")
        || name == "method";
    let names_method = name.contains("method") || name.contains("verb");
    let is_override = names_method && name.contains("override");
    is_override || is_method && !name.starts_with("access-control-")
}

/// Whether an app may read from this header another path than the one that the access rules have seen.
fn overrides_path(name: &str) -> bool {
    CGI.contains(&name) || PATHS.iter().any(|last| name.ends_with(last))
}

/// The prefix of the family of an identity header: `x-webauth-` for `x-webauth-user`. A name such as
/// `x-user` has no family.
fn family(name: &str) -> Option<String> {
    /// First words of attributes that have two words: `preferred-username`, `access-token`.
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

fn first_byte(name: &str) -> usize {
    name.bytes().next().map_or(0, usize::from)
}

/// The bit for the length of a name. The last bit stands for 63 and more.
fn length_bit(name: &str) -> u64 {
    1 << name.len().min(63)
}

/// The second byte as a bit; all signs count as `-`.
fn second_bit(name: &str) -> u32 {
    let second = name.as_bytes().get(1).copied().filter(u8::is_ascii_alphanumeric);
    1 << (second.unwrap_or(b'-') & 31)
}

fn normal_form(name: &str) -> String {
    name.replace(is_sign, "-")
}

fn is_sign(c: char) -> bool {
    !c.is_ascii_alphanumeric() && c != '-'
}

#[cfg(test)]
#[path = "../../../../tests/unit/proxy/phases/headers/spoofed_headers.rs"]
mod tests;
