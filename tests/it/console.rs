//! The console of the operators, and the portal for programs, through the built appliance.

use reqwest::Method;
use serde_json::{Value, json};

use crate::fixture::Fixture;
use crate::harness::{Browser, NAVIGATION, PATIENCE, eventually};

const LIST: &str = "/_appliance/apps";
/// Alice is in the group, Bob is not. Both are in `staff`.
const OPERATORS: &str = "operators = { groups = [\"group2\"] }";
const APPS: &str = r#"
[apps.kid]
command = ["sh", "-c", "echo born; exec sleep 1000"]
[apps.other]
command = ["sleep", "1000"]
[apps.quoted]
path = "/quoted"
upstream = "http://127.0.0.1:{UP}"
title = "<b>Quoted</b>"
access = { groups = ["<i>none</i>"] }
"#;

async fn twin(browser: &mut Browser, path: &str) -> Value {
    let answer = browser
        .fetch(path, &[("accept", "application/json"), ("sec-fetch-site", "same-origin")])
        .await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

fn names(list: &Value) -> Vec<&str> {
    list["apps"].as_array().unwrap().iter().map(|app| app["name"].as_str().unwrap()).collect()
}

async fn pid(fixture: &Fixture) -> Value {
    fixture.appliance.wait_for_state("kid", "ready").await["pid"].clone()
}

/// The log of an app as it arrives.
struct Events {
    response: reqwest::Response,
    got: String,
}

impl Events {
    async fn open(fixture: &Fixture, browser: &Browser, app: &str) -> Self {
        let response = reqwest::Client::builder()
            .no_proxy()
            .build()
            .unwrap()
            .get(format!("{}{LIST}/{app}/log", fixture.appliance.url))
            .header("cookie", browser.cookie_line())
            .header("sec-fetch-site", "same-origin")
            .header("accept", "text/event-stream")
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { response, got: String::new() }
    }

    /// Reads on until the text has come.
    async fn until(&mut self, text: &str) {
        while !self.got.contains(text) {
            let piece = tokio::time::timeout(PATIENCE, self.response.chunk()).await;
            let piece = piece.unwrap_or_else(|_| panic!("{text} is not in {}", self.got));
            let piece = piece.unwrap().unwrap_or_else(|| panic!("the end: {}", self.got));
            self.got.push_str(std::str::from_utf8(&piece).unwrap());
        }
    }

    /// Reads to the end, which must be a proper one.
    async fn end(mut self) {
        let end = tokio::time::timeout(PATIENCE, async {
            while self.response.chunk().await.unwrap().is_some() {}
        });
        end.await.unwrap();
    }

    fn objects(&self) -> Vec<Value> {
        let events = self.got.split("\n\n").filter(|event| !event.is_empty());
        let object = |event: &str| serde_json::from_str(event.strip_prefix("data: ").unwrap());
        events.map(|event| object(event).unwrap()).collect()
    }
}

fn with_operators_of_kid(apps: &str) -> String {
    apps.replacen("[apps.kid]", "[apps.kid]\noperators = { groups = [\"staff\"] }", 1)
}

#[tokio::test]
async fn the_portal_for_programs_has_the_apps_that_the_person_may_open() {
    let fixture = Fixture::beside("", APPS).await;
    let (mut alice, mut bob) = (fixture.signed_in("alice").await, fixture.signed_in("bob").await);
    let (of_alice, of_bob) =
        (twin(&mut alice, "/_appliance/").await, twin(&mut bob, "/_appliance/").await);
    assert_eq!(of_alice["user"], "alice");
    assert!(of_alice["email"].as_str().unwrap().starts_with("alice@"), "{of_alice}");
    assert!(of_alice["groups"].as_array().unwrap().contains(&json!("group2")), "{of_alice}");
    let (of_alice, of_bob) = (names(&of_alice), names(&of_bob));
    assert!(of_alice.contains(&"app") && of_alice.contains(&"two"), "{of_alice:?}");
    assert!(of_bob.contains(&"app") && !of_bob.contains(&"two"), "{of_bob:?}");
    let list = twin(&mut bob, "/_appliance/").await;
    let app = list["apps"].as_array().unwrap().iter().find(|app| app["name"] == "app").unwrap();
    let wanted = json!({
        "name": "app", "title": "app", "description": null, "icon": null, "url": "/app/",
        "state": "ready",
    });
    assert_eq!(*app, wanted);

    let stranger = fixture.browser();
    let json = [("accept", "application/json")];
    let answer = stranger.send(Method::GET, "/_appliance/", &json).await.unwrap();
    assert!(answer.status == 401 && answer.json().is_string(), "{answer:?}");
    assert!(bob.open("/_appliance/").await.body.contains("<ul class=\"tiles\">"));
}

#[tokio::test]
async fn operators_see_all_apps_and_nobody_else_does() {
    let fixture = Fixture::beside(OPERATORS, APPS).await;
    let (mut alice, mut bob) = (fixture.signed_in("alice").await, fixture.signed_in("bob").await);
    let pid = pid(&fixture).await;
    let list = twin(&mut alice, LIST).await;
    let shown = names(&list);
    assert!(["app", "quoted", "kid", "other"].iter().all(|app| shown.contains(app)), "{shown:?}");
    assert_eq!(list["issuer"], json!({ "state": "right", "reason": null }));
    let found = fixture.appliance.app("kid").unwrap();
    let kid = list["apps"].as_array().unwrap().iter().find(|app| app["name"] == "kid").unwrap();
    for key in ["state", "pid", "since", "restarts", "last_exit", "ready", "port", "path"] {
        assert_eq!(kid[key], found[key], "{key}");
    }
    let of_kid = twin(&mut alice, &format!("{LIST}/kid")).await;
    assert_eq!((&of_kid["name"], &of_kid["processes"][0]["pid"]), (&json!("kid"), &pid));

    let page = alice.open(LIST).await;
    let own = "default-src 'none'; style-src 'self'";
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with(own) && !page.body.contains("<script"), "{policy}");
    assert_eq!(page.headers["cross-origin-opener-policy"], "noopener-allow-popups");
    assert!(page.body.contains("action=\"/_appliance/apps/kid/restart\""), "{}", page.body);
    let page = alice.open(&format!("{LIST}/quoted")).await;
    assert!(!page.body.contains("/quoted/restart\"") && page.body.contains("&lt;i&gt;none"));
    assert!(!page.body.contains("<i>") && !page.body.contains("<b>"), "{}", page.body);

    for path in [LIST, &format!("{LIST}/kid"), &format!("{LIST}/nothing")] {
        assert_eq!(bob.open(path).await.status, 403, "{path}");
        assert_eq!(bob.fetch(path, &[]).await.status, 403, "{path}");
        let stranger = fixture.browser();
        assert_eq!(stranger.send(Method::GET, path, NAVIGATION).await.unwrap().status, 302);
        assert_eq!(stranger.send(Method::GET, path, &[]).await.unwrap().status, 401);
        // A page of another site may link to it, and neither frame nor read it.
        for headers in [
            &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")][..],
            &[("sec-fetch-mode", "cors"), ("sec-fetch-site", "same-site")],
            &[("sec-fetch-mode", "no-cors"), ("sec-fetch-site", "cross-site")],
        ] {
            let answer = alice.send(Method::GET, path, headers).await.unwrap();
            assert_eq!(answer.status, 403, "{path} {headers:?}");
        }
    }
    assert_eq!(alice.open(&format!("{LIST}/nothing")).await.status, 404);
    assert_eq!(alice.open(&format!("{LIST}/kid/nothing")).await.status, 404);
    assert_eq!(alice.open(&format!("{LIST}/k%69d")).await.status, 404);
}

