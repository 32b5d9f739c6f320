//! Keys that sign, made on the spot.

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use openidconnect::core::{CoreEdDsaPrivateSigningKey, CoreJwsSigningAlgorithm};
use openidconnect::{JsonWebKeyId, PrivateSigningKey as _};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::answers::random;

/// An Ed25519 key with its name.
pub(super) struct Key {
    pub(super) kid: String,
    private: CoreEdDsaPrivateSigningKey,
}

impl Key {
    pub(super) fn new(kid: &str) -> Self {
        // PKCS #8 of an Ed25519 key is a fixed head before the 32 bytes (RFC 8410 §7).
        let mut der = BASE64_STANDARD.decode("MC4CAQAwBQYDK2VwBCIEIA==").unwrap();
        der.extend(Sha256::digest(random()));
        let text = BASE64_STANDARD.encode(der);
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n");
        let id = JsonWebKeyId::new(kid.to_owned());
        let private = CoreEdDsaPrivateSigningKey::from_ed25519_pem(&pem, Some(id)).unwrap();
        Self { kid: kid.to_owned(), private }
    }

    pub(super) fn public(&self) -> Value {
        serde_json::to_value(self.private.as_verification_key()).unwrap()
    }

    pub(super) fn sign(&self, claims: &Value) -> String {
        let head = json!({"alg": "EdDSA", "typ": "JWT", "kid": self.kid}).to_string();
        let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
        let signed =
            format!("{}.{}", encode(head.as_bytes()), encode(claims.to_string().as_bytes()));
        let signature =
            self.private.sign(&CoreJwsSigningAlgorithm::EdDsa, signed.as_bytes()).unwrap();
        format!("{signed}.{}", encode(&signature))
    }
}
