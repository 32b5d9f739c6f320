//! The person that an access token of GitHub stands for, as claims.

use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use tracing::warn;

use super::GitHub;
use super::api::ApiError;
use crate::auth::issuer::http_client::HttpClient;

/// For all calls about one person, with the wait for others.
const LONGEST: Duration = Duration::from_secs(20);

/// Who has signed in, and what GitHub tells about them.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::auth::issuer) struct Account {
    /// The id of the account as text: it never changes and is never given to another account.
    pub(in crate::auth::issuer) subject: String,
    pub(in crate::auth::issuer) claims: Map<String, Value>,
}

/// <https://docs.github.com/rest/users/users#get-the-authenticated-user>
#[derive(Deserialize)]
struct User {
    id: u64,
    login: String,
    name: Option<String>,
    avatar_url: Option<String>,
    html_url: Option<String>,
}

/// <https://docs.github.com/rest/users/emails>
#[derive(Deserialize)]
struct Address {
    email: String,
    primary: bool,
    verified: bool,
}

/// <https://docs.github.com/rest/orgs/orgs#list-organizations-for-the-authenticated-user>
#[derive(Deserialize)]
struct Organisation {
    login: String,
}

/// <https://docs.github.com/rest/teams/teams#list-teams-for-the-authenticated-user>
#[derive(Deserialize)]
struct Team {
    slug: String,
    organization: Organisation,
}

impl GitHub {
    /// Who the access token stands for. All of it is known, or nothing: with a part of the groups, a person
    /// would pass a `deny` that names one of the others.
    pub(in crate::auth::issuer) async fn account(
        &self,
        http: &HttpClient,
        token: &str,
    ) -> Result<Account, ApiError> {
        if let Some(left) = self.pauses.left(token) {
            return Err(ApiError::Limited(left.as_secs().max(1)));
        }
        let asked = timeout(LONGEST, async {
            let _free = self.free.acquire().await;
            self.ask(http, token).await
        });
        let late = || {
            let url = self.addresses.api("user");
            ApiError::Unavailable(format!("{url} takes longer than {} s", LONGEST.as_secs()))
        };
        asked.await.unwrap_or_else(|_| Err(late()))
    }

    /// One call after the other, as GitHub asks for.
    async fn ask(&self, http: &HttpClient, token: &str) -> Result<Account, ApiError> {
        let user: User = self.one(http, token, "user").await.map_err(|error| match error {
            // Every token may read its own account, unless the account is suspended.
            ApiError::Refused(answer) => ApiError::Revoked(answer),
            other => other,
        })?;
        let addresses = self.all(http, token, "user/emails").await?;
        let organisations = self.all(http, token, "user/orgs").await?;
        let teams = self.all(http, token, "user/teams").await?;
        if let Some(ids) = organisations.hidden.or(teams.hidden) {
            self.warn_of_hidden(&user.login, &ids);
        }
        Ok(account(&user, &addresses.entries, &organisations.entries, &teams.entries))
    }

    fn warn_of_hidden(&self, user: &str, ids: &str) {
        if let Some(others) = self.hidden.note(ids, Instant::now()) {
            warn!(
                user,
                organizations = ids,
                others,
                "GitHub hides organisations of a person, who is therefore in none of their teams: their \
                 single sign-on (SAML) asks the person to authorise the app for them, at GitHub under \
                 Settings, Applications"
            );
        }
    }
}

fn account(
    user: &User,
    addresses: &[Address],
    organisations: &[Organisation],
    teams: &[Team],
) -> Account {
    // Letter case does not count in the names of organisations, and they can be written anew.
    let mut groups: Vec<String> =
        organisations.iter().map(|one| one.login.to_lowercase()).collect();
    groups.extend(teams.iter().map(|team| {
        format!("{}/{}", team.organization.login.to_lowercase(), team.slug.to_lowercase())
    }));
    groups.sort_unstable();
    groups.dedup();
    let verified = addresses.iter().find(|address| address.primary && address.verified);
    let claims = json!({
        "preferred_username": user.login,
        "name": user.name,
        "picture": user.avatar_url,
        "profile": user.html_url,
        // Only the address that GitHub has verified, because people choose it themselves.
        "email": verified.map(|address| &address.email),
        "email_verified": verified.is_some(),
        "groups": groups,
    });
    let claims = match claims {
        Value::Object(claims) => claims.into_iter().filter(|(_, value)| !value.is_null()).collect(),
        _ => Map::new(),
    };
    Account { subject: user.id.to_string(), claims }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(addresses: &Value) -> Value {
        let user = json!({"id": 583_231, "login": "Octocat", "name": null, "avatar_url": "https://a.test/1"});
        let organisations = json!([{"login": "Octo-Org", "id": 1}, {"login": "other"}]);
        let teams = json!([
            {"slug": "justice-league", "organization": {"login": "Octo-Org"}},
            {"slug": "justice-league", "organization": {"login": "octo-org"}},
        ]);
        let from = |value: &Value| value.clone();
        let account = account(
            &serde_json::from_value(user).unwrap(),
            &serde_json::from_value::<Vec<_>>(from(addresses)).unwrap(),
            &serde_json::from_value::<Vec<_>>(organisations).unwrap(),
            &serde_json::from_value::<Vec<_>>(teams).unwrap(),
        );
        assert_eq!(account.subject, "583231");
        Value::Object(account.claims)
    }

    #[test]
    fn an_account_has_the_claims_of_an_id_token() {
        let second = json!({"email": "b@x.test", "primary": false, "verified": true});
        let primary =
            json!({"email": "a@x.test", "primary": true, "verified": true, "visibility": null});
        let expected = json!({
            "preferred_username": "Octocat", "picture": "https://a.test/1",
            "email": "a@x.test", "email_verified": true,
            "groups": ["octo-org", "octo-org/justice-league", "other"],
        });
        assert_eq!(read(&json!([second, primary])), expected);
    }

    #[test]
    fn only_the_verified_primary_address_counts() {
        for addresses in [
            json!([]),
            json!([{"email": "a@x.test", "primary": true, "verified": false}]),
            json!([{"email": "a@x.test", "primary": true, "verified": false},
                   {"email": "b@x.test", "primary": false, "verified": true}]),
        ] {
            let claims = read(&addresses);
            assert_eq!(claims.get("email"), None, "{claims}");
            assert_eq!(claims["email_verified"], false);
        }
    }
}
