//! What the headers of a browser say about a request: whether a person reads the response, and which
//! site caused the request.

use http::header::{ACCEPT, HeaderMap, ORIGIN, REFERER};
use http::{HeaderName, HeaderValue, Method};

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Whether a person reads the response. Browsers send `Sec-Fetch-Mode`, except over plain http to
/// another machine. Without this header, a request that accepts HTML counts as one of a person,
/// unless it has the `X-Requested-With` of jQuery and other libraries.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    if let Some(mode) = headers.get(FETCH_MODE) {
        return mode == "navigate";
    }
    let script = headers
        .get(REQUESTED_WITH)
        .is_some_and(|by| by.as_bytes().eq_ignore_ascii_case(b"XMLHttpRequest"));
    let takes_html = |accept: &HeaderValue| {
        let mut types = accept.as_bytes().split(|&b| b == b',' || b == b';');
        types.any(|one| one.trim_ascii().eq_ignore_ascii_case(b"text/html"))
    };
    !script && headers.get_all(ACCEPT).iter().any(takes_html)
}

/// Whether the response becomes a page of its own: no script reads it and no other page frames it.
/// Programs that are no browsers do not say, and neither do browsers over plain http to another
/// machine.
pub(crate) fn opens_a_page(headers: &HeaderMap) -> bool {
    let is = |name: HeaderName, wanted: &str| headers.get(name).is_none_or(|is| is == wanted);
    is(FETCH_MODE, "navigate") && is(FETCH_DEST, "document")
}

/// Whether a browser sends the request, as far as it tells. A script's POST has an `Origin` also
/// where there is no `Sec-Fetch-Site`.
pub(crate) fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(FETCH_SITE)
        || headers.contains_key(FETCH_MODE)
        || headers.contains_key(ORIGIN)
}

/// Whether the method is safe to repeat after a login (RFC 9110 section 9.2.1).
pub(crate) fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

/// Whether another site made the browser send the request. Browsers send `Sec-Fetch-Site`, except
/// over plain http to another machine. Without this header, `Origin` or `Referer` decides. `own` is
/// the origin of the appliance.
pub(crate) fn is_cross_site(headers: &HeaderMap, own: &str) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return site == "cross-site";
    }
    let Some(from) = headers.get(ORIGIN).or_else(|| headers.get(REFERER)) else { return false };
    let (origin, rest) = from.as_bytes().split_at(own.len().min(from.len()));
    !origin.eq_ignore_ascii_case(own.as_bytes()) || !matches!(rest.first(), None | Some(b'/'))
}

/// Whether a page of another origin sends the request, with the cookies of the page's visitor. A
/// request without `Origin` does not come from a page. `allowed` are further accepted origins; `*`
/// accepts all.
pub(crate) fn is_foreign_origin(headers: &HeaderMap, own: &str, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let Some(origin) = origins.next() else { return false };
    let known = origin.as_bytes().eq_ignore_ascii_case(own.as_bytes())
        || allowed
            .iter()
            .any(|one| one == "*" || origin.as_bytes().eq_ignore_ascii_case(one.as_bytes()));
    !known || origins.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn navigations_are_told_apart_from_requests_of_programs() {
        let html = ("accept", "text/html,*/*;q=0.8");
        for (lines, wanted) in [
            (vec![html], true),
            (vec![("sec-fetch-mode", "navigate")], true),
            (vec![html, ("sec-fetch-mode", "cors")], false),
            (vec![("accept", "application/xml, Text/HTML;q=0.9")], true),
            (vec![html, ("x-requested-with", "XMLHttpRequest")], false),
            // An Android app with an embedded browser.
            (vec![html, ("x-requested-with", "com.example.app")], true),
            (vec![("accept", "text/htmlx")], false),
            (vec![("accept", "*/*")], false),
            (vec![("accept", "application/json")], false),
            (vec![], false),
        ] {
            assert_eq!(wants_page(&map(&lines)), wanted, "{lines:?}");
        }
    }

    #[test]
    fn requests_of_other_sites_are_recognised() {
        let own = "http://a.test";
        for (lines, wanted) in [
            (vec![], false),
            (vec![("sec-fetch-site", "same-origin")], false),
            (vec![("sec-fetch-site", "none")], false),
            (vec![("sec-fetch-site", "cross-site")], true),
            (vec![("origin", "http://a.test")], false),
            (vec![("origin", "http://evil.test")], true),
            (vec![("origin", "null")], true),
            (vec![("origin", "http://a.test.evil.test")], true),
            (vec![("referer", "http://a.test/app1/")], false),
            (vec![("referer", "http://evil.test/")], true),
            (vec![("referer", "http://a.tes")], true),
        ] {
            assert_eq!(is_cross_site(&map(&lines), own), wanted, "{lines:?}");
        }
    }

    #[test]
    fn only_the_own_and_allowed_origins_are_accepted() {
        let own = "http://localhost:8080";
        let asks = |origin: &'static str| map(&[("origin", origin)]);
        assert!(!is_foreign_origin(&HeaderMap::new(), own, &[]));
        assert!(!is_foreign_origin(&asks("http://localhost:8080"), own, &[]));
        for bad in ["null", "http://localhost", "https://localhost:8080", "http://localhost:80800"]
        {
            assert!(is_foreign_origin(&asks(bad), own, &[]), "{bad}");
        }
        let partner = ["https://partner.example".to_owned()];
        assert!(!is_foreign_origin(&asks("https://partner.example"), own, &partner));
        assert!(!is_foreign_origin(&asks("null"), own, &["*".to_owned()]));
    }
}
