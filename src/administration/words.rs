//! Why Keycloak refuses an account, in its own words.

use serde_json::Value;

/// The longest text that is shown.
const LONGEST: usize = 400;

/// The reason in the body of a response of the admin REST API: `error_description` or `errorMessage`, and
/// the fields that it names.
pub(super) fn reason(body: &[u8]) -> Option<String> {
    let body: Value = serde_json::from_slice(body).ok()?;
    let faults = body.get("errors").and_then(Value::as_array).into_iter().flatten();
    let faults: Vec<String> = faults.filter_map(fault).collect();
    let said = if faults.is_empty() {
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        let known = ["error_description", "errorMessage", "error"].into_iter().find_map(text);
        fault(&body).or(known.map(str::to_owned))?
    } else {
        faults.join("; ")
    };
    Some(said.chars().filter(|c| !c.is_control()).take(LONGEST).collect())
}

/// A fault of one field: `{"field": "email", "errorMessage": "error-invalid-email", "params": […]}`.
fn fault(fault: &Value) -> Option<String> {
    let field = fault.get("field")?.as_str()?;
    let message = fault.get("errorMessage")?.as_str()?;
    let params = fault.get("params").and_then(Value::as_array).into_iter().flatten();
    let params = params.filter(|value| value.as_str() != Some(field));
    let params: Vec<String> = params.filter_map(plain).collect();
    let more = if params.is_empty() { String::new() } else { format!(" ({})", params.join(", ")) };
    Some(format!("{field}: {message}{more}"))
}

fn plain(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned).or_else(|| value.as_number().map(ToString::to_string))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_in_the_words_of_keycloak() {
        for (body, wanted) in [
            (
                r#"{"error":"invalidPasswordMinLengthMessage","error_description":"Invalid password: minimum length 8."}"#,
                Some("Invalid password: minimum length 8."),
            ),
            (
                r#"{"errorMessage":"User exists with same username"}"#,
                Some("User exists with same username"),
            ),
            (
                r#"{"field":"email","errorMessage":"error-invalid-email","params":["email","x"]}"#,
                Some("email: error-invalid-email (x)"),
            ),
            (
                r#"{"errors":[{"field":"lastName","errorMessage":"error-invalid-length","params":["lastName",0,255]},{"field":"username","errorMessage":"bad"}]}"#,
                Some("lastName: error-invalid-length (0, 255); username: bad"),
            ),
            (r#"{"error":"unknown_error"}"#, Some("unknown_error")),
            ("{}", None),
            ("<html>", None),
        ] {
            assert_eq!(reason(body.as_bytes()).as_deref(), wanted, "{body}");
        }
        let long = format!("{{\"error\":\"{}\"}}", "x".repeat(5000));
        assert_eq!(reason(long.as_bytes()).unwrap().len(), LONGEST);
    }
}
