//! What a person asked for, as opposed to what a page loads or a browser fetches in advance.
//!
//! A request that changes a session must be an act of the person. Browsers say so in the
//! `Sec-Fetch-*` headers (Fetch Metadata), which no page can set. Over plain http to another machine
//! browsers do not send them; there, `Origin` and `Referer` tell.

use http::header::{ORIGIN, REFERER};
use http::{HeaderMap, HeaderName, Method};

const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Headers in which a browser or a framework says that nobody has asked for the page yet.
const IN_ADVANCE: [HeaderName; 4] = [
    HeaderName::from_static("sec-purpose"),
    HeaderName::from_static("purpose"),
    HeaderName::from_static("x-purpose"),
    HeaderName::from_static("x-moz"),
];
const ROUTER_PREFETCH: HeaderName = HeaderName::from_static("next-router-prefetch");

/// What a request to `/oauth2/sign_out` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignOutIntent {
    /// The person wants to sign out.
    SignOut,
    /// Nobody knows: the person is asked.
    Unclear,
    /// Another site's form, or one of unknown origin.
    Foreign,
    /// The page is fetched in advance.
    InAdvance,
}

/// Whether the browser fetches the page before anybody has asked for it (prefetch, prerender).
pub fn is_in_advance(headers: &HeaderMap) -> bool {
    let says = |name: &HeaderName| {
        headers.get_all(name).iter().any(|value| {
            let value = value.as_bytes().to_ascii_lowercase();
            let has = |word: &[u8]| value.windows(word.len()).any(|part| part == word);
            has(b"prefetch") || has(b"prerender") || has(b"preview")
        })
    };
    IN_ADVANCE.iter().any(says) || headers.contains_key(ROUTER_PREFETCH)
}

/// Judges a request to `/oauth2/sign_out` at the origin `own`. `page`: a person reads the response.
pub fn sign_out(method: &Method, headers: &HeaderMap, own: &str, page: bool) -> SignOutIntent {
    if *method == Method::POST {
        return if is_own_form(headers, own) {
            SignOutIntent::SignOut
        } else {
            SignOutIntent::Foreign
        };
    }
    if is_in_advance(headers) {
        SignOutIntent::InAdvance
    } else if is_navigation(headers, &["same-origin", "none"])
        || !has_metadata(headers) && page && is_own_referer(headers, own)
    {
        SignOutIntent::SignOut
    } else {
        SignOutIntent::Unclear
    }
}

/// Whether a page of the origin `own` sends the form. A sibling host is another origin.
pub fn is_own_form(headers: &HeaderMap, own: &str) -> bool {
    let site = headers.get(FETCH_SITE);
    if site.is_some_and(|site| site != "same-origin") {
        return false;
    }
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(origin), None) => origin.as_bytes().eq_ignore_ascii_case(own.as_bytes()),
        // The browser itself says that the page is of this origin.
        (None, _) => site.is_some(),
        (Some(_), Some(_)) => false,
    }
}

/// Whether a person causes the request, for the idle limit: a page opens, or something changes. What
/// an open page requests by itself is no use: data, images, event streams, WebSocket handshakes, and
/// `PUT`, with which editors save by themselves. Programs that are no browsers do not say; their
/// requests are use.
pub(crate) fn is_use(method: &Method, headers: &HeaderMap) -> bool {
    if matches!(*method, Method::POST | Method::PATCH | Method::DELETE) {
        return true;
    }
    headers.get(FETCH_MODE).is_none_or(|mode| mode == "navigate") && !is_in_advance(headers)
}

/// Whether the person typed the address or chose a bookmark: no page can cause that.
pub(super) fn is_typed(headers: &HeaderMap) -> bool {
    is_navigation(headers, &["none"]) && !is_in_advance(headers)
}

/// Whether the request opens a page in a tab, from one of these sites.
fn is_navigation(headers: &HeaderMap, sites: &[&str]) -> bool {
    let is = |name: &HeaderName, wanted: &str| headers.get(name).is_some_and(|is| is == wanted);
    is(&FETCH_MODE, "navigate")
        && is(&FETCH_DEST, "document")
        && sites.iter().any(|site| is(&FETCH_SITE, site))
}

fn has_metadata(headers: &HeaderMap) -> bool {
    [FETCH_DEST, FETCH_MODE, FETCH_SITE].iter().any(|name| headers.contains_key(name))
}