#[tokio::test]
async fn operators_of_one_app_see_and_order_that_app_and_nothing_else() {
    let fixture = Fixture::beside("", &with_operators_of_kid(APPS)).await;
    let mut bob = fixture.signed_in("bob").await;
    let before = pid(&fixture).await;
    assert_eq!(names(&twin(&mut bob, LIST).await), ["kid"]);
    assert!(!bob.open(LIST).await.body.contains("other"));
    for name in ["other", "app", "nothing"] {
        assert_eq!(bob.open(&format!("{LIST}/{name}")).await.status, 403, "{name}");
        let answer = fixture.press(&bob, &format!("{LIST}/{name}/stop")).await;
        assert_eq!(answer.status, 403, "{name}");
    }
    assert_eq!(bob.open("/_appliance/sessions").await.status, 403);
    let answer = fixture.press(&bob, &format!("{LIST}/kid/restart")).await;
    assert_eq!((answer.status.as_u16(), answer.location()), (303, "/_appliance/apps/kid"));
    eventually("another process", async || (pid(&fixture).await != before).then_some(())).await;
}

#[tokio::test]
async fn the_portal_leads_operators_to_what_they_may_open() {
    let fixture = Fixture::beside(OPERATORS, &with_operators_of_kid(APPS)).await;
    for (user, wanted) in [("alice", [true, true]), ("bob", [true, false])] {
        let mut browser = fixture.signed_in(user).await;
        let portal = browser.open("/_appliance/").await.body;
        let links =
            [LIST, "/_appliance/sessions"].map(|path| portal.contains(&format!("\"{path}\"")));
        assert_eq!(links, wanted, "{user}: {portal}");
    }
    let fixture = Fixture::beside("", APPS).await;
    let portal = fixture.signed_in("bob").await.open("/_appliance/").await.body;
    assert!(!portal.contains("For operators"), "{portal}");
}

