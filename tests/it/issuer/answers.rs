//! The responses of the provider.

use std::collections::HashMap;
use std::sync::MutexGuard;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use openidconnect::CsrfToken;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::key::Key;
use super::{Book, Call, Code, Fault, Orders, Refresh, Shared};

impl Shared {
    pub(super) fn orders(&self) -> MutexGuard<'_, Orders> {
        self.orders.lock().unwrap()
    }

    pub(super) fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap()
    }

    pub(super) async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
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
            ("/introspect", _) => Call::Introspect,
            _ => return answer(StatusCode::NOT_FOUND, &json!({"error": "not_found"})),
        };
        self.note(&parts.headers, &form);
        if let Some(trouble) = self.trouble(call).await {
            return trouble;
        }
        let authorization = parts.headers.get(header::AUTHORIZATION);
        let authorization = authorization.and_then(|value| value.to_str().ok()).unwrap_or("");
        match call {
            Call::Discovery => answer(StatusCode::OK, &self.discovery()),
            Call::Jwks => {
                let book = self.book();
                let keys: Vec<_> = book.keys.iter().map(Key::public).collect();
                answer(StatusCode::OK, &json!({ "keys": keys }))
            }
            Call::Authorize if self.orders().shows_a_page => {
                login_page(&self.approve(query).replace('&', "&amp;"))
            }
            Call::Authorize => redirect(&self.approve(query)),
            Call::Userinfo => self.userinfo(authorization),
            Call::EndSession => {
                let query = if parts.method == Method::POST { form } else { pairs(query) };
                self.book().sign_outs.push(query.clone());
                let back = query.get("post_logout_redirect_uri").map_or("/", String::as_str);
                match query.get("state") {
                    Some(state) if back.contains('?') => redirect(&format!("{back}&state={state}")),
                    Some(state) => redirect(&format!("{back}?state={state}")),
                    None => redirect(back),
                }
            }
            Call::Code | Call::Refresh | Call::Revoke | Call::Introspect
                if !self.knows(authorization, &form) =>
            {
                answer(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_client"}))
            }
            Call::Code => self.redeem(&form),
            Call::Refresh => self.refresh(&form),
            Call::Introspect => {
                let inactive = json!({"active": false});
                let orders = self.orders();
                answer(StatusCode::OK, orders.opaque.get(&form["token"]).unwrap_or(&inactive))
            }
            Call::Revoke => {
                let mut book = self.book();
                if let Some(sid) = book.refreshes.get(&form["token"]).map(|r| r.sid.clone()) {
                    book.dead.insert(sid);
                }
                answer(StatusCode::OK, &json!({}))
            }
        }
    }

    fn note(&self, headers: &http::HeaderMap, form: &HashMap<String, String>) {
        let mut book = self.book();
        let host = headers[header::HOST].to_str().unwrap().to_owned();
        book.hosts.insert(host);
        for name in ["code", "code_verifier", "refresh_token", "token", "client_secret"] {
            book.secrets.extend(form.get(name).cloned());
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
            Fault::Error(error) => answer(StatusCode::BAD_REQUEST, &json!({ "error": error })),
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
            "introspection_endpoint": at("introspect"),
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["EdDSA"],
            "authorization_response_iss_parameter_supported": orders.iss,
        });
        merged(document, &orders.discovery)
    }

    pub(super) fn approve(&self, query: &str) -> String {
        let asked = pairs(query);
        let (code, sid) = (random(), random());
        let mut back = form_urlencoded::Serializer::new(String::new());
        back.append_pair("code", &code).append_pair("state", &asked["state"]);
        let orders = self.orders();
        if orders.iss {
            back.append_pair("iss", &self.url);
        }
        let url = format!("{}?{}", asked["redirect_uri"], back.finish());
        let mut book = self.book();
        book.secrets.extend([code.clone(), asked["state"].clone()]);
        book.secrets.extend(asked.get("nonce").cloned());
        let code_of = Code { asked, user: orders.user.clone(), sid };
        book.sids.push((code_of.user.clone(), code_of.sid.clone()));
        book.codes.insert(code, code_of);
        url
    }

    /// Whether the client's secret is right, in the header or in the form (RFC 6749 section 2.3.1).
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
        let who = Refresh { user: code.user, sid: code.sid, used: false };
        self.tokens(&who, code.asked.get("nonce"), true)
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

    fn tokens(
        &self,
        who: &Refresh,
        nonce: Option<&String>,
        with_id: bool,
    ) -> Response<Full<Bytes>> {
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
        let access = merged(claims.clone(), &json!({"typ": "Bearer"}));
        let access = signing.sign(&merged(access, &orders.access_claims));
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
        for name in ["access_token", "id_token", "refresh_token"] {
            book.secrets.extend(tokens[name].as_str().map(str::to_owned));
        }
        answer(StatusCode::OK, &tokens)
    }

    pub(super) fn mint(&self, user: &str, more: &Value) -> String {
        let orders = self.orders();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let claims = json!({
            "iss": self.url, "aud": "appliance", "azp": "robot", "iat": now,
            "exp": now + orders.ttl.as_secs(), "jti": random(), "typ": "Bearer",
        });
        let claims = merged(merged(claims, &orders.people[user]), more);
        let mut book = self.book();
        let token = book.keys.last().unwrap().sign(&claims);
        book.secrets.insert(token.clone());
        token
    }

    fn userinfo(&self, authorization: &str) -> Response<Full<Bytes>> {
        let subject = (authorization.strip_prefix("Bearer "))
            .and_then(|token| token.split('.').nth(1))
            .and_then(|payload| BASE64_URL_SAFE_NO_PAD.decode(payload).ok())
            .and_then(|payload| serde_json::from_slice::<Value>(&payload).ok())
            .map(|claims| claims["sub"].clone());
        let orders = self.orders();
        match orders.people.values().find(|person| Some(&person["sub"]) == subject.as_ref()) {
            Some(person) => answer(StatusCode::OK, person),
            None => answer(StatusCode::UNAUTHORIZED, &json!({"error": "invalid_token"})),
        }
    }
}

/// The claims of a logout token (OpenID Connect Back-Channel Logout 1.0 section 2.4).
pub(super) fn logout_claims(issuer: &str, claims: &Value) -> Value {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let usual = json!({
        "iss": issuer, "aud": "appliance", "iat": now, "exp": now + 120, "jti": random(),
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    });
    merged(usual, claims)
}

pub(super) fn random() -> String {
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

fn answer(status: StatusCode, body: &Value) -> Response<Full<Bytes>> {
    let mut response = text(status, &body.to_string());
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

fn refuse(why: &str) -> Response<Full<Bytes>> {
    let body = json!({"error": "invalid_grant", "error_description": why});
    answer(StatusCode::BAD_REQUEST, &body)
}

fn text(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(body.to_owned()));
    *response.status_mut() = status;
    response
}

fn login_page(to: &str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::OK, &format!("<a id=go href=\"{to}\">Sign in</a>"));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, header::HeaderValue::from_static("text/html"));
    let policy = header::HeaderValue::from_static("noopener-allow-popups");
    headers.insert("cross-origin-opener-policy", policy);
    response
}

fn redirect(to: &str) -> Response<Full<Bytes>> {
    let mut response = text(StatusCode::FOUND, "");
    response.headers_mut().insert(header::LOCATION, to.try_into().unwrap());
    response
}
