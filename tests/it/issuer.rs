//! An OpenID provider that does as it is told: right by default, wrong on request.
//!
//! It approves every authorization request at once, for whoever [`Orders::user`] names. It listens
//! on a port of its own that it keeps over [`Issuer::stop`] and [`Issuer::start`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, JoinSet};

// By path, because the benchmarks use this file from another folder.
#[path = "issuer/answers.rs"]
mod answers;
#[path = "issuer/key.rs"]
mod key;

use key::Key;

/// Where a call goes: what [`Issuer::count`] and [`Issuer::fault`] speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Call {
    Discovery,
    Jwks,
    Authorize,
    Code,
    Refresh,
    Userinfo,
    EndSession,
    Revoke,
}

/// What happens to a call instead of its answer.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status, with a body that is no JSON.
    Status(u16),
    /// 200 and this body.
    Body(&'static str),
    /// An OAuth error with status 400.
    Error(&'static str),
    /// Nothing, until the caller gives up.
    Hang,
}

/// What it does.
#[expect(clippy::struct_excessive_bools, reason = "each is an order of its own")]
pub(crate) struct Orders {
    /// Who is signed in.
    pub(crate) user: String,
    pub(crate) people: BTreeMap<String, Value>,
    /// Life of tokens.
    pub(crate) ttl: Duration,
    /// Refresh tokens are single-use, and reuse kills the whole chain.
    pub(crate) rotate: bool,
    /// Grant refresh tokens at all.
    pub(crate) refresh_tokens: bool,
    /// Put an ID token into refresh answers.
    pub(crate) id_on_refresh: bool,
    /// Promise and send `iss` (RFC 9207).
    pub(crate) iss: bool,
    /// Merged over the discovery document; `null` takes a member away.
    pub(crate) discovery: Value,
    /// Merged over the claims of every ID token; `null` takes one away.
    pub(crate) id_claims: Value,
    /// Sign ID tokens with a key that is not published, under the published name.
    pub(crate) forge: bool,
    pub(crate) client_secret: String,
}

/// A running provider.
pub(crate) struct Issuer {
    pub(crate) url: String,
    address: SocketAddr,
    shared: Arc<Shared>,
    server: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

struct Shared {
    url: String,
    orders: Mutex<Orders>,
    book: Mutex<Book>,
}

#[derive(Default)]
struct Book {
    keys: Vec<Key>,
    counts: BTreeMap<Call, usize>,
    faults: BTreeMap<Call, (Fault, usize)>,
    held: BTreeMap<Call, Arc<Hold>>,
    codes: HashMap<String, Code>,
    refreshes: HashMap<String, Refresh>,
    dead: HashSet<String>,
    reused: usize,
    sign_outs: Vec<HashMap<String, String>>,
    hosts: HashSet<String>,
    secrets: HashSet<String>,
}

/// Calls that wait until they are let go.
#[derive(Default)]
pub(crate) struct Hold {
    /// Somebody has come.
    pub(crate) arrived: Notify,
    go: Notify,
}

struct Code {
    asked: HashMap<String, String>,
    user: String,
    sid: String,
}

#[derive(Clone)]
struct Refresh {
    user: String,
    sid: String,
    used: bool,
}

impl Default for Orders {
    fn default() -> Self {
        let people = json!({
            "alice": {"sub": "sub-alice", "preferred_username": "alice", "name": "Alice Example",
                "email": "alice@example.com", "email_verified": true,
                "groups": ["staff", "group1", "group2"]},
            "bob": {"sub": "sub-bob", "preferred_username": "bob", "name": "Bob Example",
                "email": "bob@other.example", "email_verified": true,
                "groups": ["staff", "group1"], "realm_access": {"roles": ["admin"]}},
            "carol": {"sub": "sub-carol", "preferred_username": "carol",
                "email": "carol@example.com", "email_verified": false},
        });
        Self {
            user: "alice".into(),
            people: serde_json::from_value(people).unwrap(),
            ttl: Duration::from_mins(5),
            rotate: false,
            refresh_tokens: true,
            id_on_refresh: true,
            iss: true,
            discovery: json!({}),
            id_claims: json!({}),
            forge: false,
            client_secret: "the client's secret".into(),
        }
    }
}

impl Issuer {
    /// On a free port of 127.0.0.1.
    pub(crate) async fn new() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let url = format!("http://{address}/realms/main");
        let shared =
            Arc::new(Shared { url: url.clone(), orders: Mutex::default(), book: Mutex::default() });
        shared.book().keys.push(Key::new("key-1"));
        let mut issuer = Self { url, address, shared, server: None };
        issuer.serve(listener);
        issuer
    }

    /// Starts again on its port.
    pub(crate) async fn start(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        self.serve(socket.listen(128).unwrap());
        tokio::task::yield_now().await;
    }

    /// Nobody listens any more, and open connections are cut.
    pub(crate) async fn stop(&mut self) {
        if let Some((stop, server)) = self.server.take() {
            drop(stop);
            server.await.unwrap();
        }
    }

    fn serve(&mut self, listener: TcpListener) {
        let shared = self.shared.clone();
        let (stop, mut stopped) = oneshot::channel();
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = tokio::select! {
                    accepted = listener.accept() => accepted.unwrap(),
                    _ = &mut stopped => return,
                };
                let shared = shared.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| {
                        let shared = shared.clone();
                        async move { Ok::<_, Infallible>(shared.answer(request).await) }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        self.server = Some((stop, server));
    }

    /// Changes what it does.
    pub(crate) fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.shared.orders());
    }

    /// What happens to the next calls of a kind.
    pub(crate) fn fault(&self, call: Call, fault: Fault, times: usize) {
        self.shared.book().faults.insert(call, (fault, times));
    }

    /// No more faults.
    pub(crate) fn heal(&self) {
        self.shared.book().faults.clear();
    }

    /// Calls of a kind wait from now on.
    pub(crate) fn hold(&self, call: Call) -> Arc<Hold> {
        let hold = Arc::new(Hold::default());
        self.shared.book().held.insert(call, hold.clone());
        hold
    }

    /// Lets waiting calls go.
    pub(crate) fn release(&self, call: Call) {
        if let Some(hold) = self.shared.book().held.remove(&call) {
            hold.go.notify_waiters();
            hold.go.notify_one();
        }
    }

    /// How many calls of a kind there were.
    pub(crate) fn count(&self, call: Call) -> usize {
        self.shared.book().counts.get(&call).copied().unwrap_or(0)
    }

    /// How often a single-use refresh token was used again.
    pub(crate) fn reused(&self) -> usize {
        self.shared.book().reused
    }

    /// The queries of the sign-outs that came.
    pub(crate) fn sign_outs(&self) -> Vec<HashMap<String, String>> {
        self.shared.book().sign_outs.clone()
    }

    /// The `Host` values that it was called by.
    pub(crate) fn hosts(&self) -> HashSet<String> {
        self.shared.book().hosts.clone()
    }

    /// Every code, token, state, nonce and verifier that was about.
    pub(crate) fn secrets(&self) -> HashSet<String> {
        self.shared.book().secrets.clone()
    }

    /// From now on another key signs; the old one is gone.
    pub(crate) fn rotate_keys(&self, kid: &str) {
        self.shared.book().keys = vec![Key::new(kid)];
    }

    /// Ends all sessions of somebody.
    pub(crate) fn revoke(&self, user: &str) {
        let mut book = self.shared.book();
        let sids: Vec<_> = (book.refreshes.values())
            .filter(|refresh| refresh.user == user)
            .map(|refresh| refresh.sid.clone())
            .collect();
        book.dead.extend(sids);
    }

    /// Where a browser is sent back to, without going there.
    pub(crate) fn approve(&self, authorize: &str) -> String {
        let query = authorize.split_once('?').unwrap().1;
        self.shared.approve(query)
    }
}