#[tokio::test]
async fn an_order_is_a_post_of_an_own_page() {
    let fixture = Fixture::beside(OPERATORS, APPS).await;
    let alice = fixture.signed_in("alice").await;
    let before = pid(&fixture).await;
    let url = fixture.appliance.url.as_str();
    let own = ("origin", url);
    for order in ["start", "stop", "restart"] {
        let path = format!("{LIST}/kid/{order}");
        for headers in [
            &[][..],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
            &[("origin", "https://evil.example")],
            &[("origin", "null")],
            &[("origin", "null"), ("sec-fetch-site", "same-origin")],
            &[own, ("sec-fetch-site", "same-site")],
            &[own, ("sec-fetch-site", "none")],
            &[("origin", &format!("{url}.example"))],
            // A script, and a form whose response nobody sees, of an app on the same origin.
            &[own, ("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")],
            &[
                own,
                ("sec-fetch-site", "same-origin"),
                ("sec-fetch-mode", "navigate"),
                ("sec-fetch-dest", "iframe"),
            ],
            // Without `Origin`, whatever else the browser says.
            &[("sec-fetch-site", "same-origin")],
        ] {
            let answer = alice.send(Method::POST, &path, headers).await.unwrap();
            assert_eq!(answer.status, 403, "{path} {headers:?}");
        }
        for method in [Method::GET, Method::HEAD, Method::PUT, Method::DELETE] {
            assert_eq!(alice.send(method, &path, &[own]).await.unwrap().status, 405);
        }
        let stranger = fixture.browser();
        assert_eq!(stranger.send(Method::POST, &path, &[own]).await.unwrap().status, 401);
        // Under the host of an app, the console is not served.
        let hosted = [("host", "hosted.test"), own];
        assert_eq!(alice.send(Method::POST, &path, &hosted).await.unwrap().status, 404);
    }
    let hosted = [("host", "hosted.test"), NAVIGATION[0]];
    let answer = alice.send(Method::GET, LIST, &hosted).await.unwrap();
    assert!(answer.status == 302 && answer.location().ends_with("/_appliance/"), "{answer:?}");
    assert_eq!(pid(&fixture).await, before);

    let answer = alice
        .send(Method::POST, &format!("{LIST}/kid/stop"), &[own, ("accept", "application/json")])
        .await
        .unwrap();
    assert_eq!((answer.status.as_u16(), &answer.json()["order"]), (202, &json!("stop")));
    fixture.appliance.wait_for_state("kid", "stopped").await;
    let page = alice.send(Method::GET, &format!("{LIST}/kid"), NAVIGATION).await.unwrap();
    assert!(page.body.contains("/kid/start\"") && !page.body.contains("/kid/stop\""));
    assert_eq!(fixture.press(&alice, &format!("{LIST}/kid/start")).await.status, 303);
    assert_ne!(pid(&fixture).await, before);
    let log = fixture.appliance.log();
    for order in ["stop", "start"] {
        let line = format!("order of an operator app=kid order={order} user=alice request_id=");
        assert!(log.contains(&line), "{line}\n{log}");
    }
    let none = fixture.press(&alice, &format!("{LIST}/app/restart")).await;
    assert_eq!(none.status, 404, "an app that runs elsewhere");
}

