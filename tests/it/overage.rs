//! People in so many groups that the token only refers to the list (distributed claims).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::fixture::{Fixture, outlive};
use crate::harness::{NAVIGATION, eventually};
use crate::issuer::Issuer;

/// The service that lists groups, such as Microsoft Graph.
#[derive(Clone)]
struct Graph {
    port: u16,
    state: Arc<Mutex<State>>,
}

/// The response to a path with its query: a status and a body.
type Answer = Box<dyn Fn(&str) -> (u16, String) + Send>;

struct State {
    answer: Answer,
    /// The path and the `Authorization` of every request.
    seen: Vec<(String, String)>,
}

impl Graph {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = State { answer: Box::new(|_| (404, String::new())), seen: Vec::new() };
        let graph = Self { port, state: Arc::new(Mutex::new(state)) };
        let served = graph.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let graph = served.clone();
                std::thread::spawn(move || graph.serve(stream));
            }
        });
        graph
    }

    fn serve(&self, stream: std::net::TcpStream) {
        let mut reader = BufReader::new(stream);
        loop {
            let mut lines = Vec::new();
            loop {
                let mut line = String::new();
                if reader.by_ref().take(1 << 20).read_line(&mut line).unwrap_or(0) == 0 {
                    return;
                }
                match line.trim_end() {
                    "" => break,
                    line => lines.push(line.to_owned()),
                }
            }
            let path = lines[0].split(' ').nth(1).unwrap().to_owned();
            let token = lines.iter().find_map(|line| {
                let (name, value) = line.split_once(": ")?;
                name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
            });
            let (status, body) = {
                let mut state = self.state.lock().unwrap();
                state.seen.push((path.clone(), token.unwrap_or_default()));
                (state.answer)(&path)
            };
            let length = body.len();
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n");
            if reader.get_mut().write_all((head + &body).as_bytes()).is_err() {
                return;
            }
        }
    }

    fn answer(&self, answer: impl Fn(&str) -> (u16, String) + Send + 'static) {
        self.state.lock().unwrap().answer = Box::new(answer);
    }

    /// Serves 2000 groups on pages of 900, and `group2` on the last one.
    fn list_all(&self) {
        self.answer(|path| {
            let from: usize = path.split_once("skip=").map_or(0, |(_, from)| from.parse().unwrap());
            let to = (from + 900).min(2000);
            let mut list: Vec<_> = (from..to)
                .map(|n| json!({"id": format!("team-{n:05}"), "displayName": null}))
                .collect();
            if to == 2000 {
                list.push(json!({"id": "group2"}));
                return (200, json!({ "value": list }).to_string());
            }
            (
                200,
                json!({"value": list, "@odata.nextLink": format!("/me/groups?skip={to}")})
                    .to_string(),
            )
        });
    }

    fn seen(&self) -> Vec<(String, String)> {
        self.state.lock().unwrap().seen.clone()
    }
}

/// Replaces alice's groups by a reference, as Entra ID does.
fn refer(issuer: &Issuer, to: &Graph) {
    let endpoint = format!("http://127.0.0.1:{}/named-by-the-token", to.port);
    issuer.order(|orders| {
        let alice = orders.people.get_mut("alice").unwrap().as_object_mut().unwrap();
        alice.remove("groups");
        alice.insert("_claim_names".into(), json!({"groups": "src1"}));
        alice.insert("_claim_sources".into(), json!({"src1": {"endpoint": endpoint}}));
    });
}

const SHUT: &str = "[apps.shut]\npath = \"/shut\"\nupstream = \"http://127.0.0.1:{UP}\"\n\
                    deny = { groups = [\"team-01234\"] }\n";

async fn fixture(graph: &Graph, prepare: impl FnOnce(&Issuer)) -> Fixture {
    let url = format!("http://127.0.0.1:{}/me/groups?first=1", graph.port);
    let oidc = format!("groups_overage = {{ url = \"{url}\" }}\ngroups_only = [\"group*\"]");
    Fixture::with_oidc(&oidc, SHUT, |issuer| {
        refer(issuer, graph);
        prepare(issuer);
    })
    .await
}

/// A login that fails: the response to the callback. There is no session.
async fn refused(fixture: &Fixture) {
    let mut browser = fixture.browser();
    let page = browser.go("/app/").await;
    assert_eq!(page.status, 503, "{page:?}");
    assert!(page.headers.contains_key("retry-after"), "{page:?}");
    let next = browser.send(Method::GET, "/app/", NAVIGATION).await.unwrap();
    assert!(next.location().starts_with("/oauth2/start"), "no session: {next:?}");
    assert!(fixture.upstream.seen().is_empty());
}

