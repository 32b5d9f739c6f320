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
pub(crate) type OidcClient = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
    EndpointNotSet,
>;

/// A usable issuer.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) client: OidcClient,
    pub(super) keys: CoreJsonWebKeySet,
    pub(crate) metadata: Metadata,
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
        Ok(Self { client, keys, metadata })
    }

    /// The same issuer with newer keys.
    pub(super) fn with_keys(
        &self,
        keys: CoreJsonWebKeySet,
        registration: &Registration,
    ) -> Result<Self, String> {
        Self::new(self.metadata.clone(), keys, registration)
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
