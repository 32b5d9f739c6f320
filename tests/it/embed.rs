//! Apps in frames of other sites: the window, the exchange, and the cookie of the frame.

use std::collections::BTreeMap;

use http::header::{CONTENT_SECURITY_POLICY, SET_COOKIE, X_FRAME_OPTIONS};
use reqwest::Method;
use serde_json::json;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

use crate::fixture::Fixture;
use crate::harness::{Answer, Browser, FETCH, NAVIGATION};
use crate::reload::{edit, reload};
use crate::websocket::{Socket, closed, echoes};

const WIKI: &str = "https://wiki.example.org";
const ANCESTORS: &str = "frame-ancestors 'self' https://wiki.example.org";

const APPS: &str = r#"
[apps.board]
host = "board.localhost"
path = "/board"
upstream = "http://127.0.0.1:{UP}"
embed = ["https://wiki.example.org"]
[apps.team]
host = "team.localhost"
path = "/team"
upstream = "http://127.0.0.1:{UP}"
access = { groups = ["group2"] }
embed = ["https://wiki.example.org"]
[apps.other]
host = "other.localhost"
path = "/other"
upstream = "http://127.0.0.1:{UP}"
embed = ["https://wiki.example.org"]
"#;

/// A navigation of a frame in a page of another site.
const FRAMED: &[(&str, &str)] = &[
    ("accept", "text/html,*/*;q=0.8"),
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-dest", "iframe"),
];

/// A frame in a page of another site. Its cookies are in a partition of their own: it has none of those of
/// the person's other tabs, and takes only those that a browser takes there.
struct Frame {
    browser: Browser,
    url: String,
    /// By path and name.
    cookies: BTreeMap<(String, String), String>,
}

impl Frame {
    fn new(fixture: &Fixture, app: &str) -> Self {
        let url = at(fixture, app);
        Self { browser: Browser::new(&url), url, cookies: BTreeMap::new() }
    }

