//! GitHub's token endpoint, and the end of a token.
//!
//! The endpoint answers with status 200 to requests that it refuses; `error` in the body tells so:
//! <https://docs.github.com/apps/oauth-apps/maintaining-oauth-apps/troubleshooting-oauth-app-access-token-request-errors>.

use std::time::Duration;

use base64::Engine as _;
use http::{StatusCode, header};
use openidconnect::{AccessToken, RefreshToken};
use serde::Deserialize;
use serde_json::json;
use url::Url;

use super::renewal::{self, Renewal};
use super::{GitHub, api};
use crate::auth::issuer::http_client::HttpClient;
use crate::auth::issuer::provider::Registration;
use crate::auth::issuer::token_endpoint::{TokenError, TokenResponse};
use crate::auth::issuer::untrusted_text::one_line;

/// What the token endpoint answers.
#[derive(Deserialize)]
struct Answer {
    access_token: Option<String>,
    /// Seconds; only of a GitHub App with expiring tokens, as the refresh token.
    expires_in: Option<u64>,
    refresh_token: Option<String>,
    error: Option<String>,
}

impl GitHub {
    /// Exchanges an authorization code for tokens.
    pub(in crate::auth::issuer) async fn exchange_code(
        &self,
        http: &HttpClient,
        registration: &Registration,
        code: &str,
        verifier: &str,
        redirect: &str,
    ) -> Result<TokenResponse, TokenError> {
        let form = [("code", code), ("code_verifier", verifier), ("redirect_uri", redirect)];
        self.ask_for_tokens(http, registration, &form).await
    }

    /// The next tokens of a session. An access token that renews itself is not asked about here: the API
    /// refuses it where the person is read.
    pub(in crate::auth::issuer) async fn refresh(
        &self,
        http: &HttpClient,
        registration: &Registration,
        kept: &RefreshToken,
    ) -> Result<TokenResponse, TokenError> {
        match Renewal::read(kept) {
            Renewal::ByAccess(token) => Ok(TokenResponse {
                access_token: AccessToken::new(token.to_owned()),
                expires_in: None,
                refresh_token: None,
                id_token: None,
            }),
            Renewal::ByRefresh(token) => {
                let form = [("grant_type", "refresh_token"), ("refresh_token", token)];
                self.ask_for_tokens(http, registration, &form).await
            }
        }
    }