/// The test reads the log later than the response.
async fn logged(fixture: &Fixture, text: &str) {
    eventually(text, async || fixture.appliance.log().contains(text).then_some(())).await;
}

#[tokio::test]
async fn all_pages_of_the_groups_count() {
    let graph = Graph::start();
    graph.list_all();
    let mut fixture = fixture(&graph, |_| {}).await;
    let mut alice = fixture.signed_in("alice").await;
    assert_eq!(alice.go("/two/").await.status, 200, "the group of the last page");
    assert_eq!(alice.go("/shut/").await.status, 403, "a group of the second page");
    assert_eq!(alice.fetch("/oauth2/userinfo", &[]).await.json()["groups"], json!(["group2"]));
    let seen = graph.seen();
    let paths: Vec<_> = seen.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["/me/groups?first=1", "/me/groups?skip=900", "/me/groups?skip=1800"]);
    assert!(seen.iter().all(|(_, token)| token.starts_with("Bearer ") && token.len() > 40));
    assert!(alice.cookie_line().len() < 2000);

    // A restart fetches them again; while that fails, the cookie stays.
    assert_eq!(fixture.appliance.stop().await, 0);
    graph.answer(|_| (500, String::new()));
    fixture.appliance.restart();
    fixture.appliance.wait_ready().await;
    assert_eq!(alice.go("/two/").await.status, 503);
    graph.list_all();
    assert_eq!(alice.go("/two/").await.status, 200);
    assert_eq!(alice.go("/shut/").await.status, 403);
}

#[tokio::test]
async fn without_the_whole_list_nobody_signs_in() {
    let graph = Graph::start();
    let fixture = fixture(&graph, |_| {}).await;
    let list = |value: Value| move |_: &str| (200, json!({ "value": value }).to_string());
    let cases: [(&str, Answer); 6] = [
        ("answers 403", Box::new(|_| (403, String::new()))),
        ("answers 503", Box::new(|_| (503, String::new()))),
        ("answers 302", Box::new(|_| (302, String::new()))),
        ("no JSON", Box::new(|_| (200, "<html>".into()))),
        ("has no `id`", Box::new(list(json!([{"id": "group2"}, {"displayName": "x"}])))),
        ("more than 1 MiB", Box::new(|_| (200, " ".repeat(2 << 20)))),
    ];
    for (cause, answer) in cases {
        graph.answer(answer);
        refused(&fixture).await;
        let line = eventually(cause, async || {
            let log = fixture.appliance.log();
            let line = log.lines().rfind(|line| line.contains("sign-in failed"))?;
            line.contains(cause).then(|| line.to_owned())
        })
        .await;
        assert!(line.contains("groups of the person"), "{cause}: {line}");
        assert!(!line.contains("first=1"), "no query: {line}");
    }
    graph.list_all();
    fixture.signed_in("alice").await;
}

#[tokio::test]
async fn the_access_token_goes_to_the_configured_origin_alone() {
    let (graph, evil) = (Graph::start(), Graph::start());
    let fixture = fixture(&graph, |issuer| refer(issuer, &evil)).await;
    let next = format!("http://127.0.0.1:{}/me/groups", evil.port);
    graph.answer(move |_| {
        (200, json!({"value": [{"id": "group2"}], "@odata.nextLink": next}).to_string())
    });
    refused(&fixture).await;
    logged(&fixture, "must not get the token").await;
    assert_eq!(graph.seen().len(), 1);
    assert!(evil.seen().is_empty(), "{:?}", evil.seen());
}

#[tokio::test]
async fn pages_without_an_end_are_no_list() {
    let graph = Graph::start();
    let fixture = fixture(&graph, |_| {}).await;
    graph.answer(|_| {
        (200, json!({"value": [{"id": "group2"}], "@odata.nextLink": "/me/groups"}).to_string())
    });
    refused(&fixture).await;
    logged(&fixture, "more than 50 pages").await;
    assert_eq!(graph.seen().len(), 50);
}

#[tokio::test]
async fn a_refresh_brings_new_groups_and_a_failed_one_keeps_those_that_are_known() {
    let ttl = Duration::from_secs(2);
    let graph = Graph::start();
    graph.list_all();
    let fixture =
        fixture(&graph, |issuer| issuer.order(|orders| orders.ttl = Duration::from_secs(2))).await;
    let mut alice = fixture.signed_in("alice").await;
    assert_eq!(alice.go("/two/").await.status, 200);
    graph.answer(|_| (500, String::new()));
    outlive(ttl).await;
    assert_eq!(alice.go("/two/").await.status, 200, "the groups as known");
    logged(&fixture, "cannot fetch the groups").await;
    graph.answer(|_| (200, json!({"value": [{"id": "group1"}]}).to_string()));
    outlive(ttl).await;
    assert_eq!(alice.go("/two/").await.status, 403, "the group is lost");
}

