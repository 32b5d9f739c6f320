//! A usable issuer: its discovery document, its keys and an OpenID Connect client for both.
//!
//! A [`Provider`] exists only if everything that a login needs is there: the issuer identifier
//! equals the configured one byte for byte, the endpoints are usable, and at least one key can
//! verify a signature.

use openidconnect::core::{
    CoreClient, CoreJsonWebKey, CoreJsonWebKeySet, CoreJwsSigningAlgorithm as Algorithm,
};
use openidconnect::{
    AuthType, AuthUrl, ClientId, ClientSecret, EndpointNotSet, EndpointSet, IssuerUrl,
    JsonWebKey as _, JsonWebKeyAlgorithm, JsonWebKeyUse, JwsSigningAlgorithm as _, TokenUrl,
};

use super::metadata::Metadata;

/// The accepted signature algorithms. Only asymmetric ones: `none` proves nothing, and with HMAC an
/// attacker could sign with the issuer's public key as the secret.
pub(super) const ALGORITHMS: [Algorithm; 9] = [
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

/// The appliance as a client of the issuer: what the issuer has registered (RFC 6749 §2).
#[derive(Debug, Clone)]
pub(crate) struct Registration {
    pub(crate) client_id: ClientId,
    pub(crate) client_secret: ClientSecret,
}

/// An OpenID Connect client with its authorization and token endpoints set.
pub(super) type OidcClient = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
>;

/// A usable issuer.
#[derive(Debug)]
pub(super) struct Provider {
    pub(super) client: OidcClient,
    registration: Registration,
    pub(super) keys: CoreJsonWebKeySet,
    pub(super) metadata: Metadata,
}

impl Provider {
    /// Combines discovery document and keys. The error describes, for people, what is wrong with
    /// the keys; its text completes a sentence that begins with their URL.
    pub(super) fn new(
        metadata: Metadata,
        keys: CoreJsonWebKeySet,
        registration: &Registration,
    ) -> Result<Self, String> {
        if !keys.keys().iter().any(can_verify) {
            return Err("has no key that can verify a signature".to_owned());
        }
        let bad = |error: openidconnect::url::ParseError| error.to_string();
        let issuer = IssuerUrl::new(metadata.issuer.clone()).map_err(bad)?;
        let authorize = AuthUrl::new(metadata.authorization_endpoint.clone()).map_err(bad)?;
        let token = TokenUrl::new(metadata.token_endpoint.clone()).map_err(bad)?;
        let style = if metadata.wants_secret_in_body() {
            AuthType::RequestBody
        } else {
            AuthType::BasicAuth
        };
        let client = CoreClient::new(registration.client_id.clone(), issuer, keys.clone())
            .set_client_secret(registration.client_secret.clone())
            .set_auth_type(style)
            .set_auth_uri(authorize)
            .set_token_uri(token);
        Ok(Self { client, registration: registration.clone(), keys, metadata })
    }

    /// The same issuer with newer keys.
    pub(super) fn with_keys(&self, keys: CoreJsonWebKeySet) -> Result<Self, String> {
        Self::new(self.metadata.clone(), keys, &self.registration)
    }

    /// The same issuer for another registration.
    pub(super) fn with_registration(&self, registration: &Registration) -> Result<Self, String> {
        Self::new(self.metadata.clone(), self.keys.clone(), registration)
    }

    /// This issuer with `keys`, which were fetched for `before`; `None` if newer keys are known, and an error if
    /// the issuer has its keys elsewhere now. `before` is what was known when the fetch began.
    pub(super) fn renewed(
        &self,
        before: &Self,
        keys: &CoreJsonWebKeySet,
    ) -> Result<Option<Self>, String> {
        if self.keys != before.keys {
            return Ok(None);
        }
        if self.metadata.jwks_uri != before.metadata.jwks_uri {
            return Err(format!("the issuer has moved them to {}", self.metadata.jwks_uri));
        }
        self.with_keys(keys.clone()).map(Some)
    }
}

/// Whether the key may be used for signatures, with an accepted algorithm.
fn can_verify(key: &CoreJsonWebKey) -> bool {
    ALGORITHMS.iter().any(|algorithm| can_verify_with(key, algorithm))
}

/// Whether the key may be used for signatures with this algorithm.
pub(super) fn can_verify_with(key: &CoreJsonWebKey, algorithm: &Algorithm) -> bool {
    let for_signatures = key.key_use().is_none_or(JsonWebKeyUse::allows_signature);
    let same_algorithm = match key.signing_alg() {
        JsonWebKeyAlgorithm::Algorithm(own) => own == algorithm,
        JsonWebKeyAlgorithm::Unspecified => true,
        JsonWebKeyAlgorithm::Unsupported => false,
    };
    for_signatures && same_algorithm && algorithm.key_type().as_ref() == Some(key.key_type())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn registration(secret: &str) -> Registration {
        Registration {
            client_id: ClientId::new("apps".into()),
            client_secret: ClientSecret::new(secret.into()),
        }
    }

    fn keys(kid: &str) -> CoreJsonWebKeySet {
        let key = json!({"kty": "RSA", "n": "AQAB", "e": "AQAB", "kid": kid});
        serde_json::from_value(json!({ "keys": [key] })).unwrap()
    }

    fn provider(keys_at: &str, token_at: &str, kid: &str, secret: &str) -> Provider {
        let document = json!({
            "issuer": "https://id.example", "authorization_endpoint": "https://id.example/a",
            "token_endpoint": token_at, "jwks_uri": keys_at,
        });
        let metadata =
            Metadata::read(document.to_string().as_bytes(), "https://id.example").unwrap();
        Provider::new(metadata, keys(kid), &registration(secret)).unwrap()
    }

    #[test]
    fn fetched_keys_replace_nothing_that_is_newer() {
        let (at, token) = ("https://id.example/k", "https://id.example/t");
        let before = provider(at, token, "old", "s1");
        let renewed = |newest: &Provider| newest.renewed(&before, &keys("new")).unwrap();
        let same = renewed(&provider(at, token, "old", "s1")).unwrap();
        assert_eq!(same.keys, keys("new"));
        // The document and the registration have changed during the fetch.
        let moved = renewed(&provider(at, "https://id.example/t2", "old", "s2")).unwrap();
        assert_eq!(moved.keys, keys("new"));
        assert_eq!(moved.metadata.token_endpoint, "https://id.example/t2");
        assert_eq!(moved.registration.client_secret.secret(), "s2");
        assert!(renewed(&provider(at, token, "newer", "s1")).is_none());
        let elsewhere = provider("https://id.example/k2", token, "old", "s1");
        assert!(elsewhere.renewed(&before, &keys("new")).unwrap_err().contains("/k2"));
    }

    #[test]
    fn only_signature_keys_are_usable() {
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
