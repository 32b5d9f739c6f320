//! The pages for programs, as JSON.

use serde_json::json;

use super::shown::Shown;
use crate::control::protocol::Status;
use crate::proxy::Refused;

/// The list: the apps and the issuer as in `status --json`.
pub(super) fn list(status: &Status, refusals: &[Refused]) -> String {
    json!({ "apps": status.apps, "issuer": status.issuer, "refusals": refusals }).to_string()
}

/// One app: its processes as in `status --json`.
pub(super) fn app(Shown { app, states, refusals, .. }: &Shown<'_>) -> String {
    json!({
        "name": app.name,
        "title": app.title,
        "processes": states,
        "refusals": refusals,
    })
    .to_string()
}