    fn line(&self, path: &str) -> String {
        let is_for = |of: &str| {
            let rest = path.strip_prefix(of);
            rest.is_some_and(|rest| rest.is_empty() || of.ends_with('/') || rest.starts_with('/'))
        };
        let sent = self.cookies.iter().filter(|((of, _), _)| is_for(of));
        sent.map(|((_, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    async fn send(&mut self, method: Method, path: &str, headers: &[(&str, &str)]) -> Answer {
        let line = self.line(path.split('?').next().unwrap());
        let more: &[_] = if line.is_empty() { &[] } else { &[("cookie", &*line)] };
        let answer = self.browser.send(method, path, &[headers, more].concat()).await.unwrap();
        for line in answer.headers.get_all(SET_COOKIE) {
            self.keep(line.to_str().unwrap());
        }
        answer
    }

    fn keep(&mut self, line: &str) {
        let mut parts = line.split("; ");
        let (name, value) = parts.next().unwrap().split_once('=').unwrap();
        let attributes: Vec<_> = parts.collect();
        if ["SameSite=None", "Secure", "Partitioned"].iter().all(|one| attributes.contains(one)) {
            let path = attributes.iter().find_map(|one| one.strip_prefix("Path=")).unwrap();
            self.cookies.insert((path.to_owned(), name.to_owned()), value.to_owned());
        }
    }

    async fn open(&mut self, path: &str) -> Answer {
        self.send(Method::GET, path, FRAMED).await
    }

    /// A request of the page in the frame.
    async fn fetch(&mut self, method: Method, path: &str) -> Answer {
        let origin = self.url.clone();
        let own = [("sec-fetch-site", "same-origin"), ("origin", &*origin)];
        self.send(method, path, &[FETCH, &own].concat()).await
    }

    /// The script of the page exchanges a code.
    async fn exchange(&mut self, app: &str, code: &str) -> reqwest::StatusCode {
        let (origin, line) = (self.url.clone(), self.line("/oauth2/embed"));
        let headers = [("origin", &*origin), ("cookie", &*line)];
        let answer = exchange(&self.url, app, code, &headers).await;
        for line in answer.headers().get_all(SET_COOKIE) {
            self.keep(line.to_str().unwrap());
        }
        answer.status()
    }

    async fn websocket(&self, path: &str) -> Result<Socket, tokio_tungstenite::tungstenite::Error> {
        let mut request = format!("{}{path}", self.url.replace("http:", "ws:"))
            .replace("board.localhost", "127.0.0.1")
            .into_client_request()
            .unwrap();
        let host = self.url.strip_prefix("http://").unwrap();
        request.headers_mut().insert("host", host.parse().unwrap());
        request.headers_mut().insert("origin", self.url.parse().unwrap());
        request.headers_mut().insert("cookie", self.line(path).parse().unwrap());
        Ok(tokio_tungstenite::connect_async(request).await?.0)
    }
}

async fn exchange(url: &str, app: &str, code: &str, headers: &[(&str, &str)]) -> reqwest::Response {
    let (scheme, host) = url.split_once("://").unwrap();
    let port = host.rsplit_once(':').unwrap().1;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut request = client.post(format!("{scheme}://127.0.0.1:{port}/oauth2/embed"));
    request = request.header("host", host);
    for (name, value) in [FETCH, headers].concat() {
        request = request.header(name, value);
    }
    request.form(&[("app", app), ("code", code)]).send().await.unwrap()
}

/// The origin of an app.
fn at(fixture: &Fixture, app: &str) -> String {
    format!("http://{app}.localhost:{}", fixture.appliance.port)
}

fn window(fixture: &Fixture, app: &str) -> String {
    format!("{}/oauth2/embed?app={app}", at(fixture, app))
}

/// The code that a window of `browser` hands over.
async fn code(fixture: &Fixture, browser: &mut Browser, app: &str) -> String {
    code_of(&browser.go(&window(fixture, app)).await)
}

/// A browser in which `user` has signed in at the host of `board`.
async fn signed_in(fixture: &Fixture, user: &str) -> Browser {
    fixture.issuer.order(|orders| orders.user = user.into());
    let mut browser = Browser::new(&at(fixture, "board"));
    let answer = browser.go("/board/").await;
    assert_eq!(answer.status, 200, "{answer:?}");
    browser
}

fn code_of(page: &Answer) -> String {
    assert_eq!(page.status, 200, "{page:?}");
    let policy = page.headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("frame-ancestors 'none'; "), "{policy}");
    let (_, rest) = page.body.split_once("data-code=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

/// A frame of `app` that has its cookie.
async fn embedded(fixture: &Fixture, browser: &mut Browser, app: &str) -> Frame {
    let mut frame = Frame::new(fixture, app);
    let code = code(fixture, browser, app).await;
    assert_eq!(frame.exchange(app, &code).await, 204);
    frame
}

fn policies(answer: &Answer) -> Vec<&str> {
    let all = answer.headers.get_all(CONTENT_SECURITY_POLICY).iter();
    all.map(|one| one.to_str().unwrap()).collect()
}

#[tokio::test]
async fn a_frame_signs_in_by_a_window() {
    let fixture = Fixture::beside("", APPS).await;
    fixture.issuer.order(|orders| orders.user = "alice".into());
    let mut frame = Frame::new(&fixture, "board");
    let page = frame.open("/board/x?y=z").await;
    assert_eq!(page.status, 401);
    assert!(page.body.contains(r#"data-app="board" href="/oauth2/embed?app=board""#), "{page:?}");
    assert!(page.body.contains(r#"href="/board/x?y=z">Open in a new tab<"#), "{page:?}");
    assert!(policies(&page)[0].contains(&format!("{ANCESTORS}; ")), "{page:?}");
    let script = frame.fetch(Method::GET, "/_appliance/embed.js").await;
    assert_eq!(
        (script.status.as_u16(), script.headers["content-type"].to_str().unwrap()),
        (200, "text/javascript; charset=utf-8")
    );

    // The window begins without a session.
    let mut tab = Browser::new(&at(&fixture, "board"));
    let code = code(&fixture, &mut tab, "board").await;
    assert_eq!(frame.exchange("board", &code).await, 204);
    let name = format!("appliance-{}-embed-board", fixture.appliance.port);
    let kept: Vec<_> = frame.cookies.keys().cloned().collect();
    assert_eq!(kept, [("/".to_owned(), name)]);
    fixture.appliance.logs("signed in in a frame of another site").await;

    let answer = frame.open("/board/x?y=z").await;
    assert_eq!((answer.status.as_u16(), &answer.json()["target"]), (200, &json!("/board/x?y=z")));
    let seen = fixture.upstream.seen().pop().unwrap();
    assert_eq!(seen.all("x-forwarded-user"), ["alice"]);
    assert!(seen.all("cookie").is_empty(), "the app does not see the cookie");
    assert_eq!(frame.fetch(Method::POST, "/board/save").await.status, 200);
    echoes(&mut frame.websocket("/board/ws").await.unwrap()).await;
}

#[tokio::test]
async fn what_an_app_says_about_frames_does_not_count() {
    let fixture = Fixture::beside("", APPS).await;
    let mut alice = signed_in(&fixture, "alice").await;
    let mut frame = embedded(&fixture, &mut alice, "board").await;
    let answer = frame.open("/board/policies").await;
    assert_eq!(policies(&answer), ["img-src 'self'", ANCESTORS]);
    assert!(
        !answer.headers.contains_key(X_FRAME_OPTIONS) && !answer.headers.contains_key(SET_COOKIE)
    );
    let elsewhere = alice.go(&format!("{}/app/policies", fixture.appliance.url)).await;
    assert_eq!(policies(&elsewhere), ["frame-ancestors 'none'; img-src 'self'"]);
    assert!(elsewhere.headers.contains_key(X_FRAME_OPTIONS));
}

#[tokio::test]
async fn the_cookie_of_a_frame_opens_its_app_alone() {
    let fixture = Fixture::beside("", APPS).await;
    let mut alice = signed_in(&fixture, "alice").await;
    let mut frame = embedded(&fixture, &mut alice, "board").await;
    let value = frame.cookies.values().next().unwrap().clone();
    let mut other = Frame::new(&fixture, "other");
    // Whatever name somebody gives the cookie.
    let port = fixture.appliance.port;
    for name in ["", "-embed-board", "-embed-other", "-embed-app"] {
        for frame in [&mut frame, &mut other] {
            frame.keep(&format!(
                "appliance-{port}{name}={value}; Path=/; SameSite=None; Secure; Partitioned"
            ));
        }
    }
    assert_eq!(frame.open("/board/").await.status, 200);
    for path in ["/_appliance/", "/_appliance/session"] {
        let answer = frame.open(path).await;
        assert_ne!(answer.status, 200, "{path}");
        assert!(!answer.body.contains("alice"), "{path}");
    }
    for path in ["/oauth2/userinfo", "/oauth2/auth"] {
        assert_eq!(frame.fetch(Method::GET, path).await.status, 401, "{path}");
    }
    assert_eq!(other.open("/other/").await.status, 401);
    assert_eq!(other.fetch(Method::GET, "/other/data").await.status, 401);
    assert_eq!(other.send(Method::GET, "/oauth2/embed?app=other", FRAMED).await.status, 403);
    let window = other.send(Method::GET, "/oauth2/embed?app=other", NAVIGATION).await;
    assert_eq!(window.status, 302, "{window:?}");
}

#[tokio::test]
async fn a_code_counts_once_for_its_app_and_its_own_page() {
    let fixture = Fixture::beside("", APPS).await;
    let mut alice = signed_in(&fixture, "alice").await;
    let mut frame = Frame::new(&fixture, "board");
    let first = code(&fixture, &mut alice, "board").await;
    let mut other = Frame::new(&fixture, "other");
    assert_eq!(other.exchange("other", &first).await, 400, "a code of another app");
    let own = &*at(&fixture, "board");
    for headers in [
        &[("origin", WIKI)][..],
        &[("origin", "null")],
        &[("origin", own), ("sec-fetch-site", "cross-site")],
        &[("origin", own), ("sec-fetch-site", "same-site")],
        &[],
    ] {
        assert_eq!(exchange(own, "board", &first, headers).await.status(), 403, "{headers:?}");
    }
    assert_eq!(frame.exchange("board", &first).await, 204);
    assert_eq!(frame.exchange("board", &first).await, 400, "a second time");
    for (app, code) in [("board", ""), ("board", "x"), ("app", "x"), ("nobody", "x"), ("", "")] {
        assert!(frame.exchange(app, code).await.is_client_error(), "{app} {code}");
    }
    let late = code(&fixture, &mut alice, "board").await;
    alice.open("/oauth2/sign_out").await;
    assert_eq!(frame.exchange("board", &late).await, 400, "the session has ended");
}

#[tokio::test]
async fn no_page_of_another_site_gets_a_window_or_the_session_of_a_frame() {
    let fixture = Fixture::beside("", APPS).await;
    let mut alice = signed_in(&fixture, "alice").await;
    for (site, mode, dest) in [
        ("cross-site", "navigate", "iframe"),
        ("same-origin", "navigate", "iframe"),
        ("same-origin", "cors", "empty"),
        ("cross-site", "no-cors", "script"),
    ] {
        let headers =
            [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
        let answer = alice.send(Method::GET, "/oauth2/embed?app=board", &headers).await.unwrap();
        assert_eq!(answer.status, 403, "{site} {mode} {dest}");
        assert!(!answer.body.contains("data-code"), "{site} {mode} {dest}");
    }
    for app in ["app", "nobody", ""] {
        let window = alice.open(&format!("/oauth2/embed?app={app}")).await;
        assert_eq!(window.status, 404, "{app} has no `embed`");
    }
    // A page beside the frame makes the browser send the cookie of the frame.
    let mut frame = embedded(&fixture, &mut alice, "board").await;
    let mut beside = async |method: Method, mode, dest| {
        let headers =
            [("sec-fetch-site", "cross-site"), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
        frame
            .send(method, "/board/data", &[&headers[..], &[("origin", WIKI)]].concat())
            .await
            .status
    };
    assert_eq!(beside(Method::GET, "no-cors", "script").await, 401);
    assert_eq!(beside(Method::GET, "cors", "empty").await, 401);
    assert_eq!(beside(Method::POST, "navigate", "iframe").await, 401);
    assert_eq!(beside(Method::GET, "navigate", "document").await, 302);
    assert_eq!(beside(Method::GET, "navigate", "iframe").await, 200);
}

#[tokio::test]
async fn a_session_that_ends_ends_its_frames() {
    let fixture = Fixture::beside("", APPS).await;
    let mut alice = signed_in(&fixture, "alice").await;
    let mut frame = embedded(&fixture, &mut alice, "board").await;
    let mut socket = frame.websocket("/board/ws").await.unwrap();
    echoes(&mut socket).await;
    alice.open("/oauth2/sign_out").await;
    assert_eq!(closed(&mut socket).await.0, Some(CloseCode::Policy));
    assert_eq!(frame.open("/board/").await.status, 401);
    // A page of the frame leads to the button as well, not to the issuer.
    let inside = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "navigate")];
    let inside = [&inside[..], &[("sec-fetch-dest", "iframe")]].concat();
    let page = frame.send(Method::GET, "/board/next", &inside).await;
    assert!(page.status == 401 && page.body.contains("data-app=\"board\""), "{page:?}");

    let mut alice = signed_in(&fixture, "alice").await;
    let mut frame = embedded(&fixture, &mut alice, "board").await;
    assert_eq!(frame.open("/board/").await.status, 200);
    let token = fixture.issuer.logout_token(&json!({"sub": "sub-alice"}));
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}/oauth2/backchannel_logout", fixture.appliance.url);
    let ended = client.post(url).form(&[("logout_token", token)]).send().await.unwrap();
    assert_eq!(ended.status(), 200);
    assert_eq!(frame.open("/board/").await.status, 401);
}

#[tokio::test]
async fn a_reload_without_the_setting_ends_the_frames() {
    let fixture = Fixture::beside("", APPS).await;
    let mut alice = signed_in(&fixture, "alice").await;
    let mut frame = embedded(&fixture, &mut alice, "board").await;
    let mut socket = frame.websocket("/board/ws").await.unwrap();
    echoes(&mut socket).await;
    edit(&fixture.appliance, &[("embed = [\"https://wiki.example.org\"]\n", "")]);
    reload(&fixture.appliance);
    assert_eq!(closed(&mut socket).await.0, Some(CloseCode::Policy));
    let page = frame.open("/board/").await;
    assert!(page.status == 401 && !page.body.contains("/oauth2/embed"), "{page:?}");
    assert_eq!(alice.open("/oauth2/embed?app=board").await.status, 404);
    assert_eq!(alice.open("/board/").await.status, 200, "the session goes on");
}

#[tokio::test]
async fn the_rules_of_the_app_hold_in_a_frame() {
    let fixture = Fixture::beside("", APPS).await;
    let mut bob = signed_in(&fixture, "bob").await;
    let mut frame = embedded(&fixture, &mut bob, "team").await;
    let page = frame.open("/team/").await;
    assert_eq!(page.status, 403, "{page:?}");
    assert!(policies(&page)[0].contains(ANCESTORS), "the page shows in the frame");
    assert!(page.body.contains(r#"target="_blank" rel="noopener" href="/oauth2/sign_out""#));
    assert!(fixture.upstream.seen().iter().all(|seen| !seen.target.starts_with("/team")));
}

#[tokio::test]
async fn a_frame_stays_signed_in_over_a_restart() {
    let mut fixture = Fixture::beside("", APPS).await;
    let mut alice = signed_in(&fixture, "alice").await;
    let mut frame = embedded(&fixture, &mut alice, "board").await;
    for round in 0..2 {
        fixture.appliance.restart();
        fixture.appliance.wait_ready().await;
        assert_eq!(frame.open("/board/").await.status, 200, "{round}");
        assert_eq!(alice.go("/board/").await.status, 200, "{round}");
    }
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    // The session cookie first.
    assert_eq!(alice.go("/board/").await.status, 200);
    alice.open("/oauth2/sign_out").await;
    assert_eq!(frame.open("/board/").await.status, 401);
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    assert_eq!(frame.open("/board/").await.status, 401);
}

#[tokio::test]
async fn a_frame_keeps_its_person() {
    let fixture = Fixture::beside("", APPS).await;
    let mut alice = signed_in(&fixture, "alice").await;
    let mut frame = embedded(&fixture, &mut alice, "board").await;
    let mut bob = signed_in(&fixture, "bob").await;
    let of_bob = code(&fixture, &mut bob, "board").await;
    assert_eq!(frame.exchange("board", &of_bob).await, 400, "alice is signed in");
    assert_eq!(frame.open("/board/").await.status, 200);
    assert_eq!(fixture.upstream.seen().pop().unwrap().all("x-forwarded-user"), ["alice"]);
    let again = code(&fixture, &mut alice, "board").await;
    assert_eq!(frame.exchange("board", &again).await, 204, "the same person");
    alice.open("/oauth2/sign_out").await;
    assert_eq!(frame.exchange("board", &of_bob).await, 204, "alice has signed out");
    // A whole page takes the session cookie, also if a page of the same origin leads to it.
    let whole = [("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "navigate")];
    let whole = [&whole[..], &[("sec-fetch-dest", "document"), FRAMED[0]]].concat();
    assert_eq!(frame.send(Method::GET, "/board/", &whole).await.status, 302);
    assert_eq!(frame.fetch(Method::GET, "/board/data").await.status, 200);
}

#[tokio::test]
async fn one_person_does_not_use_up_the_codes_of_others() {
    let fixture = Fixture::beside("", APPS).await;
    let mut bob = signed_in(&fixture, "bob").await;
    let mut frame = Frame::new(&fixture, "board");
    for _ in 0..16 {
        let code = code(&fixture, &mut bob, "board").await;
        assert_eq!(frame.exchange("board", &code).await, 204);
    }
    let one_more = code(&fixture, &mut bob, "board").await;
    assert_eq!(frame.exchange("board", &one_more).await, 400);
    let mut alice = signed_in(&fixture, "alice").await;
    embedded(&fixture, &mut alice, "board").await;
}

#[tokio::test]
async fn a_reload_that_takes_an_origin_away_ends_the_frames() {
    let fixture = Fixture::beside("", APPS).await;
    let mut alice = signed_in(&fixture, "alice").await;
    let mut frame = embedded(&fixture, &mut alice, "board").await;
    let mut socket = frame.websocket("/board/ws").await.unwrap();
    let (one, two) = ("embed = [\"https://wiki.example.org\"]", "https://two.example.org");
    let both = format!("embed = [\"https://wiki.example.org\", \"{two}\"]");
    edit(&fixture.appliance, &[(one, &both)]);
    reload(&fixture.appliance);
    echoes(&mut socket).await;
    assert_eq!(frame.open("/board/").await.status, 200, "an origin more ends nothing");
    let pending = code(&fixture, &mut alice, "board").await;
    edit(&fixture.appliance, &[(&both, &format!("embed = [\"{two}\"]"))]);
    reload(&fixture.appliance);
    assert_eq!(closed(&mut socket).await.0, Some(CloseCode::Policy));
    assert_eq!(frame.open("/board/").await.status, 401);
    assert_eq!(frame.exchange("board", &pending).await, 400);
    assert_eq!(alice.open("/board/").await.status, 200, "the session goes on");
    let mut again = embedded(&fixture, &mut alice, "board").await;
    assert_eq!(again.open("/board/").await.status, 200);
}