#[tokio::test]
async fn operators_see_who_was_refused_and_why() {
    let fixture = Fixture::beside(OPERATORS, &with_operators_of_kid(APPS)).await;
    let (mut alice, mut bob) = (fixture.signed_in("alice").await, fixture.signed_in("bob").await);
    let refused = bob.open("/two/deep%3Cb%3E?secret=S3CR3T").await;
    assert_eq!(refused.status, 403);
    let stranger = fixture.browser();
    assert_eq!(stranger.send(Method::GET, "/app/x?S3CR3T", &[]).await.unwrap().status, 401);
    assert_eq!(bob.open("/app/fine").await.status, 200);
    let id = refused.headers["x-request-id"].to_str().unwrap();
    let list = eventually("the refusals", async || {
        let list = twin(&mut alice, LIST).await;
        (list["refusals"].as_array().unwrap().len() == 2).then_some(list)
    })
    .await;
    let of_bob = &list["refusals"][1];
    assert!(of_bob["ts"].as_str().unwrap().ends_with('Z'), "{of_bob}");
    for (key, value) in [
        ("user", "bob"),
        ("app", "two"),
        ("path", "/two/deep%3Cb%3E"),
        ("reason", "the group group2"),
        ("request_id", id),
    ] {
        assert_eq!(of_bob[key], value, "{key}");
    }
    let of_stranger = &list["refusals"][0];
    assert_eq!((&of_stranger["user"], &of_stranger["path"]), (&Value::Null, &json!("/app/x")));
    assert!(!list.to_string().contains("S3CR3T"));
    let page = alice.open(&format!("{LIST}/two")).await;
    assert!(page.body.contains(id) && page.body.contains("/two/deep%3Cb%3E"), "{}", page.body);
    // The operators of one app learn nothing of the others.
    assert_eq!(twin(&mut bob, LIST).await["refusals"], json!([]));
}

