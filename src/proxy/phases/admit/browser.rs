//! What the headers of a browser say about a request: whether a person reads the response, and which
//! site caused the request.

use http::header::{ACCEPT, CACHE_CONTROL, HOST, HeaderMap, ORIGIN, REFERER, UPGRADE};
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, Uri};

use crate::auth::intent;

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
pub(crate) const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// A service worker of the page's origin gets the response, and can read it (Service Workers, §3.6).
const PRELOAD: HeaderName = HeaderName::from_static("service-worker-navigation-preload");
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
    !script && accepts(headers, b"text/html")
}

/// Whether the client asks for an event stream, by the name of its media type.
pub(crate) fn accepts_events(headers: &HeaderMap) -> bool {
    accepts(headers, b"text/event-stream")
}

/// Whether the client asks for JSON, by the name of its media type.
pub(crate) fn accepts_json(headers: &HeaderMap) -> bool {
    accepts(headers, b"application/json")
}

fn accepts(headers: &HeaderMap, media_type: &[u8]) -> bool {
    let names_it = |accept: &HeaderValue| {
        let mut types = accept.as_bytes().split(|&b| b == b',' || b == b';');
        types.any(|one| one.trim_ascii().eq_ignore_ascii_case(media_type))
    };
    headers.get_all(ACCEPT).iter().any(names_it)
}

/// Whether a page that refreshes itself asks again: a browser then sends the address of the page as
/// `Referer`, or asks as for a reload.
pub(crate) fn is_refresh(headers: &HeaderMap, uri: &Uri) -> bool {
    let is_reload = headers.get(CACHE_CONTROL).is_some_and(|value| value == "max-age=0");
    let own_path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let referer = headers.get(REFERER).and_then(|value| value.to_str().ok());
    let from = referer.and_then(|referer| referer.splitn(4, '/').nth(3));
    is_reload || from.is_some_and(|from| own_path.strip_prefix('/') == Some(from))
}

/// Whether the response becomes a page of its own: no script reads it and no other page frames it.
/// Programs that are no browsers do not say, and neither do browsers over plain http to another
/// machine.
pub(crate) fn opens_a_page(headers: &HeaderMap) -> bool {
    let is = |name: HeaderName, wanted: &str| headers.get(name).is_none_or(|is| is == wanted);
    is(FETCH_MODE, "navigate") && is(FETCH_DEST, "document") && !headers.contains_key(PRELOAD)
}

/// The frame of a page that shows the response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PageFrame {
    /// The response is no page, or a page of its own.
    None,
    /// A page of the same site has caused the request.
    OfThisSite,
    /// A page of another site has caused it. The session cookie does not come with the request, and
    /// issuers do not let their login be framed.
    OfAnotherSite,
}

/// The frame of the response to a navigation.
pub(crate) fn page_frame(headers: &HeaderMap) -> PageFrame {
    let frames = ["iframe", "frame", "embed", "object"];
    let dest = headers.get(FETCH_DEST);
    if !dest.is_some_and(|dest| frames.iter().any(|frame| dest == frame)) {
        PageFrame::None
    } else if headers.get(FETCH_SITE).is_some_and(|site| site == "cross-site") {
        PageFrame::OfAnotherSite
    } else {
        PageFrame::OfThisSite
    }
}

/// Whether a request may use the cookie of a frame: it opens the page of a frame, or comes from a page of
/// the same origin and opens no page of its own: a whole page takes the session cookie. Pages beside the frame and frames below it can make a browser send the cookie as well:
/// such a request has no session. Browsers that keep the cookie send `Sec-Fetch-Site`, except with the
/// handshake of a WebSocket, whose `Origin` is checked; pages cannot send `Upgrade`.
pub(crate) fn is_of_own_frame(method: &Method, headers: &HeaderMap) -> bool {
    match headers.get(FETCH_SITE) {
        Some(site) if site == "same-origin" => {
            headers.get(FETCH_DEST).is_none_or(|dest| dest != "document")
        }
        Some(_) => {
            let navigates = headers.get(FETCH_MODE).is_some_and(|mode| mode == "navigate");
            navigates
                && page_frame(headers) != PageFrame::None
                && matches!(*method, Method::GET | Method::HEAD)
        }
        None => headers.contains_key(UPGRADE),
    }
}

/// Whether a browser sends the request, as far as it tells. A script's POST has an `Origin` also
/// where there is no `Sec-Fetch-Site`.
pub(crate) fn is_browser(headers: &HeaderMap) -> bool {
    headers.contains_key(FETCH_SITE)
        || headers.contains_key(FETCH_MODE)
        || headers.contains_key(ORIGIN)
}

/// The origin that a request is sent to, as browsers write it: without the default port of the scheme.
/// `None` unless there is exactly one `Host`. `secure`: the browser uses https.
pub(crate) fn own_origin(headers: &HeaderMap, secure: bool) -> Option<String> {
    let mut hosts = headers.get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return None };
    let host = host.to_str().ok().filter(|host| !host.is_empty())?;
    let (scheme, port) = if secure { ("https", ":443") } else { ("http", ":80") };
    Some(format!("{scheme}://{}", host.strip_suffix(port).unwrap_or(host)))
}

