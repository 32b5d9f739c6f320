//! `/_appliance/live` and `/_appliance/ready`, for health checks and load balancers.

use bytes::Bytes;
use http::header::COOKIE;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use super::endpoints::Question;
use crate::auth::policy::{Verdict, decide};
use crate::proxy::Proxy;
use crate::proxy::answer::compose;
use crate::proxy::phases::access::authenticate;
use crate::proxy::phases::route::readiness::Gate;

/// 200 while the process answers at all.
pub(crate) fn live() -> Response<Bytes> {
    compose::json(StatusCode::OK, r#"{"live":true}"#.to_owned())
}

/// 200 when the issuer is up and all critical apps are ready, else 503. The body names the apps and
/// the issuer only to clients of this machine and to operators: strangers learn no names.
pub(crate) async fn ready(
    proxy: &Proxy,
    question: Question<'_>,
    cookies: &mut Vec<HeaderValue>,
) -> Response<Bytes> {
    let gate = &proxy.gate;
    let ready = gate.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if !question.local && !is_operator(proxy, question, cookies).await {
        return compose::json(status, json!({ "ready": ready }).to_string());
    }
    compose::json(status, details(gate, ready))
}

fn details(gate: &Gate, ready: bool) -> String {
    let apps: serde_json::Map<_, _> =
        gate.apps().iter().map(|app| (app.name.to_string(), app.phase().as_str().into())).collect();
    let issuer = gate.issuer().map(|(state, reason)| json!({ "state": state, "reason": reason }));
    json!({ "ready": ready, "issuer": issuer, "apps": apps }).to_string()
}

/// Whether an operator asks. A probe has no cookie, and then nothing is looked up.
async fn is_operator(
    proxy: &Proxy,
    question: Question<'_>,
    cookies: &mut Vec<HeaderValue>,
) -> bool {
    let (Some(auth), Some(access)) = (proxy.auth.as_deref(), &proxy.operators) else {
        return false;
    };
    if !question.known_host || !question.headers.contains_key(COOKIE) {
        return false;
    }
    let Ok(mut caller) = authenticate::identify(auth, question.headers).await else { return false };
    *cookies = std::mem::take(&mut caller.cookies);
    caller.person.is_some_and(|person| decide(access, None, Some(&person)) == Verdict::Allow)
}
