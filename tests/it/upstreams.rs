//! Apps with several addresses in `upstream`.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use futures_util::{SinkExt, StreamExt};
use reqwest::Method;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;

use crate::fixture::Fixture;
use crate::harness::{Appliance, Browser, FETCH, eventually, free_port};
use crate::upstream::Upstream;
use crate::websocket::{Socket, open_at};

const DOCS: &str = include_str!("../../docs/scale.md");
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/replicas.py");

/// A program that serves an address, and answers with its process id.
struct Backend {
    port: u16,
    child: Child,
}

impl Backend {
    async fn start() -> Self {
        Self::start_at(free_port()).await
    }

    async fn start_at(port: u16) -> Self {
        let mut command = Command::new("python3");
        command.arg(SCRIPT).env("PORT", port.to_string()).stdout(Stdio::null());
        let child = command.stderr(Stdio::null()).spawn().unwrap();
        eventually("the backend to listen", async || {
            TcpStream::connect(("127.0.0.1", port)).await.ok()
        })
        .await;
        Self { port, child }
    }

    fn id(&self) -> u32 {
        self.child.id()
    }

    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn again(&mut self) {
        *self = Self::start_at(self.port).await;
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that answers every request with its name, and with a status that the test chooses.
struct Switch {
    port: u16,
    status: Arc<AtomicU16>,
}

impl Switch {
    async fn start(name: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let status = Arc::new(AtomicU16::new(200));
        let chosen = Arc::clone(&status);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut head = [0; 8192];
                let _ = stream.read(&mut head).await;
                let (status, length) = (chosen.load(Ordering::SeqCst), name.len());
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{name}"
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { port, status }
    }

    fn answer(&self, status: u16) {
        self.status.store(status, Ordering::SeqCst);
    }
}

fn app(name: &str, ports: &[u16], lines: &str) -> String {
    let upstreams: Vec<_> = ports.iter().map(|port| format!("http://127.0.0.1:{port}")).collect();
    format!("[apps.{name}]\npath = \"/{name}\"\nupstream = {upstreams:?}\n{lines}\n")
}

async fn start(ports: &[u16], lines: &str) -> (Appliance, Browser) {
    let lines = format!("access = \"public\"\n{lines}");
    let appliance = Appliance::start(&app("many", ports, &lines));
    appliance.wait_ready().await;
    let browser = Browser::new(&appliance.url);
    (appliance, browser)
}

async fn served_by(browser: &Browser, method: Method) -> u32 {
    let answer = browser.send(method, "/many/x", FETCH).await.unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body.parse().unwrap()
}

async fn status(browser: &Browser) -> u16 {
    browser.send(Method::GET, "/many/x", FETCH).await.unwrap().status.as_u16()
}

/// How many of the requests each one has served.
async fn served(browser: &Browser, requests: usize) -> BTreeMap<u32, usize> {
    let mut served = BTreeMap::new();
    for at in 0..requests {
        let method = if at % 2 == 0 { Method::GET } else { Method::POST };
        *served.entry(served_by(browser, method).await).or_default() += 1;
    }
    served
}

async fn logged(appliance: &Appliance, text: &str, port: u16) {
    let at = format!("app=many upstream=http://127.0.0.1:{port}");
    eventually(&format!("a line: {text}, {at}"), async || {
        let log = appliance.log();
        log.lines().any(|line| line.contains(text) && line.contains(&at)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_address_that_dies_is_left_out_and_comes_back() {
    let mut all = [Backend::start().await, Backend::start().await, Backend::start().await];
    let ports = all.each_ref().map(|one| one.port);
    let (appliance, browser) = start(&ports, "").await;
    let turns = served(&browser, 9).await;
    assert_eq!(turns.values().collect::<Vec<_>>(), [&3, &3, &3], "{turns:?}");

    let dead = all[1].id();
    all[1].kill();
    let turns = served(&browser, 12).await;
    assert!(turns.len() == 2 && !turns.contains_key(&dead), "{turns:?}");
    logged(&appliance, "an upstream is left out", ports[1]).await;

    all[1].again().await;
    let back = all[1].id();
    eventually("the address to be used again", async || {
        (served_by(&browser, Method::GET).await == back).then_some(())
    })
    .await;
    logged(&appliance, "an upstream is used again", ports[1]).await;

    all.iter_mut().for_each(Backend::kill);
    assert_eq!(status(&browser).await, 502);
    assert_eq!(status(&browser).await, 502, "all are tried again at once");
    all[2].again().await;
    assert_eq!(served_by(&browser, Method::GET).await, all[2].id(), "no pause is waited for");
}

#[tokio::test]
async fn two_of_three_that_died_at_the_same_time_cost_no_request() {
    let mut all = [Backend::start().await, Backend::start().await, Backend::start().await];
    let (_appliance, browser) = start(&all.each_ref().map(|one| one.port), "").await;
    served(&browser, 3).await;
    let alive = all[0].id();
    all[1].kill();
    all[2].kill();
    assert_eq!(served(&browser, 6).await, BTreeMap::from([(alive, 6)]));
}

#[tokio::test]
async fn a_busy_address_gets_fewer_requests() {
    let (one, other) = (Upstream::start(), Upstream::start());
    let (appliance, browser) = start(&[one.port, other.port], "").await;
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let stream = client.get(format!("{}/many/events", appliance.url)).send().await.unwrap();
    let (busy, free) = if one.seen().is_empty() { (&other, &one) } else { (&one, &other) };
    for _ in 0..6 {
        assert_eq!(status(&browser).await, 200);
    }
    assert_eq!((busy.seen().len(), free.seen().len()), (1, 6));
    drop(stream);
    eventually("both to be equal again", async || {
        assert_eq!(status(&browser).await, 200);
        (busy.seen().len() > 1).then_some(())
    })
    .await;
}

async fn behind(socket: &mut Socket) -> u32 {
    socket.send(Message::text("who")).await.unwrap();
    socket.next().await.unwrap().unwrap().to_text().unwrap().parse().unwrap()
}

#[tokio::test]
async fn the_requests_and_websockets_of_a_session_stay_with_one_address() {
    let mut all = [Backend::start().await, Backend::start().await];
    let ports = all.each_ref().map(|one| one.port);
    let fixture = Fixture::beside("", &app("many", &ports, "sticky = true")).await;
    let (one, other) = (fixture.signed_in("alice").await, fixture.signed_in("bob").await);
    let first = served_by(&one, Method::GET).await;
    let second = served_by(&other, Method::GET).await;
    assert_ne!(first, second, "a new session goes to the address with the fewest");
    let origin = fixture.appliance.url.clone();
    for _ in 0..3 {
        assert_eq!(served_by(&one, Method::POST).await, first);
        assert_eq!(served_by(&other, Method::GET).await, second);
        let mut socket = open_at(&fixture, &one, "/many/ws", Some(&origin)).await.unwrap();
        assert_eq!(behind(&mut socket).await, first);
    }

    let dead = all.iter_mut().find(|backend| backend.id() == first).unwrap();
    dead.kill();
    assert_eq!(served_by(&one, Method::GET).await, second);
    dead.again().await;
    let back = dead.id();
    eventually("a new session at the address that came back", async || {
        let new = fixture.signed_in("alice").await;
        (served_by(&new, Method::GET).await == back).then_some(())
    })
    .await;
    assert_eq!(served_by(&one, Method::GET).await, second, "it does not move back");
}

#[tokio::test]
async fn the_ready_probe_asks_every_address() {
    let (one, other) = (Switch::start("one").await, Switch::start("other").await);
    let ready = "ready = { http = \"/health\", interval = \"100ms\" }";
    let (appliance, browser) = start(&[one.port, other.port], ready).await;
    appliance.wait_for_state("many", "ready").await;
    let asked = async || browser.send(Method::GET, "/many/x", FETCH).await.unwrap();
    let only = async |name: &str| {
        eventually(&format!("only {name} to be used"), async || {
            for _ in 0..4 {
                let answer = asked().await;
                if answer.status != 200 || answer.body != name {
                    return None;
                }
            }
            Some(())
        })
        .await;
    };
    one.answer(500);
    only("other").await;
    assert_eq!(appliance.app("many").unwrap()["state"], "ready", "one is enough");
    other.answer(500);
    appliance.wait_for_state("many", "unready").await;
    assert_eq!(asked().await.status, 503);
    one.answer(200);
    appliance.wait_for_state("many", "ready").await;
    only("one").await;
    // A reload keeps what is known.
    let file = appliance.path("appliance.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text + "title = \"Many\"\n").unwrap();
    assert!(appliance.cli(&["reload"]).status.success());
    for _ in 0..4 {
        assert_eq!(asked().await.body, "one");
    }
    other.answer(200);
    eventually("both to be used", async || (asked().await.body == "other").then_some(())).await;
}

#[tokio::test]
async fn replicas_that_are_not_sticky_share_the_requests() {
    let config = format!(
        "[apps.many]\npath = \"/many\"\naccess = \"public\"\nreplicas = 2\nsticky = false\n\
         command = [\"python3\", \"{SCRIPT}\"]\n"
    );
    let appliance = Appliance::start(&config);
    let browser = Browser::new(&appliance.url);
    for process in ["many.0", "many.1"] {
        appliance.wait_for_state(process, "ready").await;
    }
    let turns = served(&browser, 8).await;
    assert_eq!(turns.values().collect::<Vec<_>>(), [&4, &4], "{turns:?}");
}

/// The example of the documentation.
#[tokio::test]
async fn the_example_of_the_documentation_works() {
    let (one, other) = (Switch::start("one").await, Switch::start("other").await);
    let example = DOCS.split("```toml\n").find(|text| text.contains("sticky")).unwrap();
    let example = example.split("```").next().unwrap();
    let config = example
        .replace("10.0.0.7:8501", &format!("127.0.0.1:{}", one.port))
        .replace("10.0.0.8:8501", &format!("127.0.0.1:{}", other.port));
    let appliance = Appliance::start(&format!("{config}\naccess = \"public\"\n"));
    appliance.wait_for_state("report", "ready").await;
    let mut names = Vec::new();
    for _ in 0..2 {
        let mut visitor = Browser::new(&appliance.url);
        let first = visitor.open("/report/").await.body;
        assert_eq!(visitor.open("/report/").await.body, first);
        names.push(first);
    }
    names.sort();
    assert_eq!(names, ["one", "other"]);
}
