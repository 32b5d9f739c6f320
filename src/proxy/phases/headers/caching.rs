//! Keeps the pages of signed-in people out of the browser's caches.
//!
//! After a sign-out on a shared computer, the back button must not show the last page. A browser keeps
//! a page also in memory (back/forward cache), unless the app forbids it, and shows the page without a
//! request. `no-store` forbids both (RFC 9111 section 5.2.2.5).

use http::HeaderValue;
use http::header::{CACHE_CONTROL, HeaderMap};

/// Adds `no-store` to the response of an app, unless the app says that browsers may show the page
/// again without a request: for some time, or as public. `private` and `no-cache` do not say so.
pub(crate) fn keep_out_of_caches(headers: &mut HeaderMap) {
    let mut said = Vec::new();
    for value in headers.get_all(CACHE_CONTROL) {
        let Ok(text) = value.to_str() else { continue };
        said.extend(text.split(',').map(|one| one.trim().to_ascii_lowercase()));
    }
    if said.iter().any(|one| one == "no-store" || allows_reuse(one)) {
        return;
    }
    if !said.iter().any(|one| one == "private") {
        said.push("private".to_owned());
    }
    said.push("no-store".to_owned());
    if let Ok(value) = HeaderValue::from_str(&said.join(", ")) {
        headers.insert(CACHE_CONTROL, value);
    }
}

fn allows_reuse(directive: &str) -> bool {
    let (name, value) = directive.split_once('=').unwrap_or((directive, ""));
    match name {
        "public" | "immutable" => true,
        "max-age" => value.trim_matches('"').bytes().any(|digit| (b'1'..=b'9').contains(&digit)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_kept_out_of_caches_unless_the_app_allows_their_reuse() {
        for (said, sent) in [
            (vec![], "private, no-store"),
            (vec![("expires", "0")], "private, no-store"),
            (vec![("pragma", "no-cache")], "private, no-store"),
            (vec![("etag", "\"1\"")], "private, no-store"),
            (vec![("cache-control", "private")], "private, no-store"),
            (vec![("cache-control", "No-Cache")], "no-cache, private, no-store"),
            (
                vec![("cache-control", "max-age=0, must-revalidate")],
                "max-age=0, must-revalidate, private, no-store",
            ),
            (
                vec![("cache-control", "private"), ("cache-control", "no-cache")],
                "private, no-cache, no-store",
            ),
            (vec![("cache-control", "no-store")], "no-store"),
            (vec![("cache-control", "private, max-age=60")], "private, max-age=60"),
            (vec![("cache-control", "public")], "public"),
            (vec![("expires", "Sat, 26 Jul 1997 05:00:00 GMT")], "private, no-store"),
            (
                vec![("cache-control", "no-cache"), ("cache-control", "x=\u{e9}")],
                "no-cache, private, no-store",
            ),
        ] {
            let mut headers = HeaderMap::new();
            for &(name, value) in &said {
                headers.append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
            }
            keep_out_of_caches(&mut headers);
            let now: Vec<_> = headers.get_all(CACHE_CONTROL).iter().collect();
            let now = now.first().map_or("", |value| value.to_str().unwrap());
            assert_eq!(now, sent, "{said:?}");
        }
    }
}
