//! Keeps the pages of signed-in people out of the browser's caches.
//!
//! After a sign-out on a shared computer, the back button must not show the last page. A browser keeps
//! a page also in memory (back/forward cache), unless the app forbids it, and shows the page without a
//! request. `no-store` forbids both (RFC 9111 section 5.2.2.5).

use http::HeaderValue;
use http::header::{CACHE_CONTROL, HeaderMap};

use crate::proxy::answer::cache_control;

/// Adds `no-store` to the response of an app, unless the app says that browsers may show the page
/// again without a request: for some time, or as public without a time. `private` does not say so, and
/// `no-cache` and `max-age=0` forbid it, whatever stands beside them.
pub(crate) fn keep_out_of_caches(headers: &mut HeaderMap) {
    let mut said = cache_control::directives(headers);
    if said.iter().any(|one| one == "no-store") || allow_reuse(&said) {
        return;
    }
    cache_control::remove_targeted(headers);
    said.retain(|one| one != "public");
    if !said.iter().any(|one| one == "private") {
        said.push("private".to_owned());
    }
    said.push("no-store".to_owned());
    if let Ok(value) = HeaderValue::from_str(&said.join(", ")) {
        headers.insert(CACHE_CONTROL, value);
    }
}

fn allow_reuse(said: &[String]) -> bool {
    let has = |name: &str| said.iter().any(|one| one == name);
    let mut ages =
        said.iter().filter_map(|one| one.split_once('=')).filter(|(name, _)| *name == "max-age");
    let forbidden = has("no-cache") || ages.clone().any(|(_, age)| !is_some_time(age));
    !forbidden && (ages.next().is_some() || has("public") || has("immutable"))
}

/// Whether a `max-age` is a number of seconds other than 0.
fn is_some_time(age: &str) -> bool {
    let digits = age.trim_matches('"').as_bytes();
    digits.iter().all(u8::is_ascii_digit) && digits.iter().any(|&digit| digit != b'0')
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
            (vec![("cache-control", "max-age=60")], "max-age=60"),
            (vec![("cache-control", "Max-Age=\"60\"")], "Max-Age=\"60\""),
            (vec![("cache-control", "public")], "public"),
            (vec![("cache-control", "public, max-age=060")], "public, max-age=060"),
            (vec![("cache-control", "public, must-revalidate")], "public, must-revalidate"),
            (vec![("cache-control", "public, immutable")], "public, immutable"),
            // Contradictions: what forbids the reuse wins.
            (vec![("cache-control", "public, max-age=0")], "max-age=0, private, no-store"),
            (
                vec![("cache-control", "public"), ("cache-control", "max-age=0")],
                "max-age=0, private, no-store",
            ),
            (
                vec![("cache-control", "no-cache, max-age=60")],
                "no-cache, max-age=60, private, no-store",
            ),
            (vec![("cache-control", "public, no-cache")], "no-cache, private, no-store"),
            (
                vec![("cache-control", "immutable, no-cache")],
                "immutable, no-cache, private, no-store",
            ),
            (
                vec![("cache-control", "max-age=60, max-age=0")],
                "max-age=60, max-age=0, private, no-store",
            ),
            (vec![("cache-control", "public, max-age=soon")], "max-age=soon, private, no-store"),
            (vec![("cache-control", "max-age=-1")], "max-age=-1, private, no-store"),
            // Caches of proxies only.
            (vec![("cache-control", "s-maxage=60")], "s-maxage=60, private, no-store"),
            (vec![("cache-control", "")], "private, no-store"),
            (vec![("cache-control", "public, no-store")], "public, no-store"),
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
