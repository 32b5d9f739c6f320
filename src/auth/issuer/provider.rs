//! What an issuer says about itself: its discovery document and its keys.
//!
//! A [`Provider`] is a value that is right: the issuer is ours byte for byte, the endpoints of a
//! login are there, and there is a key that can verify a signature.

use std::collections::HashSet;

use openidconnect::core::{
    CoreClient, CoreJsonWebKey, CoreJsonWebKeySet, CoreJwsSigningAlgorithm as Algorithm,
};
use openidconnect::{
    AuthType, AuthUrl, EndpointNotSet, EndpointSet, IssuerUrl, JsonWebKey as _,
    JsonWebKeyAlgorithm, JsonWebKeyUse, JwsSigningAlgorithm as _, TokenUrl,
};
use serde::Deserialize;
use serde_json::Value;
use url::Url;

use crate::auth::issuer::transport;
use crate::auth::issuer::untrusted_text::brief;
use crate::auth::issuer::watch::Registration;

/// Signatures that we take: asymmetric ones. Never `none`, and never one under a shared secret,
/// which a public key could be passed off as.
pub(crate) const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::RsaSsaPkcs1V15Sha256,
    Algorithm::RsaSsaPkcs1V15Sha384,
    Algorithm::RsaSsaPkcs1V15Sha512,
    Algorithm::RsaSsaPssSha256,
    Algorithm::RsaSsaPssSha384,
    Algorithm::RsaSsaPssSha512,
    Algorithm::EcdsaP256Sha256,
    Algorithm::EcdsaP384Sha384,
    Algorithm::EdDsa,
];

/// A client with the endpoints of authorization and token set.
pub(crate) type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
>;

/// An issuer that is right.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) client: Client,
    pub(crate) keys: CoreJsonWebKeySet,
    pub(crate) document: Document,
}

/// Addresses in a discovery document. Browsers are sent to some of them.
const REQUIRED: [&str; 3] = ["authorization_endpoint", "token_endpoint", "jwks_uri"];
const OPTIONAL: [&str; 3] = ["userinfo_endpoint", "end_session_endpoint", "revocation_endpoint"];

/// The parts of a discovery document that we use (OpenID Connect Discovery 1.0 §3).
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Document {
    pub(crate) issuer: String,
    authorization_endpoint: String,
    pub(crate) token_endpoint: String,
    pub(crate) jwks_uri: String,
    pub(crate) userinfo_endpoint: Option<String>,
    pub(crate) end_session_endpoint: Option<Url>,
    pub(crate) revocation_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    /// RFC 9207 §3
    #[serde(default, rename = "authorization_response_iss_parameter_supported")]
    pub(crate) promises_iss: bool,
}

impl Document {
    /// Reads one; the error says, for people, what is wrong with it.
    pub(crate) fn read(body: &[u8], issuer: &str) -> Result<Self, String> {
        let mut value: Value = serde_json::from_slice(body).map_err(|_| "answers no JSON")?;
        if let Value::Object(members) = &mut value {
            // Some issuers write down what they do not have.
            members.retain(|_, member| !member.is_null());
        }
        match value.get("issuer").and_then(Value::as_str) {
            None => return Err("answers a document without an issuer".to_owned()),
            Some(theirs) if theirs != issuer => {
                let theirs = brief(theirs);
                return Err(format!("says that the issuer is {theirs:?}, not {issuer:?}"));
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
            return Err(format!("answers a document without a usable {name}"));
        }
        if let Some(why) = value.as_object().and_then(|doc| transport::weakness(doc, issuer)) {
            return Err(why);
        }
        serde_json::from_value(value).map_err(|error| {
            format!("answers a document that cannot be read: {}", brief(&error.to_string()))
        })
    }

    /// Whether the client's secret goes into the form because nothing else is offered
    /// (RFC 6749 §2.3.1 prefers the header).
    pub(crate) fn wants_secret_in_form(&self) -> bool {
        let offered = |name: &str| {
            self.token_endpoint_auth_methods_supported.iter().any(|method| method == name)
        };
        offered("client_secret_post") && !offered("client_secret_basic")
    }
}

impl Provider {
    /// Puts document and keys together; the error says, for people, what is wrong with the keys.
    pub(crate) fn new(
        document: Document,
        keys: CoreJsonWebKeySet,
        registration: &Registration,
    ) -> Result<Self, String> {
        if !keys.keys().iter().any(can_verify) {
            return Err("has no key that verifies a signature".to_owned());
        }
        let bad = |error: openidconnect::url::ParseError| error.to_string();
        let issuer = IssuerUrl::new(document.issuer.clone()).map_err(bad)?;
        let authorize = AuthUrl::new(document.authorization_endpoint.clone()).map_err(bad)?;
        let token = TokenUrl::new(document.token_endpoint.clone()).map_err(bad)?;
        let style = if document.wants_secret_in_form() {
            AuthType::RequestBody
        } else {
            AuthType::BasicAuth
        };
        let client = CoreClient::new(registration.client_id.clone(), issuer, keys.clone())
            .set_client_secret(registration.client_secret.clone())
            .set_auth_type(style)
            .set_auth_uri(authorize)
            .set_token_uri(token);
        Ok(Self { client, keys, document })
    }