    /// Ends the tokens of a session. The error is for the log.
    pub(in crate::auth::issuer) async fn revoke(
        &self,
        http: &HttpClient,
        registration: &Registration,
        kept: &RefreshToken,
    ) -> Result<(), String> {
        // GitHub ends access tokens only. A refresh invalidates the tokens before it.
        let tokens =
            self.refresh(http, registration, kept).await.map_err(|error| error.to_string())?;
        let url = self.token_of_client(registration).ok_or("the address of GitHub is not valid")?;
        let (id, secret) = (registration.client_id.as_str(), registration.client_secret.secret());
        let pair = base64::prelude::BASE64_STANDARD.encode(format!("{id}:{secret}"));
        let body = json!({"access_token": tokens.access_token.secret()}).to_string();
        let request = api::request("DELETE", url.as_str())
            .header(header::AUTHORIZATION, format!("Basic {pair}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(body.into_bytes())
            .map_err(|_| "the client id is not valid")?;
        let response = http.send(request).await.map_err(|error| format!("{url} {error}"))?;
        match response.status() {
            // The last two: the token has ended before.
            StatusCode::NO_CONTENT | StatusCode::NOT_FOUND | StatusCode::UNPROCESSABLE_ENTITY => {
                Ok(())
            }
            status => Err(format!("{url} answers {status}")),
        }
    }

    /// <https://docs.github.com/rest/apps/oauth-applications#delete-an-app-token>
    fn token_of_client(&self, registration: &Registration) -> Option<Url> {
        let mut url = Url::parse(&self.addresses.api("applications")).ok()?;
        url.path_segments_mut().ok()?.push(&registration.client_id).push("token");
        Some(url)
    }

    async fn ask_for_tokens(
        &self,
        http: &HttpClient,
        registration: &Registration,
        form: &[(&str, &str)],
    ) -> Result<TokenResponse, TokenError> {
        let request = api::request("POST", &self.addresses.token())
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let mut request = request
            .body(with_credentials(registration, form).into_bytes())
            .map_err(|_| TokenError::Unreadable("its address is not valid".to_owned()))?;
        // With another type, the endpoint answers with a form.
        let json = header::HeaderValue::from_static("application/json");
        request.headers_mut().insert(header::ACCEPT, json);
        let response = http.send(request).await.map_err(TokenError::Unavailable)?;
        read(response.status(), response.body())
    }
}

fn with_credentials(registration: &Registration, form: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .append_pair("client_id", &registration.client_id)
        .append_pair("client_secret", registration.client_secret.secret())
        .extend_pairs(form)
        .finish()
}

fn read(status: StatusCode, body: &[u8]) -> Result<TokenResponse, TokenError> {
    if status == StatusCode::NOT_FOUND {
        // So GitHub answers to a client id that it does not know.
        return Err(TokenError::Client(status.to_string()));
    }
    // The body and the text of `serde_json` are left out: they may contain tokens.
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|_| TokenError::Unreadable(format!("with {status}, it is not JSON of GitHub")))?;
    if let Some(error) = answer.error {
        return Err(match error.as_str() {
            "incorrect_client_credentials" => TokenError::Client(error),
            _ => TokenError::Refused(one_line(&error)),
        });
    }
    let token = answer.access_token.filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| TokenError::Unreadable("it has no access token".to_owned()))?;
    let refresh = answer.refresh_token.filter(|token| !token.is_empty()).map(RefreshToken::new);
    Ok(TokenResponse {
        refresh_token: refresh.or_else(|| Some(renewal::by_access(&token))),
        access_token: AccessToken::new(token),
        expires_in: answer.expires_in.filter(|life| *life > 0).map(Duration::from_secs),
        id_token: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(status: u16, body: &str) -> TokenError {
        let status = StatusCode::from_u16(status).unwrap();
        read(status, body.as_bytes()).err().unwrap()
    }

    #[test]
    fn a_refusal_has_status_200() {
        let refused = |code: &str| error(200, &json!({"error": code}).to_string());
        assert!(matches!(refused("bad_verification_code"), TokenError::Refused(_)));
        assert!(matches!(refused("incorrect_client_credentials"), TokenError::Client(_)));
        assert!(!refused("bad_verification_code").ends_session());
        assert!(refused("bad_refresh_token").ends_session());
        assert!(matches!(error(404, "<html>"), TokenError::Client(_)));
        for body in [
            "",
            "<html>",
            "{}",
            r#"{"access_token":""}"#,
            r#"{"access_token":"t","expires_in":"x"}"#,
        ] {
            let error = error(200, body);
            assert!(matches!(error, TokenError::Unreadable(_)), "{error}");
            assert!(!error.to_string().contains("\"t\""), "{error}");
        }
    }

    #[test]
    fn a_token_without_an_end_renews_itself() {
        let read = |body: &str| read(StatusCode::OK, body.as_bytes()).ok().unwrap();
        let oauth_app =
            read(r#"{"access_token":"gho_a","scope":"read:org","token_type":"bearer"}"#);
        assert_eq!(oauth_app.expires_in, None);
        let kept = oauth_app.refresh_token.unwrap();
        assert_eq!(Renewal::read(&kept), Renewal::ByAccess("gho_a"));
        let app = read(
            r#"{"access_token":"ghu_a","expires_in":28800,"refresh_token":"ghr_b",
                "refresh_token_expires_in":15811200,"scope":"","token_type":"bearer"}"#,
        );
        assert_eq!(app.expires_in, Some(Duration::from_hours(8)));
        assert_eq!(Renewal::read(&app.refresh_token.unwrap()), Renewal::ByRefresh("ghr_b"));
    }

    #[test]
    fn the_address_for_the_end_of_a_token_has_the_client_id() {
        let registration = Registration {
            client_id: openidconnect::ClientId::new("Iv1.a/b".into()),
            client_secret: openidconnect::ClientSecret::new("s".into()),
        };
        let url = GitHub::new("https://github.com").token_of_client(&registration).unwrap();
        assert_eq!(url.as_str(), "https://api.github.com/applications/Iv1.a%2Fb/token");
    }
}
