//! What a message has beside head and body: trailers, interim responses, `Expect`. And WebSockets beside
//! HTTP/2 on one listener.

use std::future::poll_fn;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::Method;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use super::client::{Client, whole};
use super::{SOON, fixture, public, secure, secured};
use crate::harness::{FETCH, eventually};
use crate::upstream::Upstream;

#[tokio::test]
async fn trailers_of_a_response_reach_the_client_without_what_belongs_to_the_head() {
    let app = Upstream::start();
    let appliance = secure(&app, "");
    let socket = eventually("https", async || secured(&appliance, &["h2"]).await).await;
    let origin = format!("https://localhost:{}", appliance.port);
    let (client, _) = Client::over(socket, &origin).await;
    let lines = [("te", "trailers"), ("content-type", "application/grpc")];
    for _ in 0..3 {
        let answer = client.post("/e/service/grpc", &lines, b"\0\0\0\0\0").await;
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "firstsecond"));
        assert_eq!(answer.headers["content-type"], "application/grpc");
        assert_eq!(answer.trailers["grpc-status"], "5", "{answer:?}");
        assert_eq!(answer.trailers["grpc-message"], "gone", "{answer:?}");
        assert_eq!(answer.trailers.len(), 2, "{answer:?}");
        let seen = app.seen().pop().unwrap();
        assert_eq!((seen.all("te"), seen.length), (vec!["trailers"], 5));
    }
}

#[tokio::test]
async fn interim_responses_of_an_app_end_at_the_appliance() {
    let (_app, appliance) = public("").await;
    let (client, _) = Client::connect(&appliance).await;
    for count in [0, 1, 5] {
        let request = client.request(Method::GET, &format!("/e/interim-{count}"), &[]);
        let mut send = client.send.clone().ready().await.unwrap();
        let (mut response, _) = send.send_request(request, true).unwrap();
        let interim = poll_fn(|cx| response.poll_informational(cx)).await;
        assert!(interim.is_none(), "{interim:?}");
        let answer = whole(response.await.unwrap()).await.unwrap();
        assert_eq!((answer.status.as_u16(), answer.text().as_str()), (200, "ok"));
        assert!(!answer.headers.contains_key("link"), "{answer:?}");
    }
    // Without end, only this request ends.
    let (endless, other) =
        tokio::join!(client.get("/e/endless", &[]), client.get("/e/bytes-1000", &[]));
    assert_eq!((endless.status.as_u16(), other.body.len()), (504, 1000), "{endless:?}");
    assert_eq!(client.get("/e/x", &[]).await.status, 200);
}

#[tokio::test]
async fn a_body_is_waited_for_only_after_the_authentication() {
    let fixture = fixture("").await;
    let alice = fixture.signed_in("alice").await;
    let (client, _) = Client::connect(&fixture.appliance).await;
    let before = fixture.upstream.seen().len();
    let expect = [("expect", "100-continue"), ("content-length", "5")];
    let cookie = alice.cookie_line();

    let lines = [FETCH, &expect].concat();
    let (mut response, _stream) =
        client.begin(client.request(Method::POST, "/app/x", &lines)).await;
    let interim = timeout(SOON, poll_fn(|cx| response.poll_informational(cx))).await.unwrap();
    assert!(interim.is_none(), "{interim:?}");
    assert_eq!(timeout(SOON, response).await.unwrap().unwrap().status(), 401);
    assert_eq!(fixture.upstream.seen().len(), before);

    let lines = [&expect[..], &[("cookie", cookie.as_str())]].concat();
    let (mut response, mut stream) =
        client.begin(client.request(Method::POST, "/app/x", &lines)).await;
    // A client sends its body after a while without an answer (RFC 9110 section 10.1.1).
    let early = timeout(Duration::from_millis(500), poll_fn(|cx| response.poll_informational(cx)));
    if let Ok(interim) = early.await {
        assert_eq!(interim.unwrap().unwrap().status(), 100);
    }
    stream.send_data(Bytes::from_static(b"hello"), true).unwrap();
    let answer = whole(timeout(SOON, response).await.unwrap().unwrap()).await.unwrap();
    assert_eq!((answer.status.as_u16(), &answer.seen()["body"]), (200, &"hello".into()));
    let seen = fixture.upstream.seen().pop().unwrap();
    assert_eq!(seen.all("x-forwarded-user"), ["alice"]);
    assert!(seen.all("expect").is_empty(), "the appliance has answered it");
}

#[tokio::test]
async fn websockets_work_beside_http_2_on_one_listener() {
    let app = Upstream::start();
    let appliance = secure(&app, "");
    let socket = eventually("https", async || secured(&appliance, &["h2", "http/1.1"]).await).await;
    let origin = format!("https://localhost:{}", appliance.port);
    let (client, _) = Client::over(socket, &origin).await;
    let mut ticks = client.head(client.request(Method::GET, "/e/ticks", &[])).await.unwrap();
    assert!(!client.send.is_extended_connect_protocol_enabled());

    // As a browser does: a connection of its own, for HTTP/1.1 only.
    let socket = secured(&appliance, &["http/1.1"]).await.unwrap();
    let url = format!("wss://localhost:{}/e/ws", appliance.port);
    let mut request = url.into_client_request().unwrap();
    request.headers_mut().insert("origin", origin.parse().unwrap());
    let (mut socket, _) = tokio_tungstenite::client_async(request, socket).await.unwrap();
    for round in 0..10 {
        let text = Message::text(format!("round {round}"));
        socket.send(text.clone()).await.unwrap();
        assert_eq!(client.get("/e/bytes-100000", &[]).await.body.len(), 100_000);
        let echo = timeout(SOON, socket.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(echo, text);
        let piece = timeout(SOON, ticks.body_mut().data()).await.unwrap().unwrap().unwrap();
        ticks.body_mut().flow_control().release_capacity(piece.len()).unwrap();
    }
    // The end of one leaves the other.
    socket.close(None).await.unwrap();
    assert!(matches!(timeout(SOON, socket.next()).await, Ok(Some(Ok(Message::Close(_))))));
    assert_eq!(client.get("/e/x", &[]).await.status, 200);
}
