//! `traceparent` on its way from a client through the appliance to an app, and in the access log.

use reqwest::Method;

use crate::fixture::Fixture;
use crate::harness::{FETCH, eventually};

const ID: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The trace id in the access line of a path.
async fn logged(fixture: &Fixture, path: &str) -> String {
    eventually(&format!("the access line of {path}"), async || {
        let log = fixture.appliance.log();
        let line = log.lines().find(|line| line.contains(&format!(" path={path} ")))?;
        let (_, id) = line.split_once(" trace_id=")?;
        Some(id.split(' ').next()?.trim().to_owned())
    })
    .await
}

#[tokio::test]
async fn an_app_and_the_access_log_have_the_same_trace() {
    let fixture = Fixture::new().await;
    let client = fixture.browser();
    for (path, sent, kept) in [
        ("/open/valid", Some(PARENT), true),
        ("/open/missing", None, false),
        ("/open/invalid", Some("00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"), false),
    ] {
        let parent = sent.map(|parent| ("traceparent", parent));
        let more: Vec<_> = parent.into_iter().chain([("tracestate", "vendor=1")]).collect();
        let answer = client.send(Method::GET, path, &[FETCH, &more].concat()).await.unwrap();
        assert_eq!(answer.status, 200, "{path}");
        let seen = fixture.upstream.seen();
        let seen = seen.iter().find(|seen| seen.target.ends_with(path)).unwrap();
        let [parent] = seen.all("traceparent")[..] else { panic!("{path}: {seen:?}") };
        assert_eq!((parent == PARENT, !seen.all("tracestate").is_empty()), (kept, kept), "{path}");
        let id = logged(&fixture, path).await;
        assert_eq!(parent.split('-').nth(1), Some(id.as_str()), "{path}");
        assert_eq!((id == ID, id.len()), (kept, 32), "{path}");
    }
    // Requests that no app answers are in the log with a trace as well.
    client
        .send(Method::GET, "/nowhere", &[FETCH, &[("traceparent", PARENT)]].concat())
        .await
        .unwrap();
    assert_eq!(logged(&fixture, "/nowhere").await, ID);
}

#[tokio::test]
async fn a_websocket_handshake_carries_the_trace() {
    let fixture = Fixture::new().await;
    let browser = fixture.browser();
    let _socket = crate::websocket::open_at(&fixture, &browser, "/open/ws", None).await.unwrap();
    let seen = fixture.upstream.seen();
    let seen = seen.iter().find(|seen| seen.target.ends_with("/ws")).unwrap();
    let [parent] = seen.all("traceparent")[..] else { panic!("{seen:?}") };
    assert_eq!(parent.len(), PARENT.len());
}
