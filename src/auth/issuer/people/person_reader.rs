//! Reads the person out of the issuer's tokens.
//!
//! The claims of the ID token come first. Claims that it lacks are taken from the access token,
//! which came in the same response (Keycloak puts roles only there), then from the userinfo
//! endpoint. No source may name another subject.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use openidconnect::AccessToken;
use serde_json::{Map, Value};
use tracing::{debug, warn};

use super::group_source::{GroupSource, GroupsError};
use crate::auth::issuer::token::VerifiedIdToken;
use crate::auth::issuer::watch::Issuer;
use crate::auth::person::{ClaimPaths, Person, claims};
use crate::config::Oidc;
use crate::telemetry::Throttle;

/// Reads people out of tokens.
#[derive(Debug)]
pub(crate) struct PersonReader {
    pub(super) issuer: Arc<Issuer>,
    paths: Arc<ClaimPaths>,
    /// `[oidc] groups_overage`
    groups: Option<GroupSource>,
    /// The log has said that access tokens name no subject.
    warned: AtomicBool,
    /// People whose groups reach no app.
    left_out: Throttle,
}

impl PersonReader {
    pub(crate) fn new(issuer: Arc<Issuer>, paths: Arc<ClaimPaths>, oidc: &Oidc) -> Self {
        let groups = oidc.groups_overage.as_ref().and_then(GroupSource::new);
        let (warned, left_out) = (AtomicBool::new(false), Throttle::default());
        Self { issuer, paths, groups, warned, left_out }
    }

    /// The person that a verified ID token and its access token describe. Fails if the token refers to
    /// the groups, and they cannot be fetched.
    pub(super) async fn by_id_token(
        &self,
        id_token: VerifiedIdToken,
        access: &AccessToken,
    ) -> Result<Person, GroupsError> {
        let VerifiedIdToken { subject, mut claims, .. } = id_token;
        if let Some(more) = self.in_access_token(&subject, access) {
            claims::complete(&mut claims, more);
        }
        let mut claims = Value::Object(claims);
        if !self.paths.complete_in(&claims)
            && let Some(more) = self.userinfo(&subject, access).await
            && let Value::Object(claims) = &mut claims
        {
            claims::complete(claims, more);
        }
        if self.paths.refer_to_groups(&claims) {
            self.fetch_groups(&mut claims, access).await?;
        }
        Ok(self.read(&subject, claims))
    }

    /// The person that an access token describes which came without an ID token, as the response to
    /// a refresh may (OpenID Connect Core §12.2). `None` if userinfo does not answer for this
    /// subject. `groupless`: until now the person was in no group, see
    /// [`Self::is_groupless`].
    pub(super) async fn by_userinfo(
        &self,
        subject: &str,
        access: &AccessToken,
        groupless: bool,
    ) -> Option<Person> {
        let mut claims = self.userinfo(subject, access).await?;
        if let Some(more) = self.in_access_token(subject, access) {
            claims::complete(&mut claims, more);
        }
        let mut claims = Value::Object(claims);
        // Userinfo may say nothing about groups to which an ID token would refer.
        if !self.paths.have_groups(&claims)
            && let Err(reason) = self.fetch_groups(&mut claims, access).await
        {
            warn!(%reason, "cannot fetch the groups of a person");
            return None;
        }
        self.keep_groups_unknown(&mut claims, groupless);
        Some(self.read(subject, claims))
    }

    /// Groups that only an ID token tells are not known without one: the person need not have left them, and
    /// would pass every `deny` that names one of them. Only where it is known that there never were any, there
    /// are none now.
    fn keep_groups_unknown(&self, claims: &mut Value, groupless: bool) {
        if !self.paths.have_groups(claims) && !groupless {
            self.paths.set_groups_unknown(claims);
        }
    }

    /// Whether the issuer has told that a person is in no group: it leaves the claim out then, and does not say
    /// that the groups are elsewhere.
    pub(crate) fn is_groupless(&self, person: &Person) -> bool {
        !self.paths.have_groups(&person.claims) && !self.paths.refer_to_groups(&person.claims)
    }

    async fn fetch_groups(
        &self,
        claims: &mut Value,
        access: &AccessToken,
    ) -> Result<(), GroupsError> {
        if let Some(source) = &self.groups {
            let groups = source.fetch(&self.issuer.http, access.secret()).await?;
            self.paths.set_groups(claims, groups);
        }
        Ok(())
    }

    /// The person that the claims of a session cookie describe; `None` if they are not JSON.
    pub(crate) fn by_sealed_claims(&self, subject: &str, claims: &str) -> Option<Person> {
        Some(self.read(subject, serde_json::from_str(claims).ok()?))
    }

    /// The person with these claims.
    pub(super) fn read(&self, subject: &str, claims: Value) -> Person {
        let person = self.paths.read(subject, claims);
        self.warn_of_groups(&person);
        person
    }

    fn warn_of_groups(&self, person: &Person) {
        if self.paths.refer_to_groups(&person.claims)
            && let Some(others) = self.left_out.note("reference", Instant::now())
        {
            warn!(
                user = person.user,
                others,
                "the issuer does not list the groups of a person, who is therefore in none and excluded \
                 by every `deny` with groups; set [oidc] groups_overage, or let the issuer send the \
                 groups in its answers to a refresh: in an ID token, an access token or userinfo"
            );
        }
        if person.headers.too_many_groups
            && let Some(others) = self.left_out.note("groups", Instant::now())
        {
            warn!(
                user = person.user,
                groups = person.groups.len(),
                others,
                "the groups of a person are too many for a header, so apps get no header for groups; \
                 set [oidc] groups_only to the groups that apps need"
            );
        }
    }

    /// The claims in an access token that is a JWT of this issuer. Its signature is not verified: the
    /// issuer itself sent the token, over the connection that the appliance opened.
    ///
    /// A token that names another subject does not count. One that names none does: it came with a
    /// verified ID token of `subject`, or userinfo answered it for `subject`.
    fn in_access_token(&self, subject: &str, access: &AccessToken) -> Option<Map<String, Value>> {
        let claims = claims::payload(access.secret())?;
        let provider = self.issuer.provider()?;
        if claims.get("iss").and_then(Value::as_str) != Some(&provider.metadata.issuer) {
            return None;
        }
        match claims.get("sub") {
            Some(sub) if sub.as_str() != Some(subject) => return None,
            Some(_) => {}
            None => self.warn_of_a_missing_subject(),
        }
        Some(claims::about_the_person(claims))
    }

    fn warn_of_a_missing_subject(&self) {
        if !self.warned.swap(true, Ordering::Relaxed) {
            warn!(
                "the access token has no `sub`; its claims count because it came with the tokens \
                 of this person. Other programs may ignore it: at Keycloak, give the client the \
                 client scope `basic`"
            );
        }
    }

    async fn userinfo(&self, subject: &str, access: &AccessToken) -> Option<Map<String, Value>> {
        let provider = self.issuer.provider()?;
        let url = provider.metadata.userinfo_endpoint.as_deref()?;
        match self.issuer.userinfo(url, access.secret()).await {
            // OpenID Connect Core §5.3.2 requires this comparison of the subject.
            Ok(claims) if claims.get("sub").and_then(Value::as_str) == Some(subject) => {
                Some(claims::about_the_person(claims))
            }
            Ok(_) => None,
            Err(reason) => {
                debug!(reason, "cannot read userinfo");
                None
            }
        }
    }
}
