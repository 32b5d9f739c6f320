//! A test OpenID provider. By default it works correctly; tests can order faults.
//!
//! The provider approves every authorization request at once, for the person [`Orders::user`]. It keeps
//! its port over [`Issuer::stop`] and [`Issuer::start`].

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

// With a path, because the benchmarks include this file from another folder.
#[path = "issuer/answers.rs"]
mod answers;
#[path = "issuer/key.rs"]
mod key;

use key::Key;

/// The kind of a call to the provider.
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
    Introspect,
}

/// A fault that replaces the response to a call.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// This status, with a body that is not JSON.
    Status(u16),
    /// Status 200 with this body.
    Body(&'static str),
    /// An OAuth error with status 400.
    Error(&'static str),
    /// No response.
    Hang,
}

/// The behaviour of the provider.
#[expect(clippy::struct_excessive_bools, reason = "each flag is an independent setting")]
pub(crate) struct Orders {
    /// The person for whom authorization requests are approved.
    pub(crate) user: String,
    pub(crate) people: BTreeMap<String, Value>,
    /// The lifetime of tokens.
    pub(crate) ttl: Duration,
    /// Refresh tokens are single-use, and a reuse ends the whole session.
    pub(crate) rotate: bool,
    /// Grant refresh tokens.
    pub(crate) refresh_tokens: bool,
    /// Put an ID token into refresh responses.
    pub(crate) id_on_refresh: bool,
    /// Show a page with a link before an authorization request is approved. The page keeps no window that
    /// opened it, like that of the Keycloak preset.
    pub(crate) shows_a_page: bool,
    /// Announce and send `iss` (RFC 9207).
    pub(crate) iss: bool,
    /// Merged over the discovery document; `null` removes a member.
    pub(crate) discovery: Value,
    /// Merged over the claims of every ID token; `null` removes a claim.
    pub(crate) id_claims: Value,
    /// Merged over the claims of every access token; `null` removes a claim.
    pub(crate) access_claims: Value,
    /// Sign ID tokens with a key that is not published, under the published key id.
    pub(crate) forge: bool,
    pub(crate) client_secret: String,
    /// What an introspection says about a token that no JWT is; all others are not in force.
    pub(crate) opaque: BTreeMap<String, Value>,
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
    /// People and their sessions, the newest last.
    sids: Vec<(String, String)>,
}

/// Calls that wait until they are released.
#[derive(Default)]
pub(crate) struct Hold {
    /// Notified when a call has arrived.
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
            shows_a_page: false,
            iss: true,
            discovery: json!({}),
            id_claims: json!({}),
            access_claims: json!({}),
            forge: false,
            client_secret: "the client's secret".into(),
            opaque: BTreeMap::new(),
        }
    }
}

impl Issuer {
    /// Starts a provider on a free port of 127.0.0.1.
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

    /// Starts the provider again on its port.
    pub(crate) async fn start(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        self.serve(socket.listen(128).unwrap());
        tokio::task::yield_now().await;
    }

    /// Stops listening and closes open connections.
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

    /// Changes the behaviour.
    pub(crate) fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.shared.orders());
    }

    /// Makes the next `times` calls of a kind fail.
    pub(crate) fn fault(&self, call: Call, fault: Fault, times: usize) {
        self.shared.book().faults.insert(call, (fault, times));
    }

    /// Removes all faults.
    pub(crate) fn heal(&self) {
        self.shared.book().faults.clear();
    }

    /// Makes calls of a kind wait until [`Self::release`].
    pub(crate) fn hold(&self, call: Call) -> Arc<Hold> {
        let hold = Arc::new(Hold::default());
        self.shared.book().held.insert(call, hold.clone());
        hold
    }

    /// Releases waiting calls.
    pub(crate) fn release(&self, call: Call) {
        if let Some(hold) = self.shared.book().held.remove(&call) {
            hold.go.notify_waiters();
            hold.go.notify_one();
        }
    }

    /// The number of calls of a kind so far.
    pub(crate) fn count(&self, call: Call) -> usize {
        self.shared.book().counts.get(&call).copied().unwrap_or(0)
    }

    /// The number of reuses of single-use refresh tokens.
    pub(crate) fn reused(&self) -> usize {
        self.shared.book().reused
    }

    /// The queries of all sign-outs so far.
    pub(crate) fn sign_outs(&self) -> Vec<HashMap<String, String>> {
        self.shared.book().sign_outs.clone()
    }

    /// The `Host` headers of all calls so far.
    pub(crate) fn hosts(&self) -> HashSet<String> {
        self.shared.book().hosts.clone()
    }

    /// Every code, token, state, nonce and verifier so far.
    pub(crate) fn secrets(&self) -> HashSet<String> {
        self.shared.book().secrets.clone()
    }

    /// Replaces the signing key.
    /// A token with the claims of an access token of `user`; `more` is merged over them, `null` removes
    /// a claim.
    pub(crate) fn mint(&self, user: &str, more: &Value) -> String {
        self.shared.mint(user, more)
    }

    pub(crate) fn rotate_keys(&self, kid: &str) {
        self.shared.book().keys = vec![Key::new(kid)];
    }

    /// Ends all sessions of a person.
    pub(crate) fn revoke(&self, user: &str) {
        let mut book = self.shared.book();
        let sids: Vec<_> = (book.refreshes.values())
            .filter(|refresh| refresh.user == user)
            .map(|refresh| refresh.sid.clone())
            .collect();
        book.dead.extend(sids);
    }

    /// The sessions of a person, the newest last.
    pub(crate) fn sids(&self, user: &str) -> Vec<String> {
        let book = self.shared.book();
        book.sids.iter().filter(|(whose, _)| whose == user).map(|(_, sid)| sid.clone()).collect()
    }

    /// A logout token with these claims added or, with `null`, left out.
    pub(crate) fn logout_token(&self, claims: &Value) -> String {
        self.shared.book().keys.last().unwrap().sign(&self.logout_claims(claims))
    }

    /// The same with a key that is not published, under this key id.
    pub(crate) fn forged_logout_token(&self, kid: &str, claims: &Value) -> String {
        Key::new(kid).sign(&self.logout_claims(claims))
    }

    fn logout_claims(&self, claims: &Value) -> Value {
        answers::logout_claims(&self.url, claims)
    }

    /// Approves an authorization request. Returns the URL of the callback without calling it.
    pub(crate) fn approve(&self, authorize: &str) -> String {
        let query = authorize.split_once('?').unwrap().1;
        self.shared.approve(query)
    }
}
