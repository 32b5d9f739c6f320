//! Who the tokens of a response stand for: at a login, at a refresh and at a restore.
//!
//! An OpenID provider says it in an ID token, or at userinfo after a refresh. GitHub says it in its API.

use tracing::warn;

use super::group_source::GroupsError;
use super::person_reader::PersonReader;
use crate::auth::issuer::github::{Account, ApiError, GitHub};
use crate::auth::issuer::token::IdTokenError;
use crate::auth::issuer::token_endpoint::TokenResponse;
use crate::auth::person::Person;

/// A person whose tokens were verified.
#[derive(Debug)]
pub(crate) struct Identified {
    pub(crate) person: Person,
    /// Identifier of the issuer's session (`sid`), if the response has one.
    pub(crate) sid: Option<String>,
}

/// A login whose tokens stand for nobody. The texts are for the log.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum IdentityError {
    #[error("the ID token is not valid: {0}")]
    IdToken(#[from] IdTokenError),
    #[error("the issuer sent no ID token; is `openid` among the scopes?")]
    NoIdToken,
    #[error("{0}")]
    Groups(#[from] GroupsError),
    #[error("{0}")]
    GitHub(#[from] ApiError),
}

/// Why a refresh does not tell who the person is now.
#[derive(Debug)]
pub(crate) enum Untold {
    /// There is no answer now. Holds the reason if the log does not have it.
    NoVerdict(Option<String>),
    /// The issuer has ended the session.
    Revoked,
    /// The answer is about another person.
    AnotherPerson,
    /// The ID token must not be trusted.
    Untrusted(IdTokenError),
}

impl PersonReader {
    /// The person of a login with this `nonce`.
    pub(crate) async fn at_login(
        &self,
        response: &TokenResponse,
        nonce: &str,
    ) -> Result<Identified, IdentityError> {
        if let Some(github) = self.issuer.github() {
            let account = self.account(github, response).await?;
            let person = self.read(&account.subject, account.claims.into());
            return Ok(Identified { person, sid: None });
        }
        let token = response.id_token.as_ref().ok_or(IdentityError::NoIdToken)?;
        let verified = self.issuer.verify_id_token(token, Some(nonce)).await?;
        let sid = verified.sid.clone();
        let person = self.by_id_token(verified, &response.access_token).await?;
        Ok(Identified { person, sid })
    }

    /// The person after a refresh, who must be `subject`. `groupless`: until now the person was in no group,
    /// see [`Self::is_groupless`].
    pub(crate) async fn at_refresh(
        &self,
        subject: &str,
        groupless: bool,
        response: &TokenResponse,
    ) -> Result<Identified, Untold> {
        if let Some(github) = self.issuer.github() {
            let account = self.account(github, response).await?;
            if account.subject != subject {
                return Err(Untold::AnotherPerson);
            }
            let person = self.read(subject, account.claims.into());
            return Ok(Identified { person, sid: None });
        }
        let Some(token) = &response.id_token else {
            let person = self.by_userinfo(subject, &response.access_token, groupless).await;
            let person = person.ok_or(Untold::NoVerdict(None))?;
            return Ok(Identified { person, sid: None });
        };
        match self.issuer.verify_id_token(token, None).await {
            Ok(verified) if verified.subject == subject => {
                let sid = verified.sid.clone();
                // A service that does not answer ends no session, like an issuer that does not.
                let read = self.by_id_token(verified, &response.access_token).await;
                let person = read.map_err(|error| Untold::NoVerdict(Some(error.to_string())))?;
                Ok(Identified { person, sid })
            }
            Ok(_) => Err(Untold::AnotherPerson),
            // The issuer may sign with a key that it does not publish yet. The tokens came from the
            // issuer itself, so the session goes on with the person as known.
            Err(IdTokenError::UnknownKey) => Err(Untold::NoVerdict(None)),
            Err(error) => Err(Untold::Untrusted(error)),
        }
    }

    async fn account(
        &self,
        github: &GitHub,
        response: &TokenResponse,
    ) -> Result<Account, ApiError> {
        let account = github.account(&self.issuer.http, response.access_token.secret()).await;
        if matches!(account, Err(ApiError::Unavailable(_))) {
            self.issuer.report_failure();
        }
        account
    }
}

impl From<ApiError> for Untold {
    fn from(error: ApiError) -> Self {
        match error {
            ApiError::Revoked(_) => {
                warn!(reason = %error, "GitHub has ended a session");
                Self::Revoked
            }
            other => Self::NoVerdict(Some(other.to_string())),
        }
    }
}
