//! Calls to GitHub's REST API with the access token of a person.

use http::{HeaderMap, Request, Response, StatusCode, header};
use serde::de::DeserializeOwned;
use url::Url;

use super::addresses::Addresses;
use super::{GitHub, link, pauses};
use crate::auth::issuer::http_client::HttpClient;
use crate::auth::issuer::untrusted_text::one_line;
use crate::auth::runtime::clock;

/// How many pages a list may have, of up to 100 entries each.
const PAGES: usize = 20;
/// How many bytes all pages of a list may have.
const BYTES: usize = 8 << 20;
/// GitHub refuses requests without a name of the program.
const USER_AGENT: &str = "appliance";
/// <https://docs.github.com/rest/about-the-rest-api/api-versions>
const VERSION: (&str, &str) = ("x-github-api-version", "2022-11-28");
/// Every response of GitHub has it.
const REQUEST_ID: &str = "x-github-request-id";

/// GitHub does not tell who a person is. The texts are for the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// The token is no longer in force, or the account may not be used.
    #[error("GitHub does not accept the access token of the person any more: {0}")]
    Revoked(String),
    /// GitHub wants a pause before the next request for this person.
    #[error("GitHub limits the requests for this person; the next one is possible in {0} s")]
    Limited(u64),
    /// The token may not read this.
    #[error(
        "{0}; ask for `user:email` and `read:org` in [oidc] scopes, or give the GitHub App the account \
         permission \"Email addresses\" and the organization permission \"Members\""
    )]
    Refused(String),
    /// No usable response.
    #[error("{0}")]
    Unavailable(String),
}

impl ApiError {
    /// Whether the person must sign in again.
    pub(crate) fn is_revoked(&self) -> bool {
        matches!(self, Self::Revoked(_))
    }
}

/// A list, and whether GitHub has left out something of it.
pub(super) struct List<T> {
    pub(super) entries: Vec<T>,
    /// The organisations, by their ids, whose single sign-on (SAML) hides them from this token:
    /// <https://docs.github.com/enterprise-cloud@latest/rest/authentication/authenticating-to-the-rest-api>.
    pub(super) hidden: Option<String>,
}

impl GitHub {
    /// One object.
    pub(super) async fn one<T: DeserializeOwned>(
        &self,
        http: &HttpClient,
        token: &str,
        path: &str,
    ) -> Result<T, ApiError> {
        let url = self.addresses.api(path);
        read(self.get(http, token, &url).await?.body(), &url)
    }

    /// A list with all its pages.
    pub(super) async fn all<T: DeserializeOwned>(
        &self,
        http: &HttpClient,
        token: &str,
        path: &str,
    ) -> Result<List<T>, ApiError> {
        let first = self.addresses.api(path);
        let mut url = format!("{first}?per_page=100");
        let mut list = List { entries: Vec::new(), hidden: None };
        let mut bytes = 0;
        for _ in 0..PAGES {
            let response = self.get(http, token, &url).await?;
            bytes += response.body().len();
            if bytes > BYTES {
                let limit = BYTES >> 20;
                return Err(ApiError::Unavailable(format!("{first} has more than {limit} MiB")));
            }
            list.entries.extend(read::<Vec<T>>(response.body(), &first)?);
            list.hidden = list.hidden.or_else(|| hidden(response.headers()));
            match link::next(response.headers()) {
                Some(next) => url = next_page(&first, next)?,
                None => return Ok(list),
            }
        }
        Err(ApiError::Unavailable(format!("{first} has more than {PAGES} pages")))
    }