fn is_own_referer(headers: &HeaderMap, own: &str) -> bool {
    let Some(referer) = headers.get(REFERER) else { return false };
    let (origin, rest) = referer.as_bytes().split_at(own.len().min(referer.len()));
    origin.eq_ignore_ascii_case(own.as_bytes()) && rest.first() == Some(&b'/')
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const OWN: &str = "http://a.test";

    fn map(lines: &[(&'static str, &'static str)]) -> HeaderMap {
        lines
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn fetched(
        site: &'static str,
        mode: &'static str,
        dest: &'static str,
    ) -> [(&'static str, &'static str); 3] {
        [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)]
    }

    fn get(lines: &[(&'static str, &'static str)]) -> SignOutIntent {
        sign_out(&Method::GET, &map(lines), OWN, true)
    }

    #[test]
    fn what_an_open_page_requests_by_itself_is_no_use() {
        for (method, mode, wanted) in [
            (Method::GET, "navigate", true),
            (Method::POST, "navigate", true),
            (Method::POST, "cors", true),
            (Method::PATCH, "cors", true),
            (Method::DELETE, "same-origin", true),
            (Method::GET, "cors", false),
            (Method::GET, "same-origin", false),
            (Method::GET, "no-cors", false),
            (Method::GET, "websocket", false),
            (Method::HEAD, "cors", false),
            (Method::OPTIONS, "cors", false),
            (Method::PUT, "cors", false),
        ] {
            let found = is_use(&method, &map(&[("sec-fetch-mode", mode)]));
            assert_eq!(found, wanted, "{method} {mode}");
        }
        assert!(is_use(&Method::GET, &map(&[])) && is_use(&Method::PUT, &map(&[])));
        let ahead = map(&[("sec-fetch-mode", "navigate"), ("sec-purpose", "prefetch")]);
        assert!(!is_use(&Method::GET, &ahead));
    }

    #[test]
    fn a_get_signs_out_only_as_a_navigation_of_the_person() {
        for (site, mode, dest, wanted) in [
            ("same-origin", "navigate", "document", SignOutIntent::SignOut),
            ("none", "navigate", "document", SignOutIntent::SignOut),
            ("same-site", "navigate", "document", SignOutIntent::Unclear),
            ("cross-site", "navigate", "document", SignOutIntent::Unclear),
            ("same-origin", "navigate", "iframe", SignOutIntent::Unclear),
            ("same-origin", "no-cors", "image", SignOutIntent::Unclear),
            ("same-origin", "no-cors", "script", SignOutIntent::Unclear),
            ("same-origin", "cors", "empty", SignOutIntent::Unclear),
        ] {
            assert_eq!(get(&fetched(site, mode, dest)), wanted, "{site} {mode} {dest}");
        }
        // A part of the metadata is no navigation, whatever the referer says.
        let part = [("sec-fetch-site", "same-origin"), ("referer", "http://a.test/app")];
        assert_eq!(get(&part), SignOutIntent::Unclear);
    }

    #[test]
    fn what_is_fetched_in_advance_changes_nothing() {
        for says in [
            ("sec-purpose", "prefetch"),
            ("sec-purpose", "prefetch;prerender"),
            ("purpose", "Prefetch"),
            ("x-purpose", "preview"),
            ("x-moz", "prefetch"),
            ("next-router-prefetch", "1"),
        ] {
            let mut lines = fetched("same-origin", "navigate", "document").to_vec();
            lines.push(says);
            assert_eq!(get(&lines), SignOutIntent::InAdvance, "{says:?}");
            assert!(is_in_advance(&map(&[says])) && !is_typed(&map(&lines)), "{says:?}");
        }
        assert!(!is_in_advance(&map(&[("purpose", "show")])));
    }

    #[test]
    fn without_metadata_the_referer_tells() {
        let from = |referer: &'static str| get(&[("referer", referer)]);
        assert_eq!(from("http://a.test/app?x"), SignOutIntent::SignOut);
        assert_eq!(from("HTTP://A.TEST/"), SignOutIntent::SignOut);
        for foreign in
            ["http://b.test/", "http://a.test.evil.test/", "http://a.tes", "http://a.test", ""]
        {
            assert_eq!(from(foreign), SignOutIntent::Unclear, "{foreign}");
        }
        assert_eq!(get(&[]), SignOutIntent::Unclear);
        let image = sign_out(&Method::GET, &map(&[("referer", "http://a.test/")]), OWN, false);
        assert_eq!(image, SignOutIntent::Unclear);
    }

    #[test]
    fn a_form_needs_this_very_origin() {
        let post = |lines: &[(&'static str, &'static str)]| {
            sign_out(&Method::POST, &map(lines), OWN, true) == SignOutIntent::SignOut
        };
        let same = ("sec-fetch-site", "same-origin");
        for (lines, wanted) in [
            (vec![("origin", OWN)], true),
            (vec![("origin", OWN), same], true),
            (vec![same], true),
            (vec![], false),
            (vec![("referer", "http://a.test/")], false),
            (vec![("origin", "null")], false),
            (vec![("origin", "null"), same], false),
            (vec![("origin", "http://b.a.test")], false),
            (vec![("origin", "https://a.test")], false),
            (vec![("origin", OWN), ("sec-fetch-site", "same-site")], false),
            (vec![("sec-fetch-site", "none")], false),
        ] {
            assert_eq!(post(&lines), wanted, "{lines:?}");
        }
        let mut doubled = map(&[("origin", OWN)]);
        doubled.append("origin", HeaderValue::from_static(OWN));
        assert!(!is_own_form(&doubled, OWN));
    }
}
