//! WebSockets through the built appliance.

use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::fixture::Fixture;
use crate::harness::{Appliance, Browser};

pub(crate) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn open(fixture: &Fixture, browser: &Browser, origin: Option<&str>) -> Result<Socket, Error> {
    open_at(fixture, browser, "/app/ws", origin).await
}

pub(crate) async fn open_at(
    fixture: &Fixture,
    browser: &Browser,
    path: &str,
    origin: Option<&str>,
) -> Result<Socket, Error> {
    let host = format!("localhost:{}", fixture.appliance.port);
    open_under(fixture, browser, &host, path, origin).await
}

async fn open_under(
    fixture: &Fixture,
    browser: &Browser,
    host: &str,
    path: &str,
    origin: Option<&str>,
) -> Result<Socket, Error> {
    let url = format!("ws://127.0.0.1:{}{path}", fixture.appliance.port);
    let mut request = url.into_client_request()?;
    let headers = request.headers_mut();
    headers.insert("host", host.parse().unwrap());
    headers.insert("sec-websocket-protocol", "streamlit, token-abc".parse().unwrap());
    if !browser.cookie_line().is_empty() {
        headers.insert("cookie", browser.cookie_line().parse().unwrap());
    }
    if let Some(origin) = origin {
        headers.insert("origin", origin.parse().unwrap());
    }
    Ok(tokio_tungstenite::connect_async(request).await?.0)
}

pub(crate) async fn echoes(socket: &mut Socket) {
    socket.send(Message::text("hello")).await.unwrap();
    assert_eq!(socket.next().await.unwrap().unwrap(), Message::text("hello"));
}

/// Waits for the end of a socket. Returns its close code and the time that passed.
pub(crate) async fn closed(socket: &mut Socket) -> (Option<CloseCode>, Duration) {
    let begin = Instant::now();
    let code = loop {
        match tokio::time::timeout(Duration::from_secs(5), socket.next()).await.unwrap() {
            Some(Ok(Message::Close(frame))) => break frame.map(|frame| frame.code),
            Some(Ok(_)) => {}
            Some(Err(_)) | None => break None,
        }
    };
    (code, begin.elapsed())
}

fn refused(attempt: Result<Socket, Error>) -> u16 {
    match attempt {
        Err(Error::Http(answer)) => answer.status().as_u16(),
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn a_handshake_needs_a_session_and_the_appliances_origin() {
    let fixture = Fixture::new().await;
    let origin = fixture.appliance.url.clone();
    assert_eq!(refused(open(&fixture, &fixture.browser(), Some(&origin)).await), 401);
    let alice = fixture.signed_in("alice").await;
    assert_eq!(refused(open(&fixture, &alice, Some("https://evil.example")).await), 403);
    echoes(&mut open(&fixture, &alice, Some(&origin)).await.unwrap()).await;
    echoes(&mut open(&fixture, &alice, None).await.unwrap()).await;
}

#[tokio::test]
async fn an_app_with_a_host_takes_websockets_of_its_own_pages_only() {
    let fixture = Fixture::new().await;
    let own = format!("http://hosted.test:{}", fixture.appliance.port);
    let mut alice = Browser::new(&own);
    fixture.issuer.order(|orders| orders.user = "alice".into());
    assert_eq!(alice.go("/x").await.status, 200);
    let host = format!("hosted.test:{}", fixture.appliance.port);
    for (origin, wanted) in [
        (Some(own.as_str()), None),
        (None, None),
        (Some(fixture.appliance.url.as_str()), Some(403)),
        (Some("null"), Some(403)),
    ] {
        let attempt = open_under(&fixture, &alice, &host, "/ws", origin).await;
        match wanted {
            None => echoes(&mut attempt.unwrap()).await,
            Some(status) => assert_eq!(refused(attempt), status, "{origin:?}"),
        }
    }
}

#[tokio::test]
async fn a_sign_out_closes_the_persons_websockets_within_a_second() {
    let fixture = Fixture::new().await;
    let mut alice = fixture.signed_in("alice").await;
    let bob = fixture.signed_in("bob").await;
    let (mut hers, mut his) =
        (open(&fixture, &alice, None).await.unwrap(), open(&fixture, &bob, None).await.unwrap());
    echoes(&mut hers).await;
    echoes(&mut his).await;
    alice.open("/oauth2/sign_out").await;
    let (code, took) = closed(&mut hers).await;
    assert_eq!(code, Some(CloseCode::Policy));
    assert!(took < Duration::from_secs(1), "{took:?}");
    echoes(&mut his).await;
}

#[tokio::test]
async fn a_sign_out_closes_websockets_of_public_apps_too() {
    let fixture = Fixture::new().await;
    let mut alice = fixture.signed_in("alice").await;
    let mut hers = open_at(&fixture, &alice, "/open/ws", None).await.unwrap();
    let mut nobodys = open_at(&fixture, &fixture.browser(), "/open/ws", None).await.unwrap();
    echoes(&mut hers).await;
    alice.open("/oauth2/sign_out").await;
    assert_eq!(closed(&mut hers).await.0, Some(CloseCode::Policy));
    echoes(&mut nobodys).await;
}

#[tokio::test]
async fn a_stop_of_the_appliance_closes_websockets_as_going_away() {
    let mut fixture = Fixture::new().await;
    let alice = fixture.signed_in("alice").await;
    let mut socket = open(&fixture, &alice, None).await.unwrap();
    echoes(&mut socket).await;
    fixture.appliance.signal(nix::sys::signal::Signal::SIGTERM);
    assert_eq!(closed(&mut socket).await.0, Some(CloseCode::Away));
    assert_eq!(fixture.appliance.end().await, 0);
}

#[tokio::test]
async fn an_app_that_answers_a_close_frame_with_the_end_of_the_connection_has_not_crashed() {
    let fixture = Fixture::new().await;
    let alice = fixture.signed_in("alice").await;
    let mut socket = open_at(&fixture, &alice, "/app/ws-drop", None).await.unwrap();
    echoes(&mut socket).await;
    socket.send(Message::Close(None)).await.unwrap();
    assert_eq!(closed(&mut socket).await.0, None);
}

#[tokio::test]
async fn a_handshake_may_take_the_timeout_of_the_app() {
    // The app accepts connections and never answers.
    let app = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = app.local_addr().unwrap();
    let table = |name: &str, timeout: &str| {
        format!(
            "[apps.{name}]\nupstream = \"http://{address}\"\npath = \"/{name}\"\n\
             access = \"public\"\ntimeout = \"{timeout}\"\n"
        )
    };
    let appliance = Appliance::start(&(table("brief", "300ms") + &table("patient", "60s")));
    appliance.wait_for_state("brief", "ready").await;
    let open = async |name: &str| {
        let url = format!("ws://127.0.0.1:{}/{name}", appliance.port);
        let mut request = url.into_client_request().unwrap();
        let host = format!("localhost:{}", appliance.port);
        request.headers_mut().insert("host", host.parse().unwrap());
        tokio_tungstenite::connect_async(request).await.map(|(socket, _)| socket)
    };
    let patience = Duration::from_secs(11);
    let (brief, patient) =
        tokio::join!(open("brief"), tokio::time::timeout(patience, open("patient")));
    assert_eq!(refused(brief), 504);
    assert!(patient.is_err(), "a handshake was answered before the timeout of its app");
}