/// Whether the request can go on after a detour to the login: its method is safe to repeat (RFC 9110
/// section 9.2.1), and the browser does not fetch the page in advance.
pub(crate) fn can_sign_in(method: &Method, headers: &HeaderMap) -> bool {
    matches!(*method, Method::GET | Method::HEAD) && !intent::is_in_advance(headers)
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
    fn frames_of_other_sites_are_told_apart_from_frames_of_the_same_site() {
        for (dest, site, frame) in [
            ("iframe", "cross-site", PageFrame::OfAnotherSite),
            ("frame", "cross-site", PageFrame::OfAnotherSite),
            ("embed", "cross-site", PageFrame::OfAnotherSite),
            ("object", "cross-site", PageFrame::OfAnotherSite),
            ("iframe", "same-origin", PageFrame::OfThisSite),
            ("iframe", "same-site", PageFrame::OfThisSite),
            ("document", "cross-site", PageFrame::None),
            ("empty", "cross-site", PageFrame::None),
        ] {
            let headers = map(&[("sec-fetch-dest", dest), ("sec-fetch-site", site)]);
            assert_eq!(page_frame(&headers), frame, "{dest} {site}");
        }
        assert_eq!(page_frame(&map(&[("sec-fetch-dest", "iframe")])), PageFrame::OfThisSite);
    }

    #[test]
    fn the_cookie_of_a_frame_counts_for_the_frame_and_its_own_requests() {
        let fetched = |site, mode, dest| {
            map(&[("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)])
        };
        for (method, site, mode, dest, counts) in [
            (Method::GET, "cross-site", "navigate", "iframe", true),
            (Method::GET, "same-site", "navigate", "iframe", true),
            (Method::HEAD, "cross-site", "navigate", "object", true),
            (Method::POST, "cross-site", "navigate", "iframe", false),
            (Method::GET, "cross-site", "navigate", "document", false),
            (Method::GET, "none", "navigate", "document", false),
            (Method::GET, "cross-site", "no-cors", "script", false),
            (Method::GET, "same-site", "no-cors", "image", false),
            (Method::GET, "cross-site", "cors", "empty", false),
            (Method::GET, "cross-site", "websocket", "empty", false),
            (Method::GET, "same-origin", "cors", "empty", true),
            (Method::POST, "same-origin", "cors", "empty", true),
            (Method::POST, "same-origin", "navigate", "iframe", true),
            (Method::GET, "same-origin", "websocket", "empty", true),
            (Method::GET, "same-origin", "navigate", "document", false),
            (Method::POST, "same-origin", "navigate", "document", false),
        ] {
            let found = is_of_own_frame(&method, &fetched(site, mode, dest));
            assert_eq!(found, counts, "{method} {site} {mode} {dest}");
        }
        assert!(is_of_own_frame(&Method::GET, &map(&[("upgrade", "websocket")])));
        assert!(!is_of_own_frame(&Method::GET, &map(&[])));
    }

    #[test]
    fn a_script_a_frame_and_a_service_worker_open_no_page() {
        let page = [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")];
        assert!(opens_a_page(&map(&page)) && opens_a_page(&map(&[])));
        for other in [
            [("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
            [("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            [("sec-fetch-mode", "same-origin"), ("sec-fetch-dest", "document")],
        ] {
            assert!(!opens_a_page(&map(&other)), "{other:?}");
        }
        let preload = [page[0], page[1], ("service-worker-navigation-preload", "true")];
        assert!(!opens_a_page(&map(&preload)));
    }

    #[test]
    fn a_page_that_refreshes_itself_is_told_apart_from_a_first_visit() {
        let uri: Uri = "/app1/?a=b".parse().unwrap();
        let seen = |lines: &[(&'static str, &'static str)]| is_refresh(&map(lines), &uri);
        assert!(seen(&[("referer", "http://localhost:8080/app1/?a=b")]));
        assert!(seen(&[("cache-control", "max-age=0")]));
        assert!(!seen(&[]));
        assert!(!seen(&[
            ("referer", "http://localhost:8080/app1/"),
            ("cache-control", "no-store")
        ]));
        assert!(is_refresh(&map(&[("referer", "http://localhost:8080/")]), &"/".parse().unwrap()));
        assert!(!is_refresh(&map(&[("referer", "http://localhost:8080")]), &"/".parse().unwrap()));
    }

    #[test]
    fn a_client_asks_for_events_by_their_name() {
        for (accept, wanted) in [
            ("text/event-stream", true),
            ("application/json, Text/Event-Stream;q=0.5", true),
            ("text/event-streams", false),
            ("text/*", false),
            ("*/*", false),
        ] {
            assert_eq!(accepts_events(&map(&[("accept", accept)])), wanted, "{accept}");
        }
        assert!(!accepts_events(&map(&[])));
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
}
