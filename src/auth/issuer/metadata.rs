//! The issuer's discovery document: what the issuer says about itself
//! (OpenID Connect Discovery 1.0 §3).

use serde::Deserialize;
use serde_json::Value;
use url::Url;

use super::transport;
use super::untrusted_text::one_line;

/// Members of the document that hold URLs. Only http and https are accepted, because browsers are
/// sent to some of these URLs.
const REQUIRED: [&str; 3] = ["authorization_endpoint", "token_endpoint", "jwks_uri"];
const OPTIONAL: [&str; 4] =
    ["userinfo_endpoint", "end_session_endpoint", "revocation_endpoint", "introspection_endpoint"];

/// The members of the discovery document that the appliance uses.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Metadata {
    pub(crate) issuer: String,
    pub(super) authorization_endpoint: String,
    pub(super) token_endpoint: String,
    pub(super) jwks_uri: String,
    pub(super) userinfo_endpoint: Option<String>,
    pub(crate) end_session_endpoint: Option<Url>,
    pub(super) revocation_endpoint: Option<String>,
    pub(super) introspection_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    /// Whether every authorization response carries `iss` (RFC 9207 §3).
    #[serde(default, rename = "authorization_response_iss_parameter_supported")]
    pub(crate) sends_iss: bool,
}

impl Metadata {
    /// Reads the document of the issuer `issuer`. The error describes, for people, what is wrong
    /// with it; its text completes a sentence that begins with the document's URL.
    pub(super) fn read(body: &[u8], issuer: &str) -> Result<Self, String> {
        let mut value: Value = serde_json::from_slice(body).map_err(|_| "answers with no JSON")?;
        if let Value::Object(members) = &mut value {
            // Some issuers send `null` for an endpoint that they do not have.
            members.retain(|_, member| !member.is_null());
        }
        match value.get("issuer").and_then(Value::as_str) {
            None => return Err("answers with a document without an issuer".to_owned()),
            Some(found) if found != issuer => {
                let found = one_line(found);
                return Err(format!("says that the issuer is {found:?}, not {issuer:?}"));
            }
            Some(_) => {}
        }
        let is_usable = |url: &Value| {
            let url = url.as_str().and_then(|url| Url::parse(url).ok());
            url.is_some_and(|url| matches!(url.scheme(), "http" | "https"))
        };
        let unusable = REQUIRED.iter().find(|name| !value.get(name).is_some_and(is_usable));
        let unusable = unusable.or_else(|| {
            OPTIONAL.iter().find(|name| value.get(name).is_some_and(|url| !is_usable(url)))
        });
        if let Some(name) = unusable {
            return Err(format!("answers with a document without a usable {name}"));
        }
        if let Some(why) = value.as_object().and_then(|doc| transport::weakness(doc, issuer)) {
            return Err(why);
        }
        serde_json::from_value(value).map_err(|error| {
            format!("answers with a document that cannot be read: {}", one_line(&error.to_string()))
        })
    }

    /// Whether the client secret goes into the request body because the issuer does not offer the
    /// `Authorization` header, which RFC 6749 §2.3.1 prefers.
    pub(super) fn wants_secret_in_body(&self) -> bool {
        let offered = |name: &str| {
            self.token_endpoint_auth_methods_supported.iter().any(|method| method == name)
        };
        offered("client_secret_post") && !offered("client_secret_basic")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const ISSUER: &str = "https://id.example/realms/x";

    fn document() -> Value {
        json!({
            "issuer": ISSUER,
            "authorization_endpoint": "https://id.example/a",
            "token_endpoint": "https://id.example/t",
            "jwks_uri": "https://id.example/k",
        })
    }

    fn reason(edit: impl FnOnce(&mut Value)) -> String {
        let mut value = document();
        edit(&mut value);
        Metadata::read(value.to_string().as_bytes(), ISSUER).err().unwrap_or_default()
    }

    #[test]
    fn a_valid_document_is_read() {
        assert_eq!(reason(|_| {}), "");
    }

    #[test]
    fn an_invalid_document_is_refused_with_a_reason() {
        assert!(Metadata::read(b"<html>", ISSUER).unwrap_err().contains("no JSON"));
        assert!(Metadata::read(b"[]", ISSUER).unwrap_err().contains("without an issuer"));
        assert!(reason(|d| d["issuer"] = json!(7)).contains("without an issuer"));
        let slash = reason(|d| d["issuer"] = json!(format!("{ISSUER}/")));
        assert!(slash.contains("not \"https://id.example/realms/x\""));
        let missing = reason(|d| drop(d.as_object_mut().unwrap().remove("token_endpoint")));
        assert!(missing.contains("token_endpoint"));
        assert!(reason(|d| d["jwks_uri"] = json!("/k")).contains("jwks_uri"));
        for name in REQUIRED.into_iter().chain(OPTIONAL) {
            for bad in [json!("javascript:alert(1)"), json!("file:///x"), json!(""), json!(7)] {
                assert!(reason(|d| d[name] = bad).contains(name), "{name}");
            }
        }
        let clear = reason(|d| d["jwks_uri"] = json!("http://id.example/k"));
        assert!(clear.contains("jwks_uri") && clear.contains("https"), "{clear}");
        for absent in ["end_session_endpoint", "token_endpoint_auth_methods_supported"] {
            assert_eq!(reason(|d| d[absent] = json!(null)), "");
        }
        let long = reason(|d| d["issuer"] = json!("x".repeat(100_000)));
        assert!(long.len() < 400, "{}", long.len());
    }

    #[test]
    fn the_secret_goes_into_the_body_only_if_the_header_is_not_offered() {
        let wants = |methods: Value| {
            let mut value = document();
            value["token_endpoint_auth_methods_supported"] = methods;
            let metadata = Metadata::read(value.to_string().as_bytes(), ISSUER).unwrap();
            metadata.wants_secret_in_body()
        };
        assert!(wants(json!(["client_secret_post"])));
        assert!(!wants(json!(["client_secret_post", "client_secret_basic"])));
        assert!(!wants(json!([])));
    }
}