#[tokio::test]
async fn a_reload_takes_the_console_away() {
    let fixture = Fixture::beside(OPERATORS, APPS).await;
    let mut alice = fixture.signed_in("alice").await;
    assert_eq!(alice.open(LIST).await.status, 200);
    let path = fixture.appliance.path("appliance.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace(OPERATORS, "")).unwrap();
    let reload = fixture.appliance.cli(&["reload"]);
    assert!(reload.status.success(), "{reload:?}");
    assert_eq!(alice.open(LIST).await.status, 403);
    let order = fixture.press(&alice, &format!("{LIST}/kid/stop")).await;
    assert_eq!(order.status, 403);
}

/// Writes a line, then one for each line of its file `more`.
const CHATTY: &str = r#"
[apps.kid]
command = ["sh", "-c", "echo old-line; touch more; exec tail -n +1 -f more"]
cwd = "."
"#;

fn write_more(fixture: &Fixture, text: &str) {
    use std::io::Write as _;
    let path = fixture.appliance.path("more");
    let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    file.write_all(text.as_bytes()).unwrap();
}

#[tokio::test]
async fn a_log_is_followed_as_events_and_ends_with_the_session() {
    let fixture = Fixture::beside(OPERATORS, CHATTY).await;
    let mut alice = fixture.signed_in("alice").await;
    let mut events = Events::open(&fixture, &alice, "kid").await;
    events.until("old-line").await;
    write_more(
        &fixture,
        "<b>new</b>-line\n{\"msg\":\"own\",\r\"n\":1}\ndata: forged\n\u{1b}[2J\u{202e}x\n",
    );
    events.until("forged").await;
    events.until("[2J").await;
    let objects = events.objects();
    let texts: Vec<_> = objects.iter().map(|one| one["msg"].as_str().unwrap()).collect();
    assert_eq!(texts[..2], ["old-line", "<b>new</b>-line"], "{texts:?}");
    assert!(texts.contains(&"data: forged"), "{texts:?}");
    assert!(objects.iter().all(|one| one["app"] == "kid" && one["ts"].is_string()));
    let page = alice.open(&format!("{LIST}/kid")).await.body;
    assert!(page.contains("&lt;b&gt;new&lt;/b&gt;-line") && !page.contains("<b>new"), "{page}");
    assert!(!page.contains('\u{1b}') && !page.contains('\u{202e}'), "{page}");

    let rows = twin(&mut alice, "/_appliance/session").await;
    assert_eq!(rows["sessions"][0]["sockets"], 1, "the log counts as an open connection");
    let signed_out = fixture.press(&alice.clone(), "/oauth2/sign_out").await;
    assert_eq!(signed_out.status, 302);
    events.end().await;
    let line = "path=/_appliance/apps/kid/log status=200";
    eventually("the access line", async || {
        let log = fixture.appliance.log();
        let line = log.lines().find(|one| one.contains(line))?.to_owned();
        line.contains("reason_code=session_ended").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_log_is_for_operators_and_pages_of_this_origin_and_ends_with_the_right() {
    let apps = [&with_operators_of_kid(CHATTY), "[apps.other]\ncommand = [\"sleep\", \"1000\"]\n"];
    let fixture = Fixture::beside("", &apps.concat()).await;
    let mut bob = fixture.signed_in("bob").await;
    let path = format!("{LIST}/kid/log");
    for (path, headers, status) in [
        (&*path, &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")][..], 403),
        (&path, &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")], 403),
        (&path, &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")], 403),
        (&path, &[("host", "hosted.test")], 404),
        ("/_appliance/apps/other/log", &[], 403),
        ("/_appliance/apps/nothing/log", &[], 403),
    ] {
        let answer = bob.send(Method::GET, path, headers).await.unwrap();
        assert_eq!(answer.status, status, "{path} {headers:?}");
    }
    assert_eq!(bob.send(Method::POST, &path, &[]).await.unwrap().status, 405);
    assert_eq!(bob.send(Method::HEAD, &path, &[]).await.unwrap().status, 200);
    assert_eq!(fixture.browser().send(Method::GET, &path, &[]).await.unwrap().status, 401);

    let mut events = Events::open(&fixture, &bob, "kid").await;
    events.until("old-line").await;
    // A reload that keeps the right keeps the log.
    let file = fixture.appliance.path("appliance.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let staff = "operators = { groups = [\"staff\"] }";
    assert!(text.contains(staff));
    for (operators, holds) in [(format!("title = \"Kid\"\n{staff}"), true), (String::new(), false)]
    {
        std::fs::write(&file, text.replace(staff, &operators)).unwrap();
        assert!(fixture.appliance.cli(&["reload"]).status.success());
        if holds {
            write_more(&fixture, "after the reload\n");
            events.until("after the reload").await;
        }
    }
    events.end().await;
    assert_eq!(bob.open(&format!("{LIST}/kid")).await.status, 403);
}

#[tokio::test]
async fn readers_of_logs_are_limited_and_do_not_hold_up_a_stop() {
    let mut fixture = Fixture::beside(OPERATORS, CHATTY).await;
    let alice = fixture.signed_in("alice").await;
    let mut all = Vec::new();
    for _ in 0..32 {
        all.push(Events::open(&fixture, &alice, "kid").await);
    }
    let path = format!("{LIST}/kid/log");
    let answer = alice.send(Method::GET, &path, &[]).await.unwrap();
    assert!(answer.status == 429 && answer.headers.contains_key("retry-after"), "{answer:?}");
    // A reader that has left makes room.
    all.pop();
    eventually("a place", async || {
        let answer = alice.send(Method::HEAD, &path, &[]).await.unwrap();
        (answer.status == 200).then_some(())
    })
    .await;
    let before = std::time::Instant::now();
    assert_eq!(fixture.appliance.stop().await, 0);
    assert!(before.elapsed() < std::time::Duration::from_secs(6), "{:?}", before.elapsed());
    for events in all {
        events.end().await;
    }
}
