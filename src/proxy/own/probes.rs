//! `/_appliance/live` and `/_appliance/ready`, for health checks and load balancers.

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use crate::proxy::answer::compose;
use crate::proxy::phases::route::readiness::Gate;

/// 200 while the process answers at all.
pub(crate) fn live() -> Response<Bytes> {
    compose::json(StatusCode::OK, r#"{"live":true}"#.to_owned())
}

/// 200 when the issuer is up and all critical apps are ready, else 503; the body says what is not.
pub(crate) fn ready(gate: &Gate) -> Response<Bytes> {
    let ready = gate.is_ready();
    let apps: serde_json::Map<_, _> =
        gate.apps().iter().map(|app| (app.name.to_string(), app.phase().as_str().into())).collect();
    let issuer = gate.issuer().map(|(state, reason)| json!({ "state": state, "reason": reason }));
    let document = json!({ "ready": ready, "issuer": issuer, "apps": apps });
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    compose::json(status, document.to_string())
}