#[tokio::test]
async fn without_the_setting_the_groups_are_unknown_which_admits_nobody() {
    let graph = Graph::start();
    let fixture = Fixture::with_oidc("", SHUT, |issuer| refer(issuer, &graph)).await;
    let mut alice = fixture.signed_in("alice").await;
    assert_eq!(alice.go("/two/").await.status, 403);
    assert_eq!(alice.go("/shut/").await.status, 403, "she may be in the group");
    logged(&fixture, "groups_overage").await;
    assert!(graph.seen().is_empty(), "the address in the token is not asked");
}

/// Only the ID token tells the groups, and the response to a refresh has none.
#[tokio::test]
async fn groups_that_a_refresh_does_not_tell_are_unknown_which_admits_nobody() {
    let ttl = Duration::from_secs(2);
    for tells in [true, false] {
        let fixture = Fixture::with_oidc("", SHUT, |issuer| {
            issuer.order(|orders| (orders.ttl, orders.id_on_refresh) = (ttl, false));
        })
        .await;
        let mut alice = fixture.signed_in("alice").await;
        assert_eq!(alice.go("/app/").await.status, 200);
        assert_eq!(alice.go("/shut/").await.status, 200, "she is not in the group");
        if !tells {
            fixture.issuer.order(|orders| {
                let alice = orders.people.get_mut("alice").unwrap().as_object_mut().unwrap();
                alice.remove("groups").unwrap();
            });
        }
        outlive(ttl).await;
        assert_eq!(alice.go("/shut/").await.status, if tells { 200 } else { 403 });
        assert_eq!(alice.go("/app/").await.status, 200, "the session goes on");
        if !tells {
            logged(&fixture, "does not list the groups").await;
        }
    }
}

/// An issuer that leaves out an empty list says nothing about groups after the restart either.
#[tokio::test]
async fn who_is_in_no_group_keeps_access_over_a_restart() {
    for groups in [false, true] {
        let mut fixture = Fixture::with_oidc("", SHUT, |issuer| {
            issuer.order(|orders| {
                orders.id_on_refresh = false;
                let alice = orders.people.get_mut("alice").unwrap().as_object_mut().unwrap();
                let of_alice = alice.remove("groups").unwrap();
                alice.extend(groups.then(|| ("groups".to_owned(), of_alice)));
            });
        })
        .await;
        let mut alice = fixture.signed_in("alice").await;
        assert_eq!(alice.go("/shut/").await.status, 200);
        fixture.issuer.order(|orders| {
            let alice = orders.people.get_mut("alice").unwrap().as_object_mut().unwrap();
            alice.remove("groups");
        });
        assert_eq!(fixture.appliance.stop().await, 0);
        fixture.appliance.restart();
        fixture.appliance.wait_ready().await;
        assert_eq!(alice.go("/app/").await.status, 200);
        assert_eq!(alice.go("/shut/").await.status, if groups { 403 } else { 200 }, "{groups}");
    }
}

/// While the service brings page after page, requests go on with the groups that are known.
#[tokio::test]
async fn a_service_that_is_slow_holds_up_no_request_for_long() {
    let ttl = Duration::from_secs(2);
    let graph = Graph::start();
    graph.list_all();
    let fixture = fixture(&graph, |issuer| issuer.order(|orders| orders.ttl = ttl)).await;
    let mut alice = fixture.signed_in("alice").await;
    assert_eq!(alice.go("/two/").await.status, 200);
    let is_over = Arc::new(AtomicBool::new(false));
    graph.answer({
        let is_over = Arc::clone(&is_over);
        move |_| {
            let group = json!([{"id": "group1"}]);
            if is_over.load(Ordering::Relaxed) {
                return (200, json!({ "value": group }).to_string());
            }
            std::thread::sleep(Duration::from_secs(1));
            (200, json!({"value": group, "@odata.nextLink": "/me/groups"}).to_string())
        }
    });
    outlive(ttl).await;
    assert_eq!(alice.go("/two/").await.status, 200, "the groups as known");
    let log = fixture.appliance.log();
    assert!(!log.contains("cannot fetch the groups"), "the fetch goes on: {log}");
    is_over.store(true, Ordering::Relaxed);
    eventually("the new groups", async || {
        let answer = alice.send(Method::GET, "/two/", NAVIGATION).await.ok()?;
        (answer.status == 403).then_some(())
    })
    .await;
}
