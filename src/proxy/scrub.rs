//! What no client may say: identity headers in every spelling, and what only proxies know.
//!
//! Some app servers read `_` and `.` in a header's name as `-`, so all three are one here.

use http::HeaderName;
use http::header::HeaderMap;

use crate::config::Config;

/// Names of whole families.
const FAMILIES: [&str; 1] = ["x-auth-request-"];

/// Names that are removed from every request of a client.
const ALWAYS: [&str; 9] = [
    "proxy",
    "remote-user",
    "x-forwarded-access-token",
    "x-forwarded-email",
    "x-forwarded-groups",
    "x-forwarded-preferred-username",
    "x-forwarded-user",
    "x-request-id",
    "x-remote-user",
];

/// Names that say where a request came from: rebuilt, whoever sent them.
const FORWARDING: [&str; 25] = [
    "forwarded",
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
    "x-forwarded-uri",
    "x-forwarded-url",
    "x-original-host",
    "x-original-method",
    "x-original-uri",
    "x-original-url",
    "x-real-ip",
    "x-rewrite-url",
];

/// All names that are removed.
#[derive(Debug)]
pub(super) struct Scrub {
    /// Sorted.
    names: Vec<String>,
    /// First bytes of names and families: most headers are told by it.
    first: [bool; 256],
}

impl Scrub {
    /// Of the fixed names and of all that any app is told its identity by.
    pub(super) fn new(config: &Config) -> Self {
        let own = config.apps.iter().filter_map(|app| app.route.as_ref()?.identity.as_ref());
        let mut names: Vec<String> = own
            .flat_map(|identity| {
                [
                    &identity.user,
                    &identity.email,
                    &identity.groups,
                    &identity.preferred_username,
                    &identity.name,
                    &identity.access_token,
                ]
            })
            .flatten()
            .map(|name| name.to_ascii_lowercase().replace(['_', '.'], "-"))
            .chain(ALWAYS.into_iter().chain(FORWARDING).map(str::to_owned))
            .collect();
        names.sort_unstable();
        names.dedup();
        let mut first = [false; 256];
        for name in names.iter().map(String::as_str).chain(FAMILIES) {
            first[usize::from(name.as_bytes()[0])] = true;
        }
        Self { names, first }
    }

    /// Removes them all.
    pub(super) fn apply(&self, headers: &mut HeaderMap) {
        // Nearly always empty, then nothing is allocated.
        let found: Vec<HeaderName> =
            headers.keys().filter(|name| self.covers(name.as_str())).cloned().collect();
        for name in found {
            headers.remove(name);
        }
    }

    /// Whether a name, lower case as all of them, is one of those.
    pub(super) fn covers(&self, name: &str) -> bool {
        if !self.first[usize::from(name.as_bytes()[0])] {
            return false;
        }
        if !name.contains(['_', '.']) {
            return self.covers_plain(name);
        }
        self.covers_plain(&name.replace(['_', '.'], "-"))
    }

    fn covers_plain(&self, name: &str) -> bool {
        self.names.binary_search_by(|one| one.as_str().cmp(name)).is_ok()
            || FAMILIES.iter().any(|family| name.starts_with(family))
    }
}
