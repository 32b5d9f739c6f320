//! Starts an app that is stopped because nobody uses it, and says how the request goes on.
//!
//! This comes after the checks of the caller: no stranger starts an app. A page that was opened before
//! the app was stopped does not start it by its own requests, else a forgotten tab would keep the app
//! running for ever.

use http::header::{HOST, HeaderMap, HeaderName, REFERER, USER_AGENT};
use http::{HeaderValue, Method, Uri};

use super::readiness::not_ready;
use super::routed_app::RoutedApp;
use crate::config::{Phase, Reading, below};
use crate::proxy::answer::refusal::Refusal;

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// A request that meets an app that is not ready.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) method: &'a Method,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) websocket: bool,
    /// A person reads the response.
    pub(crate) page: bool,
    /// The person sees the page that says that the app starts, and the page asks again.
    pub(crate) refresh: bool,
}

/// How a request goes on.
#[derive(Debug)]
pub(crate) enum Waking {
    /// The app is not about to start because of a request.
    No,
    /// The request waits until the app is ready.
    Waits,
    /// The response is sent at once.
    Refused(Refusal),
}

/// Starts the app if it is stopped because nobody uses it. An app that is being stopped for that starts
/// again afterwards.
pub(crate) fn wake(app: &RoutedApp, asking: Asking<'_>) -> Waking {
    let Some(sleeper) = &app.sleeper else { return Waking::No };
    let phase = app.phase();
    if phase == Phase::Idle || phase == Phase::Stopping && sleeper.may_sleep() {
        if is_asked_by_an_open_page(&app.route.path, asking) {
            return Waking::Refused(not_ready(app, Phase::Idle));
        }
        sleeper.wake();
    } else if !sleeper.is_waking() {
        return Waking::No;
    }
    if asking.page && !asking.refresh {
        Waking::Refused(not_ready(app, Phase::Starting))
    } else {
        Waking::Waits
    }
}

/// Whether a page of the app below `path` sends the request, and not a person or a program. Requests
/// that change something are acts of a person.
fn is_asked_by_an_open_page(path: &str, asking: Asking<'_>) -> bool {
    let Asking { method, headers, websocket, page, .. } = asking;
    let mode = headers.get(FETCH_MODE).map(HeaderValue::as_bytes);
    if websocket {
        // Browsers send no `Referer` with a handshake, and over plain http no mode either.
        let agent = headers.get(USER_AGENT).map_or(&b""[..], HeaderValue::as_bytes);
        return mode.is_some() || agent.starts_with(b"Mozilla/");
    }
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let referer = headers.get(REFERER).and_then(|value| value.to_str().ok()?.parse::<Uri>().ok());
    let Some(referer) = referer.filter(|_| reads && !page && mode != Some(b"navigate")) else {
        return false;
    };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let is_here = referer.authority().map(http::uri::Authority::as_str) == host;
    is_here && below(referer.path().as_bytes(), path, Reading::Decoded).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_of_open_pages_are_told_apart_from_those_of_people_and_programs() {
        let own = ("referer", "http://localhost:8080/app1/?x=1");
        let cors = ("sec-fetch-mode", "cors");
        let browser = ("user-agent", "Mozilla/5.0 (X11; Linux x86_64)");
        for (method, websocket, lines, wanted) in [
            ("GET", false, vec![own, cors], true),
            ("HEAD", false, vec![own, cors], true),
            // Over plain http, browsers send no mode.
            ("GET", false, vec![own], true),
            // A script of a page of another app, or of another site, needs the app.
            ("GET", false, vec![("referer", "http://localhost:8080/app2/"), cors], false),
            ("GET", false, vec![("referer", "http://localhost:8080/app10/"), cors], false),
            ("GET", false, vec![("referer", "http://other.example/app1/"), cors], false),
            ("GET", false, vec![cors], false),
            // A person presses a button.
            ("POST", false, vec![own, cors], false),
            // A link of the page, and a program.
            ("GET", false, vec![own, ("sec-fetch-mode", "navigate")], false),
            ("GET", false, vec![("user-agent", "curl/8")], false),
            ("GET", false, vec![], false),
            ("GET", true, vec![("sec-fetch-mode", "websocket"), browser], true),
            ("GET", true, vec![("origin", "http://localhost:8080"), browser], true),
            ("GET", true, vec![("origin", "http://localhost:8080")], false),
            ("GET", true, vec![], false),
        ] {
            let headers: HeaderMap = [("host", "localhost:8080")]
                .iter()
                .chain(&lines)
                .map(|(name, value)| {
                    (HeaderName::from_static(name), HeaderValue::from_static(value))
                })
                .collect();
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            let asking = Asking {
                method: &method,
                headers: &headers,
                websocket,
                page: false,
                refresh: false,
            };
            assert_eq!(is_asked_by_an_open_page("/app1", asking), wanted, "{method} {lines:?}");
            let page = Asking { page: true, ..asking };
            assert!(websocket || !is_asked_by_an_open_page("/app1", page), "{lines:?}");
        }
    }
}
