//! Removes response headers that have an effect on a whole origin.
//!
//! A browser applies them to every page of the host: of other apps, of the login and of the portal. An
//! app that shares its host must not send them. An app with a `host` of its own may send them.
//!
//! A web server in front of the appliance obeys some headers of a response, for example by sending a file
//! that only it may read. No app may command it.
//!
//! Headers that apply to one response only, such as `Content-Security-Policy`, `Permissions-Policy` and
//! `Document-Policy`, are kept.

use http::header::HeaderMap;
use http::{HeaderName, HeaderValue};
use url::Url;

use crate::proxy::phases::route::neighbours::Neighbours;

const SERVICE_WORKER_ALLOWED: HeaderName = HeaderName::from_static("service-worker-allowed");

/// Names of headers that apply to the whole origin, sorted.
const ORIGIN_WIDE: [&str; 22] = [
    "accept-ch",
    "accept-ch-lifetime",
    "alt-svc",
    "attribution-reporting-register-source",
    "attribution-reporting-register-trigger",
    "clear-site-data",
    "critical-ch",
    "expect-ct",
    "idp-signin-status",
    "nel",
    "origin-agent-cluster",
    "public-key-pins",
    "public-key-pins-report-only",
    "report-to",
    "reporting-endpoints",
    "sec-session-challenge",
    "sec-session-registration",
    "secure-session-challenge",
    "secure-session-registration",
    "set-login",
    "strict-transport-security",
    // Its pattern may match the paths of other apps.
    "use-as-dictionary",
];

/// Names of headers that web servers in front obey; nginx also obeys all that begin with
/// [`NGINX_COMMANDS`].
const COMMANDS: [&str; 8] = [
    "x-lighttpd-send-file",
    "x-lighttpd-send-tempfile",
    "x-litespeed-cache-control",
    "x-litespeed-location",
    // Perlbal and its successors.
    "x-reproxy-file",
    "x-reproxy-url",
    "x-sendfile",
    "x-sendfile2",
];
const NGINX_COMMANDS: &str = "x-accel-";
/// The one of them that names no file: event streams of many frameworks ask nginx with it not to buffer
/// them.
const NO_BUFFERING: &str = "x-accel-buffering";

/// Removes the commands to a web server in front, which no app may give, also one with a `host` of its
/// own: the server's files are those of all apps.
pub(crate) fn drop_commands(headers: &mut HeaderMap) {
    remove(headers, |name| {
        name.starts_with("x-")
            && name != NO_BUFFERING
            && (name.starts_with(NGINX_COMMANDS) || COMMANDS.contains(&name))
    });
}

