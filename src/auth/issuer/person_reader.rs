//! From tokens to a person.
//!
//! The ID token comes first. What it does not say is taken from the access token, which the issuer
//! gave us over the same call (Keycloak puts roles there only), and what is missing then, from the
//! userinfo endpoint. Everything must speak of the same subject.

use std::sync::Arc;

use openidconnect::AccessToken;
use serde_json::{Map, Value};
use tracing::debug;

use crate::auth::Person;
use crate::auth::issuer::token_endpoint::Verified;
use crate::auth::issuer::watch::Issuer;
use crate::auth::person::claims;
use crate::auth::person::identity::ClaimNames;

/// Reads people out of tokens.
#[derive(Debug)]
pub(crate) struct Identities {
    issuer: Arc<Issuer>,
    names: ClaimNames,
}

impl Identities {
    pub(crate) fn new(issuer: Arc<Issuer>, names: ClaimNames) -> Self {
        Self { issuer, names }
    }

    /// The person of a verified ID token.
    pub(crate) async fn of(&self, verified: Verified, access: &AccessToken) -> Person {
        let Verified { subject, mut claims, .. } = verified;
        if let Some(more) = self.in_access_token(&subject, access) {
            claims::complete(&mut claims, more);
        }
        let mut claims = Value::Object(claims);
        if !self.names.complete_in(&claims)
            && let Some(more) = self.userinfo(&subject, access).await
            && let Value::Object(claims) = &mut claims
        {
            claims::complete(claims, more);
        }
        self.names.read(&subject, claims)
    }

    /// The person of an access token that came without an ID token, as refreshes may
    /// (OpenID Connect Core §12.2). `None` when the issuer does not say who that is.
    pub(crate) async fn by_userinfo(&self, subject: &str, access: &AccessToken) -> Option<Person> {
        let mut claims = self.userinfo(subject, access).await?;
        if let Some(more) = self.in_access_token(subject, access) {
            claims::complete(&mut claims, more);
        }
        Some(self.names.read(subject, Value::Object(claims)))
    }

    /// The person of claims that we sealed ourselves.
    pub(crate) fn of_sealed(&self, subject: &str, claims: &str) -> Option<Person> {
        Some(self.names.read(subject, serde_json::from_str(claims).ok()?))
    }

    fn in_access_token(&self, subject: &str, access: &AccessToken) -> Option<Map<String, Value>> {
        let claims = claims::payload(access.secret())?;
        let provider = self.issuer.provider()?;
        let says = |name: &str, want: &str| claims.get(name).and_then(Value::as_str) == Some(want);
        if !says("sub", subject) || !says("iss", &provider.document.issuer) {
            return None;
        }
        Some(claims::about_the_person(claims))
    }

    async fn userinfo(&self, subject: &str, access: &AccessToken) -> Option<Map<String, Value>> {
        let provider = self.issuer.provider()?;
        let url = provider.document.userinfo_endpoint.as_deref()?;
        match self.issuer.userinfo(url, access.secret()).await {
            // Core §5.3.2: the subject must be compared.
            Ok(claims) if claims.get("sub").and_then(Value::as_str) == Some(subject) => {
                Some(claims::about_the_person(claims))
            }
            Ok(_) => None,
            Err(reason) => {
                debug!(reason, "no userinfo");
                None
            }
        }
    }
}
