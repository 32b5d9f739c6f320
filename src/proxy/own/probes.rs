//! `/_appliance/live` and `/_appliance/ready`, for health checks and load balancers.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use serde_json::json;

use super::endpoints::EndpointRequest;
use crate::proxy::Proxy;
use crate::proxy::answer::compose;
use crate::proxy::phases::route::readiness::Gate;

/// 200 as long as the process responds.
pub(super) fn live() -> Response<Bytes> {
    compose::json(StatusCode::OK, r#"{"live":true}"#.to_owned())
}

/// 200 if people can sign in and all critical apps are ready, else 503. The body has the state of the
/// issuer and of every app only for clients on this machine and for operators: strangers learn no
/// names. `cookies` receives `Set-Cookie` values.
pub(super) async fn ready(
    proxy: &Proxy,
    request: EndpointRequest<'_>,
    cookies: &mut Vec<HeaderValue>,
) -> Response<Bytes> {
    let ready = proxy.gate.is_ready();
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    if !request.local && !is_operator(proxy, request, cookies).await {
        return compose::json(status, json!({ "ready": ready }).to_string());
    }
    compose::json(status, details(&proxy.gate, ready))
}

fn details(gate: &Gate, ready: bool) -> String {
    let apps: serde_json::Map<_, _> =
        gate.apps().iter().map(|app| (app.name.to_string(), app.phase().as_str().into())).collect();
    let issuer = gate.issuer().map(|(state, reason)| json!({ "state": state, "reason": reason }));
    json!({ "ready": ready, "issuer": issuer, "apps": apps }).to_string()
}

/// Whether an operator sends the request.
async fn is_operator(
    proxy: &Proxy,
    request: EndpointRequest<'_>,
    cookies: &mut Vec<HeaderValue>,
) -> bool {
    if !request.known_host {
        return false;
    }
    match proxy.operator(request.visitor()).await {
        Some(set) => {
            *cookies = set;
            true
        }
        None => false,
    }
}