fn remove(headers: &mut HeaderMap, is_meant: impl Fn(&str) -> bool) {
    // Nearly always empty; an empty vector allocates no memory.
    let found: Vec<HeaderName> =
        headers.keys().filter(|name| is_meant(name.as_str())).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// For each first byte, the lengths of the names of [`ORIGIN_WIDE`] as bits. First byte and length already rule
/// out nearly every header.
static LENGTHS: [u64; 256] = {
    let (mut lengths, mut at) = ([0; 256], 0);
    while at < ORIGIN_WIDE.len() {
        let name = ORIGIN_WIDE[at].as_bytes();
        lengths[name[0] as usize] |= 1 << name.len();
        at += 1;
    }
    lengths
};

fn is_origin_wide(name: &str) -> bool {
    let lengths = name.bytes().next().map_or(0, |first| LENGTHS[usize::from(first)]);
    let may_be = u32::try_from(name.len()).ok().and_then(|len| lengths.checked_shr(len));
    may_be.is_some_and(|bits| bits & 1 == 1) && ORIGIN_WIDE.binary_search(&name).is_ok()
}

/// Confines the response of an app that shares its host to the paths of the app. `path` is the path of
/// the request as sent.
pub(crate) fn confine(headers: &mut HeaderMap, neighbours: &Neighbours, path: &str) {
    if !neighbours.shares_host() {
        return;
    }
    remove(headers, is_origin_wide);
    confine_service_worker(headers, neighbours.own_path(), path);
}

/// Confines the scope of a service worker to the app. Without the header, a browser allows the folder
/// of the script (Service Workers, section "Path restriction"). For a script at the app's own path
/// without a slash at its end, this folder contains other apps.
fn confine_service_worker(headers: &mut HeaderMap, own: &str, path: &str) {
    let mut values = headers.get_all(SERVICE_WORKER_ALLOWED).iter();
    let within = match (values.next(), values.next()) {
        (None, _) => path.bytes().filter(|&b| b == b'/').count() > own.matches('/').count(),
        (Some(value), None) => is_scope_within(value, own, path),
        (Some(_), Some(_)) => false,
    };
    if within {
        return;
    }
    if let Ok(widest) = HeaderValue::from_str(&format!("{own}/")) {
        headers.insert(SERVICE_WORKER_ALLOWED, widest);
    }
}

/// Whether a value, resolved like a browser resolves it, lies below the app's path.
fn is_scope_within(value: &HeaderValue, own: &str, path: &str) -> bool {
    let scope = value.to_str().ok().and_then(|value| {
        Url::parse("http://host.invalid").ok()?.join(path).ok()?.join(value).ok()
    });
    scope.is_some_and(|scope| {
        scope.path().strip_prefix(own).is_some_and(|rest| rest.starts_with('/'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::App;
    use crate::proxy::tests::{app, config, routed_app};

    fn confined(app: App, path: &str, lines: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        confine(&mut headers, &routed_app(&config(8080, vec![app])).neighbours, path);
        let lines = headers.iter();
        lines.map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
    }

    #[test]
    fn no_app_commands_a_server_in_front() {
        assert!(COMMANDS.is_sorted());
        let commands = ["X-Accel-Redirect", "X-Accel-Expires", "x-accel-limit-rate", "X-SendFile"];
        let kept = [
            "x-accelerated",
            "x-accel-buffering",
            "x-sendfile-type",
            "accel-redirect",
            "x-powered-by",
        ];
        let mut headers = HeaderMap::new();
        for name in commands.iter().copied().chain(COMMANDS).chain(kept) {
            headers.append(
                HeaderName::from_bytes(name.as_bytes()).unwrap(),
                HeaderValue::from_static("/x"),
            );
        }
        drop_commands(&mut headers);
        let mut left: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        left.sort_unstable();
        let mut kept = kept;
        kept.sort_unstable();
        assert_eq!(left, kept);
    }

    fn hosted() -> App {
        let mut app = app("own", "/", 1);
        app.route.as_mut().unwrap().host = Some("own.test".to_owned());
        app
    }

    #[test]
    fn headers_for_the_whole_origin_are_removed() {
        assert!(ORIGIN_WIDE.is_sorted());
        for name in ORIGIN_WIDE {
            let line = [(name, "x")];
            assert!(confined(app("a", "/a", 1), "/a/", &line).is_empty(), "{name}");
            assert!(confined(app("a", "/", 1), "/", &line).is_empty(), "{name}");
            assert_eq!(confined(hosted(), "/", &line).len(), 1, "{name}");
        }
        for name in [
            "content-security-policy",
            "content-security-policy-report-only",
            "cross-origin-opener-policy",
            "permissions-policy",
            "document-policy",
            "permissions-policy-report-only",
            "referrer-policy",
            "origin-trial",
            "cache-control",
            "etag",
            "x-accept-ch",
        ] {
            assert_eq!(confined(app("a", "/a", 1), "/a/", &[(name, "x")]).len(), 1, "{name}");
        }
    }

    #[test]
    fn the_scope_of_a_service_worker_stays_within_its_app() {
        let at = "/a/static/sw.js";
        for value in ["/a/", "/a/x", "./", "../", "x", "", "http://host.invalid/a/x", "?x"] {
            let line = [("service-worker-allowed", value)];
            let kept = [format!("service-worker-allowed: {value}")];
            assert_eq!(confined(app("a", "/a", 1), at, &line), kept, "{value}");
        }
        for value in [
            "/",
            "/b/",
            "/a",
            "/ab",
            "/A/",
            "../../",
            "..",
            "/a/..",
            "/a/%2e%2e/",
            "/a/.%2E/b",
            "/\\",
            "\\",
            "//host.invalid/",
            "http:/",
            "/a/\t../",
        ] {
            let line = [("service-worker-allowed", value)];
            let found = confined(app("a", "/a", 1), at, &line);
            let wanted: &[&str] = if value == ".." {
                &["service-worker-allowed: .."]
            } else {
                &["service-worker-allowed: /a/"]
            };
            assert_eq!(found, wanted, "{value}");
            assert_eq!(
                confined(hosted(), "/sw.js", &line),
                [format!("service-worker-allowed: {value}").trim_end()]
            );
        }
        let twice = [("service-worker-allowed", "/a/"), ("service-worker-allowed", "/")];
        assert_eq!(confined(app("a", "/a", 1), at, &twice), ["service-worker-allowed: /a/"]);
    }

    #[test]
    fn a_script_at_the_apps_own_path_gets_the_apps_folder() {
        let widest = ["service-worker-allowed: /a/b/"];
        assert_eq!(confined(app("a", "/a/b", 1), "/a/b", &[]), widest);
        assert_eq!(confined(app("a", "/a/b", 1), "/%61/b", &[]), widest);
        for path in ["/a/b/", "/a/b/sw.js"] {
            assert!(confined(app("a", "/a/b", 1), path, &[]).is_empty(), "{path}");
        }
        assert!(confined(app("a", "/", 1), "/sw.js", &[]).is_empty());
        assert_eq!(
            confined(app("a", "/", 1), "/x/sw.js", &[("service-worker-allowed", "/")]),
            ["service-worker-allowed: /"]
        );
    }
}
