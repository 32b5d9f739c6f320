//! What a response says to caches (RFC 9111 §5.2), and keeping it out of those that people share.

use http::HeaderValue;
use http::header::{CACHE_CONTROL, HeaderMap};

/// The directives of all `Cache-Control` headers in lower case. A comma between quotes separates none:
/// `no-cache="x, private"` does not say `private`.
pub(crate) fn directives(headers: &HeaderMap) -> Vec<String> {
    let mut all = Vec::new();
    for value in headers.get_all(CACHE_CONTROL) {
        let Ok(text) = value.to_str() else { continue };
        let mut quoted = false;
        let parts = text.split(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        all.extend(parts.map(|one| one.trim().to_ascii_lowercase()));
    }
    all.retain(|one| !one.is_empty());
    all
}

/// Lets only the browser keep the response: another person must not get it from a cache in front.
pub(crate) fn keep_out_of_shared_caches(headers: &mut HeaderMap) {
    remove_targeted(headers);
    if !directives(headers).iter().any(|one| one == "no-store" || one == "private") {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    }
}

/// Removes the headers that overrule `Cache-Control` in some caches (RFC 9213): `CDN-Cache-Control`,
/// those of single products such as `Cloudflare-CDN-Cache-Control`, and the older `Surrogate-Control`
/// and `Edge-Control`.
pub(crate) fn remove_targeted(headers: &mut HeaderMap) {
    let is_targeted = |name: &str| {
        matches!(name, "surrogate-control" | "edge-control") || name.ends_with("cdn-cache-control")
    };
    while let Some(name) = headers.keys().find(|name| is_targeted(name.as_str())).cloned() {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_a_directive_of_its_own_keeps_a_response_out_of_shared_caches() {
        let ours = "private, no-cache";
        for (said, sent) in [
            ("private, max-age=60", "private, max-age=60"),
            ("no-store", "no-store"),
            ("Private", "Private"),
            ("public, max-age=600", ours),
            ("public, stale-private=1", ours),
            ("public, no-cache=\"x-private\"", ours),
            ("public, no-cache=\"x, private, y\"", ours),
            ("private=\"set-cookie\"", ours),
            ("", ours),
        ] {
            let mut headers = headers(&[("cache-control", said)]);
            keep_out_of_shared_caches(&mut headers);
            assert_eq!(headers[CACHE_CONTROL], sent, "{said}");
        }
    }

    #[test]
    fn headers_for_single_caches_do_not_overrule() {
        let mut headers = headers(&[
            ("cache-control", "private"),
            ("cdn-cache-control", "max-age=600"),
            ("cloudflare-cdn-cache-control", "max-age=600"),
            ("surrogate-control", "max-age=600"),
            ("edge-control", "max-age=600"),
            ("etag", "\"1\""),
        ]);
        keep_out_of_shared_caches(&mut headers);
        let left: Vec<_> = headers.keys().map(http::HeaderName::as_str).collect();
        assert_eq!(left, ["cache-control", "etag"]);
    }
}
