//! An OpenID provider that does as it is told: right by default, wrong on request.
//!
//! It approves every authorization request at once, for whoever [`Orders::user`] names. It listens
//! on a port of its own that it keeps over [`Issuer::stop`] and [`Issuer::start`].

use std::collections::{BTreeMap, HashMap, HashSet};
use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJwsSigningAlgorithm};
use openidconnect::{CsrfToken, JsonWebKeyId, PrivateSigningKey as _};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, JoinSet};

/// Where a call goes: what [`Issuer::count`] and [`Issuer::fault`] speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Call {
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
pub enum Fault {
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
pub struct Orders {
    /// Who is signed in.
    pub user: String,
    pub people: BTreeMap<String, Value>,
    /// Life of tokens.
    pub ttl: Duration,
    /// Refresh tokens are single-use, and reuse kills the whole chain.
    pub rotate: bool,
    /// Grant refresh tokens at all.
    pub refresh_tokens: bool,
    /// Put an ID token into refresh answers.
    pub id_on_refresh: bool,
    /// Promise and send `iss` (RFC 9207).
    pub iss: bool,
    /// Merged over the discovery document; `null` takes a member away.
    pub discovery: Value,
    /// Merged over the claims of every ID token; `null` takes one away.
    pub id_claims: Value,
    /// Sign ID tokens with a key that is not published, under the published name.
    pub forge: bool,
    pub client_secret: String,
}

/// A running provider.
pub struct Issuer {
    pub url: String,
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
}

/// Calls that wait until they are let go.
#[derive(Default)]
pub struct Hold {
    /// Somebody has come.
    pub arrived: Notify,
    go: Notify,
}

struct Key {
    kid: String,
    private: CoreEdDsaPrivateSigningKey,
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
            ttl: Duration::from_secs(300),
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
    pub async fn new() -> Self {
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
    pub async fn start(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(self.address).unwrap();
        self.serve(socket.listen(128).unwrap());
        tokio::task::yield_now().await;
    }

    /// Nobody listens any more, and open connections are cut.
    pub async fn stop(&mut self) {
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
    pub fn order(&self, change: impl FnOnce(&mut Orders)) {
        change(&mut self.shared.orders());
    }

    /// What happens to the next calls of a kind.
    pub fn fault(&self, call: Call, fault: Fault, times: usize) {
        self.shared.book().faults.insert(call, (fault, times));
    }

    /// No more faults.
    pub fn heal(&self) {
        self.shared.book().faults.clear();
    }

    /// Calls of a kind wait from now on.
    pub fn hold(&self, call: Call) -> Arc<Hold> {
        let hold = Arc::new(Hold::default());
        self.shared.book().held.insert(call, hold.clone());
        hold
    }

    /// Lets waiting calls go.
    pub fn release(&self, call: Call) {
        if let Some(hold) = self.shared.book().held.remove(&call) {
            hold.go.notify_waiters();
            hold.go.notify_one();
        }
    }

    /// How many calls of a kind there were.
    pub fn count(&self, call: Call) -> usize {
        self.shared.book().counts.get(&call).copied().unwrap_or(0)
    }

    /// How often a single-use refresh token was used again.
    pub fn reused(&self) -> usize {
        self.shared.book().reused
    }

    /// The queries of the sign-outs that came.
    pub fn sign_outs(&self) -> Vec<HashMap<String, String>> {
        self.shared.book().sign_outs.clone()
    }

    /// From now on another key signs; the old one is gone.
    pub fn rotate_keys(&self, kid: &str) {
        self.shared.book().keys = vec![Key::new(kid)];
    }

    /// Ends all sessions of somebody.
    pub fn revoke(&self, user: &str) {
        let mut book = self.shared.book();
        let sids: Vec<_> = (book.refreshes.values())
            .filter(|refresh| refresh.user == user)
            .map(|refresh| refresh.sid.clone())
            .collect();
        book.dead.extend(sids);
    }

    /// Where a browser is sent back to, without going there.
    pub fn approve(&self, authorize: &str) -> String {
        let query = authorize.split_once('?').unwrap().1;
        self.shared.approve(query)
    }
}

impl Shared {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap()
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
        let form = pairs(std::str::from_utf8(&body).unwrap());
        let path = parts.uri.path().strip_prefix("/realms/main").unwrap_or_default();
        let query = parts.uri.query().unwrap_or_default();
        let call = match (path, form.get("grant_type").map(String::as_str)) {
            ("/.well-known/openid-configuration", _) => Call::Discovery,
            ("/jwks", _) => Call::Jwks,
            ("/authorize", _) => Call::Authorize,
            ("/token", Some("authorization_code")) => Call::Code,
            ("/token", Some("refresh_token")) => Call::Refresh,
            ("/userinfo", _) => Call::Userinfo,
            ("/logout", _) => Call::EndSession,
            ("/revoke", _) => Call::Revoke,
            _ => return answer(StatusCode::NOT_FOUND, json!({"error": "not_found"})),
        };
        if let Some(trouble) = self.trouble(call).await {
            return trouble;
        }
        let authorization = parts.headers.get(header::AUTHORIZATION);
        let authorization = authorization.and_then(|value| value.to_str().ok()).unwrap_or("");
        match call {
            Call::Discovery => answer(StatusCode::OK, self.discovery()),
            Call::Jwks => {
                let book = self.book();
                let keys: Vec<_> = book.keys.iter().map(Key::public).collect();
                answer(StatusCode::OK, json!({ "keys": keys }))
            }
            Call::Authorize => redirect(&self.approve(query)),
            Call::Userinfo => self.userinfo(authorization),
            Call::EndSession => {
                let query = if parts.method == Method::POST { form } else { pairs(query) };
                self.book().sign_outs.push(query.clone());
                redirect(query.get("post_logout_redirect_uri").map_or("/", String::as_str))
            }
            Call::Code | Call::Refresh | Call::Revoke if !self.knows(authorization, &form) => {
                answer(StatusCode::UNAUTHORIZED, json!({"error": "invalid_client"}))
            }
            Call::Code => self.redeem(&form),
            Call::Refresh => self.refresh(&form),
            Call::Revoke => {
                let mut book = self.book();
                if let Some(sid) = book.refreshes.get(&form["token"]).map(|r| r.sid.clone()) {
                    book.dead.insert(sid);
                }
                answer(StatusCode::OK, json!({}))
            }
        }
    }

    async fn trouble(&self, call: Call) -> Option<Response<Full<Bytes>>> {
        let (fault, hold) = {
            let mut book = self.book();
            *book.counts.entry(call).or_default() += 1;
            let fault = book.faults.get_mut(&call).filter(|(_, times)| *times > 0).map(|fault| {
                fault.1 -= 1;
                fault.0.clone()
            });
            (fault, book.held.get(&call).cloned())
        };
        if let Some(hold) = hold {
            hold.arrived.notify_one();
            hold.go.notified().await;
        }
        Some(match fault? {
            Fault::Status(status) => text(StatusCode::from_u16(status).unwrap(), "<html>ordered"),
            Fault::Body(body) => text(StatusCode::OK, body),
            Fault::Error(error) => answer(StatusCode::BAD_REQUEST, json!({ "error": error })),
            Fault::Hang => std::future::pending().await,
        })
    }

    fn discovery(&self) -> Value {
        let orders = self.orders();
        let at = |path: &str| format!("{}/{path}", self.url);
        let document = json!({
            "issuer": self.url,
            "authorization_endpoint": at("authorize"),
            "token_endpoint": at("token"),
            "jwks_uri": at("jwks"),
            "userinfo_endpoint": at("userinfo"),
            "end_session_endpoint": at("logout"),
            "revocation_endpoint": at("revoke"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "authorization_response_iss_parameter_supported": orders.iss,
        });
        merged(document, &orders.discovery)
    }

    fn approve(&self, query: &str) -> String {
        let asked = pairs(query);
        let (code, sid) = (random(), random());
        let mut back = form_urlencoded::Serializer::new(String::new());
        back.append_pair("code", &code).append_pair("state", &asked["state"]);
        let orders = self.orders();
        if orders.iss {
            back.append_pair("iss", &self.url);
        }
        let url = format!("{}?{}", asked["redirect_uri"], back.finish());
        let code_of = Code { asked, user: orders.user.clone(), sid };
        self.book().codes.insert(code, code_of);
        url
    }

    /// By header or form (RFC 6749 §2.3.1).
    fn knows(&self, authorization: &str, form: &HashMap<String, String>) -> bool {
        let secret = match authorization.strip_prefix("Basic ") {
            Some(pair) => {
                let pair = String::from_utf8(BASE64_STANDARD.decode(pair).unwrap()).unwrap();
                let secret = pair.split_once(':').unwrap().1.to_owned();
                let decoded = pairs(&format!("secret={secret}"));
                decoded["secret"].clone()
            }
            None => form.get("client_secret").cloned().unwrap_or_default(),
        };
        secret == self.orders().client_secret
    }

    fn redeem(&self, form: &HashMap<String, String>) -> Response<Full<Bytes>> {
        let Some(code) = self.book().codes.remove(&form["code"]) else {
            return refuse("code not valid");
        };
        let proof = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
        if code.asked["code_challenge_method"] != "S256" || code.asked["code_challenge"] != proof {
            return refuse("PKCE verification failed");
        }
        if form["redirect_uri"] != code.asked["redirect_uri"] {
            return refuse("incorrect redirect_uri");
        }
        let nonce = code.asked.get("nonce").cloned();
        self.tokens(&Refresh { user: code.user, sid: code.sid, used: false }, nonce, true)
    }

    fn refresh(&self, form: &HashMap<String, String>) -> Response<Full<Bytes>> {
        let (rotate, with_id) = {
            let orders = self.orders();
            (orders.rotate, orders.id_on_refresh)
        };
        let known = {
            let mut book = self.book();
            let Some(known) = book.refreshes.get(&form["refresh_token"]).cloned() else {
                return refuse("invalid refresh token");
            };
            if rotate && known.used {
                book.reused += 1;
                book.dead.insert(known.sid.clone());
            }
            if book.dead.contains(&known.sid) {
                return refuse("session not active");
            }
            book.refreshes.get_mut(&form["refresh_token"]).unwrap().used = true;
            known
        };
        self.tokens(&known, None, with_id)
    }

    fn tokens(&self, who: &Refresh, nonce: Option<String>, with_id: bool) -> Response<Full<Bytes>> {
        let orders = self.orders();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let person = &orders.people[&who.user];
        let claims = json!({
            "iss": self.url, "aud": "appliance", "azp": "appliance", "sid": who.sid,
            "iat": now, "exp": now + orders.ttl.as_secs(), "nonce": nonce, "jti": random(),
        });
        let claims = merged(claims, person);
        let mut book = self.book();
        let signing = book.keys.last().unwrap();
        let access = signing.sign(&merged(claims.clone(), &json!({"typ": "Bearer"})));
        let mut tokens = json!({
            "access_token": access, "token_type": "Bearer", "expires_in": orders.ttl.as_secs(),
        });
        if with_id {
            let claims = merged(claims, &orders.id_claims);
            let forger = Key::new(&signing.kid);
            let key = if orders.forge { &forger } else { signing };
            tokens["id_token"] = json!(key.sign(&claims));
        }
        if orders.refresh_tokens {
            let token = random();
            tokens["refresh_token"] = json!(token);
            book.refreshes.insert(token, Refresh { used: false, ..who.clone() });
        }
        answer(StatusCode::OK, tokens)
    }

    fn userinfo(&self, authorization: &str) -> Response<Full<Bytes>> {
        let subject = (authorization.strip_prefix("Bearer "))
            .and_then(|token| token.split('.').nth(1))
            .and_then(|payload| BASE64_URL_SAFE_NO_PAD.decode(payload).ok())
            .and_then(|payload| serde_json::from_slice::<Value>(&payload).ok())
            .map(|claims| claims["sub"].clone());
        let orders = self.orders();
        match orders.people.values().find(|person| Some(&person["sub"]) == subject.as_ref()) {
            Some(person) => answer(StatusCode::OK, person.clone()),
            None => answer(StatusCode::UNAUTHORIZED, json!({"error": "invalid_token"})),
        }
    }
}

impl Key {
    fn new(kid: &str) -> Self {
        // PKCS #8 of an Ed25519 key is a fixed head before the 32 bytes (RFC 8410 §7).
        let mut der = BASE64_STANDARD.decode("MC4CAQAwBQYDK2VwBCIEIA==").unwrap();
        der.extend(Sha256::digest(random()));
        let text = BASE64_STANDARD.encode(der);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        let id = JsonWebKeyId::new(kid.to_owned());
        let private = CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(id)).unwrap();
        Self { kid: kid.to_owned(), private }
    }

    fn public(&self) -> Value {
        serde_json::to_value(self.private.as_verification_key()).unwrap()
    }

    fn sign(&self, claims: &Value) -> String {
        let head = json!({"alg": "EdDSA", "typ": "JWT", "kid": self.kid}).to_string();
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let signed =
            format!("{}.{}", encode(head.as_bytes()), encode(claims.to_string().as_bytes()));
        let signature =
            self.private.sign(&CoreJwsSigningAlgorithm::EdDsa, signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(&signature))
    }
}

fn random() -> String {
    CsrfToken::new_random().into_secret()
}

fn pairs(query: &str) -> HashMap<String, String> {
    form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

fn merged(base: Value, over: &Value) -> Value {
    let mut map: Map<String, Value> = serde_json::from_value(base).unwrap();
    for (name, value) in over.as_object().unwrap() {
        map.insert(name.clone(), value.clone());
    }
    map.retain(|_, value| !value.is_null());
    Value::Object(map)
}

fn answer(status: StatusCode, body: Value) -> Response<Full<Bytes>> {
    let mut response = text(status, &body.to_string());
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn refuse(why: &str) -> Response<Full<Bytes>> {
    let body = json!({"error": "invalid_grant", "error_description": why});
    answer(StatusCode::BAD_REQUEST, body)
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_owned()));
    *response.status_mut() = status;
    response
}

fn redirect(to: &str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::FOUND, "");
    response.headers_mut().insert(header::LOCATION, to.try_into().unwrap());
    response
}
