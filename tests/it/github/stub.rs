//! A GitHub Enterprise Server of the test, as strict as GitHub: its pages, its token endpoint, and the part
//! of the REST API that tells who has signed in.

use std::collections::{HashMap, HashSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use openidconnect::CsrfToken;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;

pub const CLIENT: &str = "Ov23li.appliance";
pub const SECRET: &str = "a secret of the client: +7 %2F";

/// GitHub puts up to 100 entries on a page.
const PER_PAGE: usize = 2;

type Reply = Response<Full<Bytes>>;

/// What GitHub answers instead to calls of the API with an access token.
#[derive(Clone)]
pub struct Refusal {
    pub path: &'static str,
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
}

/// What GitHub knows and does.
pub struct State {
    pub user: Value,
    pub addresses: Value,
    pub organisations: Vec<&'static str>,
    /// The organisation and the slug of each team.
    pub teams: Vec<(&'static str, &'static str)>,
    pub refusal: Option<Refusal>,
    /// A member of the token response of a GitHub App with expiring tokens. Without `refresh`, GitHub sends
    /// neither; the tests then have a shorter time to the next refresh.
    pub expires_in: Option<u64>,
    pub refresh: bool,
    /// What the token endpoint answers, with status 200.
    pub error: Option<&'static str>,
    /// Ids of organisations that are hidden from the token.
    pub hidden: Option<&'static str>,
    /// Where the second page of a list is.
    pub next: Option<String>,
    /// Nothing of GitHub answers, only a proxy in front of it.
    pub down: bool,
    /// Method and target of every call of the API but those for the state.
    pub calls: Vec<String>,
    pub tokens: HashSet<String>,
    pub refreshes: HashMap<String, String>,
    pub ended: Vec<String>,
    /// Every code, token, state and verifier.
    pub secrets: HashSet<String>,
    codes: HashMap<String, HashMap<String, String>>,
}

/// A running GitHub.
#[derive(Clone)]
pub struct GitHub {
    pub url: String,
    state: Arc<Mutex<State>>,
}

impl GitHub {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let github = Self { url, state: Arc::new(Mutex::new(State::new())) };
        let served = github.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let github = served.clone();
                tokio::spawn(async move {
                    let service = service_fn(move |request| {
                        let github = github.clone();
                        async move { Ok::<_, Infallible>(github.answer(request).await) }
                    });
                    let http = hyper::server::conn::http1::Builder::new();
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        github
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    async fn answer(&self, request: Request<Incoming>) -> Reply {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
        if self.state().down {
            return text(StatusCode::SERVICE_UNAVAILABLE, "no server is available");
        }
        match (&parts.method, parts.uri.path()) {
            (&Method::GET, "/login/oauth/authorize") => self.authorize(&parts),
            (&Method::POST, "/login/oauth/access_token") => self.tokens(&parts.headers, &body),
            (_, path) if path.starts_with("/api/v3/") => {
                let mut answer = self.api(&parts, &body);
                answer.headers_mut().insert("x-github-request-id", "1:2".parse().unwrap());
                answer
            }
            _ => text(StatusCode::NOT_FOUND, "<html>not found"),
        }
    }

    /// Approves a request at once.
    fn authorize(&self, parts: &Parts) -> Reply {
        let asked = pairs(parts.uri.query().unwrap_or_default().as_bytes());
        let names: HashSet<_> = asked.keys().map(String::as_str).collect();
        let protocol = HashSet::from([
            "client_id",
            "redirect_uri",
            "scope",
            "state",
            "code_challenge",
            "code_challenge_method",
        ]);
        let more = HashSet::from(["login", "prompt"]);
        assert!(names.is_superset(&protocol), "{names:?}");
        assert!(names.difference(&protocol).all(|name| more.contains(name)), "{names:?}");
        assert_eq!(asked["client_id"], CLIENT);
        assert_eq!(asked["scope"], "read:user user:email read:org");
        assert_eq!(asked["code_challenge_method"], "S256");
        let code = random();
        let back = form_urlencoded::Serializer::new(String::new())
            .append_pair("code", &code)
            .append_pair("state", &asked["state"])
            .finish();
        let to = format!("{}?{back}", asked["redirect_uri"]);
        let mut state = self.state();
        state.secrets.extend([code.clone(), asked["state"].clone()]);
        state.codes.insert(code, asked);
        let mut answer = text(StatusCode::FOUND, "");
        answer.headers_mut().insert(header::LOCATION, to.parse().unwrap());
        answer
    }

    /// Refusals have status 200, but for a client that GitHub does not know.
    fn tokens(&self, headers: &HeaderMap, body: &[u8]) -> Reply {
        assert_eq!(headers[header::ACCEPT], "application/json", "else the answer is a form");
        let form = pairs(body);
        let refuse = |error: &str| {
            let text = json!({"error": error, "error_description": "see the documentation"});
            json_answer(StatusCode::OK, &text)
        };
        if form["client_id"] != CLIENT {
            return json_answer(StatusCode::NOT_FOUND, &json!({"error": "Not Found"}));
        }
        if form["client_secret"] != SECRET {
            return refuse("incorrect_client_credentials");
        }
        let mut state = self.state();
        if let Some(error) = state.error {
            return refuse(error);
        }
        if form.get("grant_type").is_some_and(|grant| grant == "refresh_token") {
            let Some(access) = state.refreshes.remove(&form["refresh_token"]) else {
                return refuse("bad_refresh_token");
            };
            state.tokens.remove(&access);
            return state.grant();
        }
        let Some(asked) = state.codes.remove(&form["code"]) else {
            return refuse("bad_verification_code");
        };
        let proof = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&form["code_verifier"]));
        if asked["code_challenge"] != proof {
            return refuse("bad_verification_code");
        }
        if asked["redirect_uri"] != form["redirect_uri"] {
            return refuse("redirect_uri_mismatch");
        }
        state.secrets.insert(form["code_verifier"].clone());
        state.grant()
    }

    fn api(&self, parts: &Parts, body: &[u8]) -> Reply {
        let message = |status, text: &str| json_answer(status, &json!({ "message": text }));
        if !parts.headers.contains_key(header::USER_AGENT) {
            return message(StatusCode::FORBIDDEN, "Request forbidden by administrative rules.");
        }
        let path = parts.uri.path().strip_prefix("/api/v3/").unwrap();
        if path == "rate_limit" {
            return message(StatusCode::NOT_FOUND, "Rate limiting is not enabled.");
        }
        let mut state = self.state();
        state.calls.push(format!("{} {}", parts.method, parts.uri));
        if parts.method == Method::DELETE {
            return state.end(&parts.headers, path, body);
        }
        let credentials = parts.headers.get(header::AUTHORIZATION);
        let token = credentials.and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        if !token.is_some_and(|token| state.tokens.contains(token)) {
            return message(StatusCode::UNAUTHORIZED, "Bad credentials");
        }
        if let Some(Refusal { status, headers, .. }) =
            state.refusal.clone().filter(|refusal| refusal.path == path)
        {
            let mut answer = message(StatusCode::from_u16(status).unwrap(), "no");
            for (name, value) in headers {
                answer.headers_mut().insert(HeaderName::from_static(name), value.parse().unwrap());
            }
            return answer;
        }
        let list = match path {
            "user" => return json_answer(StatusCode::OK, &state.user),
            "user/emails" => state.addresses.as_array().unwrap().clone(),
            "user/orgs" => state.organisations.iter().map(|name| json!({"login": name})).collect(),
            "user/teams" => {
                let team = |(organisation, slug): &(&str, &str)| json!({"slug": slug, "organization": {"login": organisation}});
                state.teams.iter().map(team).collect()
            }
            _ => return message(StatusCode::NOT_FOUND, "Not Found"),
        };
        let next = state.next.clone().unwrap_or_else(|| format!("{}/api/v3/{path}", self.url));
        let mut answer = page(&list, &pairs(parts.uri.query().unwrap_or("").as_bytes()), &next);
        if let Some(ids) = state.hidden.filter(|_| path == "user/orgs") {
            let value = format!("partial-results; organizations={ids}");
            answer.headers_mut().insert("x-github-sso", value.parse().unwrap());
        }
        answer
    }
}

impl State {
    fn new() -> Self {
        Self {
            user: json!({"id": 583_231, "login": "octocat", "name": "The Octocat"}),
            addresses: json!([
                {"email": "second@example.com", "primary": false, "verified": true},
                {"email": "octocat@example.com", "primary": true, "verified": true},
            ]),
            organisations: vec!["One", "two", "three", "four", "Octo-Org"],
            teams: vec![("two", "a"), ("two", "b"), ("Octo-Org", "justice-league")],
            refusal: None,
            expires_in: None,
            refresh: false,
            error: None,
            hidden: None,
            next: None,
            down: false,
            calls: Vec::new(),
            tokens: HashSet::new(),
            refreshes: HashMap::new(),
            ended: Vec::new(),
            secrets: HashSet::new(),
            codes: HashMap::new(),
        }
    }

    fn grant(&mut self) -> Reply {
        let access = format!("gho_{}", random());
        let mut answer = json!({"access_token": access, "token_type": "bearer", "scope": ""});
        if let Some(life) = self.expires_in {
            answer["expires_in"] = json!(life);
        }
        if self.refresh {
            let refresh = format!("ghr_{}", random());
            answer["refresh_token"] = json!(refresh);
            self.secrets.insert(refresh.clone());
            self.refreshes.insert(refresh, access.clone());
        }
        self.secrets.insert(access.clone());
        self.tokens.insert(access);
        json_answer(StatusCode::OK, &answer)
    }

    fn end(&mut self, headers: &HeaderMap, path: &str, body: &[u8]) -> Reply {
        let pair = headers[header::AUTHORIZATION].to_str().unwrap().strip_prefix("Basic ").unwrap();
        let pair = String::from_utf8(BASE64_STANDARD.decode(pair).unwrap()).unwrap();
        assert_eq!(pair, format!("{CLIENT}:{SECRET}"));
        assert_eq!(path, format!("applications/{CLIENT}/token"));
        let body: Value = serde_json::from_slice(body).unwrap();
        let token = body["access_token"].as_str().unwrap();
        self.ended.push(token.to_owned());
        let known = self.tokens.remove(token);
        text(if known { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND }, "")
    }
}

/// One page of a list. Other pages are named in the header `Link`.
fn page(list: &[Value], query: &HashMap<String, String>, next: &str) -> Reply {
    let number: usize = query.get("page").map_or(1, |number| number.parse().unwrap());
    assert_eq!(query["per_page"], "100");
    let chunk = list.chunks(PER_PAGE).nth(number - 1).unwrap_or_default();
    let mut answer = json_answer(StatusCode::OK, &json!(chunk));
    let count = list.len().div_ceil(PER_PAGE);
    let at = |number| format!("<{next}?per_page=100&page={number}>");
    let mut links = Vec::new();
    if number > 1 {
        links.push(format!("{}; rel=\"prev\"", at(number - 1)));
    }
    if number < count {
        links.push(format!("{}; rel=\"next\"", at(number + 1)));
        links.push(format!("{}; rel=\"last\"", at(count)));
    }
    if !links.is_empty() {
        answer.headers_mut().insert(header::LINK, links.join(", ").parse().unwrap());
    }
    answer
}

fn random() -> String {
    CsrfToken::new_random().into_secret()
}

fn pairs(text: &[u8]) -> HashMap<String, String> {
    form_urlencoded::parse(text).into_owned().collect()
}

fn json_answer(status: StatusCode, body: &Value) -> Reply {
    let mut answer = text(status, &body.to_string());
    let json = header::HeaderValue::from_static("application/json; charset=utf-8");
    answer.headers_mut().insert(header::CONTENT_TYPE, json);
    answer
}

fn text(status: StatusCode, body: &str) -> Reply {
    let mut answer = Response::new(Full::from(body.to_owned()));
    *answer.status_mut() = status;
    answer
}

/// The time of GitHub's `expires_in` that the tests order.
pub const LIFE: Duration = Duration::from_secs(2);
