//! Claims of the protocol that several kinds of token have.

use std::time::Duration;

use serde_json::Value;

use crate::auth::runtime::clock::{self, Millis};

/// Whether `aud` names one of the audiences (RFC 7519 §4.1.3).
pub(super) fn is_for_any(aud: Option<&Value>, audiences: &[String]) -> bool {
    let accepted = |one: &Value| {
        one.as_str().is_some_and(|one| audiences.iter().any(|audience| audience == one))
    };
    match aud {
        Some(Value::Array(all)) => all.iter().any(accepted),
        Some(one) => accepted(one),
        None => false,
    }
}

/// A `NumericDate`, which may have a fraction (RFC 7519 §2).
pub(super) fn numeric_date(value: &Value) -> Option<Millis> {
    let seconds = value.as_f64().filter(|seconds| *seconds >= 0.0)?;
    Some(clock::millis(Duration::try_from_secs_f64(seconds).ok()?))
}