    async fn get(
        &self,
        http: &HttpClient,
        token: &str,
        url: &str,
    ) -> Result<Response<Vec<u8>>, ApiError> {
        let shown = url.split('?').next().unwrap_or(url);
        let request = request("GET", url).header(header::AUTHORIZATION, format!("Bearer {token}"));
        let request = request.body(Vec::new());
        let request =
            request.map_err(|_| ApiError::Unavailable(format!("{shown} is not a valid URL")))?;
        let response = http.send_unlimited(request).await;
        let response =
            response.map_err(|error| ApiError::Unavailable(format!("{shown} {error}")))?;
        let status = response.status();
        if let Some(pause) = pauses::asked(status, response.headers(), clock::now() / 1000) {
            self.pauses.note(token, pause);
            return Err(ApiError::Limited(pause.as_secs()));
        }
        let answers = || format!("{shown} answers {status}");
        match status {
            StatusCode::OK => Ok(response),
            StatusCode::UNAUTHORIZED => Err(ApiError::Revoked(answers())),
            StatusCode::FORBIDDEN | StatusCode::NOT_FOUND => Err(ApiError::Refused(answers())),
            _ => Err(ApiError::Unavailable(answers())),
        }
    }
}

/// Whether the API answers. Its answer may be a refusal: a GitHub Enterprise Server in private mode tells
/// strangers nothing. `/rate_limit` does not count as a request:
/// <https://docs.github.com/rest/rate-limit/rate-limit>.
pub(super) async fn check(http: &HttpClient, addresses: &Addresses) -> Result<(), String> {
    let url = addresses.api("rate_limit");
    let request = request("GET", &url).body(Vec::new());
    let request = request.map_err(|_| format!("{url} is not a valid URL"))?;
    let response = http.send_unlimited(request).await.map_err(|error| format!("{url} {error}"))?;
    if response.headers().contains_key(REQUEST_ID) {
        return Ok(());
    }
    let status = response.status();
    Err(format!(
        "{url} answers {status}, but not as GitHub; compare [oidc] issuer with its address"
    ))
}

/// A request that GitHub reads as one of its API.
pub(super) fn request(method: &str, url: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(url)
        .header(header::USER_AGENT, USER_AGENT)
        .header(header::ACCEPT, "application/vnd.github+json")
        .header(VERSION.0, VERSION.1)
}

fn read<T: DeserializeOwned>(body: &[u8], url: &str) -> Result<T, ApiError> {
    // The text of `serde_json` is not used, because it quotes values.
    serde_json::from_slice(body)
        .map_err(|_| ApiError::Unavailable(format!("{url} answers with what GitHub does not send")))
}

/// The next page gets the access token, so its origin must be that of the first.
fn next_page(first: &str, next: &str) -> Result<String, ApiError> {
    let (first_url, next_url) = (Url::parse(first).ok(), Url::parse(next).ok());
    let same = first_url.zip(next_url).is_some_and(|(first, next)| {
        first.origin() == next.origin() && next.username().is_empty() && next.password().is_none()
    });
    if same {
        return Ok(next.to_owned());
    }
    let next = one_line(next.split('?').next().unwrap_or_default());
    Err(ApiError::Unavailable(format!(
        "{first} names a next page at {next}, which must not get the token"
    )))
}

fn hidden(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("x-github-sso")?.to_str().ok()?;
    let ids = value.strip_prefix("partial-results;")?.trim();
    Some(one_line(ids.strip_prefix("organizations=").unwrap_or(ids)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_goes_to_no_other_server() {
        let first = "https://api.github.com/user/orgs";
        for next in
            ["https://api.github.com/user/orgs?page=2", "https://api.github.com/user/7/orgs"]
        {
            assert_eq!(next_page(first, next).unwrap(), next);
        }
        for next in [
            "https://api.github.com.test/x",
            "http://api.github.com/x",
            "https://api.github.com:8443/x",
            "https://a:b@api.github.com/x",
            "/user/orgs?page=2",
            "",
        ] {
            let error = next_page(first, next).unwrap_err().to_string();
            assert!(error.contains("must not get the token"), "{error}");
        }
    }

    #[test]
    fn hidden_organisations_are_named() {
        let named = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("x-github-sso", value.parse().unwrap());
            hidden(&headers)
        };
        let partial = "partial-results; organizations=21955855,20582480";
        assert_eq!(named(partial).as_deref(), Some("21955855,20582480"));
        assert_eq!(named("required; url=https://github.com/orgs/x/sso"), None);
        assert_eq!(hidden(&HeaderMap::new()), None);
    }
}