    /// The same with newer keys.
    pub(crate) fn with_keys(
        &self,
        keys: CoreJsonWebKeySet,
        registration: &Registration,
    ) -> Result<Self, String> {
        Self::new(self.document.clone(), keys, registration)
    }
}

fn can_verify(key: &CoreJsonWebKey) -> bool {
    let algorithms: HashSet<_> = ALGORITHMS.into();
    let for_signatures = key.key_use().is_none_or(JsonWebKeyUse::allows_signature);
    let algorithm = match key.signing_alg() {
        JsonWebKeyAlgorithm::Algorithm(algorithm) => algorithms.contains(algorithm),
        JsonWebKeyAlgorithm::Unspecified => true,
        JsonWebKeyAlgorithm::Unsupported => false,
    };
    let kind = algorithms.iter().any(|known| known.key_type() == Some(key.key_type().clone()));
    for_signatures && algorithm && kind
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
        Document::read(value.to_string().as_bytes(), ISSUER).err().unwrap_or_default()
    }

    #[test]
    fn a_right_document_is_read() {
        assert_eq!(reason(|_| {}), "");
    }

    #[test]
    fn a_wrong_document_is_refused_with_its_reason() {
        assert!(Document::read(b"<html>", ISSUER).unwrap_err().contains("no JSON"));
        assert!(Document::read(b"[]", ISSUER).unwrap_err().contains("without an issuer"));
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
    fn the_form_is_used_only_when_nothing_else_is_offered() {
        let wants = |methods: Value| {
            let mut value = document();
            value["token_endpoint_auth_methods_supported"] = methods;
            let document = Document::read(value.to_string().as_bytes(), ISSUER).unwrap();
            document.wants_secret_in_form()
        };
        assert!(wants(json!(["client_secret_post"])));
        assert!(!wants(json!(["client_secret_post", "client_secret_basic"])));
        assert!(!wants(json!([])));
    }

    #[test]
    fn only_keys_for_signatures_count() {
        let usable = |key: Value| {
            let set: CoreJsonWebKeySet = serde_json::from_value(json!({"keys": [key]})).unwrap();
            set.keys().iter().any(can_verify)
        };
        let rsa = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": "1"});
        let with = |more: Value| {
            let mut key = rsa.clone();
            key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            usable(key)
        };
        assert!(with(json!({})));
        assert!(with(json!({"use": "sig", "alg": "RS256"})));
        assert!(!with(json!({"use": "enc", "alg": "RSA-OAEP"})));
        assert!(!with(json!({"use": "enc"})));
        assert!(!with(json!({"use": "sig", "alg": "HS256"})));
        assert!(!usable(json!({"kty": "oct", "k": "AQAB"})));
    }
}
