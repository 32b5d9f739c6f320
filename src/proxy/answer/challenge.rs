//! The challenge to programs of an app with `bearer` (RFC 6750 §3), and where they learn which issuer
//! gives them a token (RFC 9728 §5.1).

use http::HeaderValue;

use super::refusal::Refusal;

/// Where the description of a protected resource is, in front of the path of the resource
/// (RFC 9728 §3.1).
pub(crate) const METADATA: &str = "/.well-known/oauth-protected-resource";

/// `WWW-Authenticate` for a refusal; `None` if another credential would change nothing.
/// `is_program`: the request has brought a good access token.
pub(crate) fn of(
    refusal: &Refusal,
    is_program: bool,
    origin: &str,
    path: &str,
) -> Option<HeaderValue> {
    let (error, description) = match refusal {
        Refusal::BadToken { reason } => (Some("invalid_token"), Some(reason)),
        // A request without a credential learns no error code (RFC 6750 §3.1).
        Refusal::SignIn { login: None } => (None, None),
        Refusal::Denied { .. } if is_program => (Some("insufficient_scope"), None),
        _ => return None,
    };
    let metadata = metadata_url(origin, path);
    let parameters = [
        ("error", error),
        ("error_description", description.map(String::as_str)),
        ("resource_metadata", Some(&metadata)),
    ];
    let known = parameters.into_iter().filter_map(|(name, value)| Some((name, value?)));
    let text: Vec<_> =
        known.map(|(name, value)| format!("{name}=\"{}\"", quotable(value))).collect();
    HeaderValue::from_str(&format!("Bearer {}", text.join(", "))).ok()
}

/// The address of the description of the app at `path`.
pub(crate) fn metadata_url(origin: &str, path: &str) -> String {
    format!("{origin}{METADATA}{}", path.trim_end_matches('/'))
}

/// The characters that a description may have (RFC 6750 §3).
fn quotable(text: &str) -> String {
    let fits = |c: char| matches!(c, ' '..='~') && c != '"' && c != '\\';
    text.chars().map(|c| if fits(c) { c } else { '?' }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::policy::{Lack, Reason};
    use crate::texts::Text;

    fn challenge(refusal: &Refusal, is_program: bool) -> Option<String> {
        let value = of(refusal, is_program, "https://apps.example", "/api")?;
        Some(value.to_str().unwrap_or_default().to_owned())
    }

    #[test]
    fn a_challenge_names_the_error_and_where_to_go() {
        let metadata =
            "resource_metadata=\"https://apps.example/.well-known/oauth-protected-resource/api\"";
        let bad = Refusal::BadToken { reason: "it \"has\" expired\n".to_owned() };
        let lack = || Lack::new(Reason::GroupMissing, Text::LackGroup);
        let denied = || Refusal::Denied { app: None, lack: lack(), user: String::new() };
        for (refusal, is_program, want) in [
            (Refusal::SignIn { login: None }, false, Some(format!("Bearer {metadata}"))),
            (Refusal::SignIn { login: Some("/x".to_owned()) }, false, None),
            (
                bad,
                false,
                Some(format!(
                    "Bearer error=\"invalid_token\", error_description=\"it ?has? expired?\", {metadata}"
                )),
            ),
            (denied(), true, Some(format!("Bearer error=\"insufficient_scope\", {metadata}"))),
            (denied(), false, None),
            (Refusal::NotFound, true, None),
        ] {
            assert_eq!(challenge(&refusal, is_program), want, "{refusal:?}");
        }
    }

    #[test]
    fn the_root_has_no_path() {
        let url = "https://mcp.example/.well-known/oauth-protected-resource";
        assert_eq!(metadata_url("https://mcp.example", "/"), url);
    }
}
