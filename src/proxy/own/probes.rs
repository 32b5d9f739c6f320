//! `/_appliance/live` and `/_appliance/ready`, for health checks and load balancers.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use crate::proxy::answer::compose;
use crate::proxy::phases::route::readiness::Gate;

/// 200 as long as the process responds.
pub(super) fn live() -> Response<Bytes> {
    compose::json(StatusCode::OK, r#"{"live":true}"#.to_owned())
}

/// 200 if people can sign in and all critical apps are ready, else 503. The body has the state of the
/// issuer and of every app.
pub(super) fn ready(gate: &Gate) -> Response<Bytes> {
    let ready = gate.is_ready();
    let apps: serde_json::Map<_, _> =
        gate.apps().iter().map(|app| (app.name.to_string(), app.phase().as_str().into())).collect();
    let issuer = gate.issuer().map(|(state, reason)| json!({ "state": state, "reason": reason }));
    let document = json!({ "ready": ready, "issuer": issuer, "apps": apps });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    compose::json(status, document.to_string())
}
