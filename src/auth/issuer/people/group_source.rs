//! Groups that the issuer does not send itself: a token with too many of them refers to a service, such
//! as Microsoft Graph (distributed claims, OpenID Connect Core §5.6.2).
//!
//! The service is asked at the address in `[oidc] groups_overage`, never at one that a token names: the
//! access token would go to anybody who gets such a name into a claim. The list is complete or there is
//! none: with a part of the groups, a person would pass a `deny` that names one of the others.

use std::time::Duration;

use http::StatusCode;
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use url::Url;

use crate::auth::issuer::http_client::{HttpClient, json_request};
use crate::auth::issuer::untrusted_text::one_line;
use crate::config::GroupsOverage;

/// For all pages of one person, with the wait for others.
const LONGEST: Duration = Duration::from_secs(20);
/// How many people's groups are fetched at the same time.
const PARALLEL: usize = 8;
/// How many pages one person's groups may have. Microsoft Graph puts up to 999 groups on a page.
const PAGES: usize = 50;
/// How many bytes all pages of a person may have.
const BYTES: usize = 8 << 20;

/// Where the groups of a person are, if a token refers to them.
#[derive(Debug)]
pub(super) struct GroupSource {
    url: Url,
    field: String,
    free: Semaphore,
}

/// Why there is no list of groups. The text is for the log.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the groups of the person cannot be fetched: {0}")]
pub(crate) struct GroupsError(String);

/// One page of the list.
#[derive(Debug, PartialEq, Eq)]
struct Page {
    groups: Vec<String>,
    next: Option<Url>,
}

impl GroupSource {
    /// `None` if the URL is not valid, which the check of the configuration excludes.
    pub(super) fn new(overage: &GroupsOverage) -> Option<Self> {
        let (url, field) = (Url::parse(&overage.url).ok()?, overage.field.clone());
        Some(Self { url, field, free: Semaphore::new(PARALLEL) })
    }

    /// All groups of the person that the access token was issued for.
    pub(super) async fn fetch(
        &self,
        http: &HttpClient,
        token: &str,
    ) -> Result<Vec<String>, GroupsError> {
        let fetched = timeout(LONGEST, async {
            let _free = self.free.acquire().await;
            self.all(http, token).await
        });
        let late = || format!("{} takes longer than {} s", shown(&self.url), LONGEST.as_secs());
        fetched.await.unwrap_or_else(|_| Err(late())).map_err(GroupsError)
    }

    async fn all(&self, http: &HttpClient, token: &str) -> Result<Vec<String>, String> {
        let (mut groups, mut bytes) = (Vec::new(), 0);
        let mut url = self.url.clone();
        for _ in 0..PAGES {
            let body = get(http, &url, token).await?;
            bytes += body.len();
            if bytes > BYTES {
                return Err(format!("{} has more than {} MiB", shown(&self.url), BYTES >> 20));
            }
            let page = self.read(&body).map_err(|why| format!("{} {why}", shown(&url)))?;
            groups.extend(page.groups);
            match page.next {
                Some(next) => url = next,
                None => return Ok(groups),
            }
        }
        Err(format!("{} has more than {PAGES} pages", shown(&self.url)))
    }

    /// Reads a page of `OData`: `value` is a list of objects, and `@odata.nextLink` the address of the next
    /// page. The error completes a sentence that begins with the page's URL.
    fn read(&self, body: &[u8]) -> Result<Page, String> {
        let page: Value = serde_json::from_slice(body).map_err(|_| "answers with no JSON")?;
        let list = page.get("value").and_then(Value::as_array);
        let list = list.ok_or("answers without the list `value`")?;
        let field = &self.field;
        let name = |group: &Value| {
            let name = group.get(field).and_then(Value::as_str).filter(|name| !name.is_empty());
            name.map(str::to_owned).ok_or_else(|| {
                format!(
                    "answers with a group that has no `{field}`; give the client the permission to \
                     read it (Microsoft Graph: GroupMember.Read.All), or set another `field`"
                )
            })
        };
        let groups = list.iter().map(name).collect::<Result<_, _>>()?;
        let next = match page.get("@odata.nextLink") {
            None | Some(Value::Null) => None,
            Some(next) => Some(self.next(next.as_str().unwrap_or_default())?),
        };
        Ok(Page { groups, next })
    }

    /// The address of the next page. It gets the access token, so its origin must be the configured one.
    fn next(&self, link: &str) -> Result<Url, String> {
        let url = self.url.join(link).ok().filter(|_| !link.is_empty());
        let url = url.ok_or("names a next page that is not a URL")?;
        if url.origin() != self.url.origin() || !url.username().is_empty() {
            let origin = one_line(&url.origin().ascii_serialization());
            return Err(format!("names a next page at {origin}, which must not get the token"));
        }
        Ok(url)
    }
}

async fn get(http: &HttpClient, url: &Url, token: &str) -> Result<Vec<u8>, String> {
    let request = json_request(url.as_str(), Some(token))
        // Microsoft Graph filters by type only with this header:
        // https://learn.microsoft.com/graph/api/user-list-transitivememberof
        .header("consistencylevel", "eventual");
    let request = request.body(Vec::new()).map_err(|_| format!("{} is not valid", shown(url)))?;
    let response = http.send(request).await.map_err(|error| format!("{} {error}", shown(url)))?;
    match response.status() {
        StatusCode::OK => Ok(response.into_body()),
        status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => Err(format!(
            "{} answers {status}; ask for its scope in [oidc] scopes (Microsoft Graph: User.Read)",
            shown(url)
        )),
        status => Err(format!("{} answers {status}", shown(url))),
    }
}

/// A URL without its query, which may hold what is no business of the log.
fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    one_line(url.as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn source(field: &str) -> GroupSource {
        let url = "https://graph.example/v1.0/me/groups?$top=999".to_owned();
        GroupSource::new(&GroupsOverage { url, field: field.into() }).unwrap()
    }

    fn read(page: &Value) -> Result<(Vec<String>, Option<String>), String> {
        let page = source("id").read(page.to_string().as_bytes())?;
        Ok((page.groups, page.next.map(|next| next.to_string())))
    }

    #[test]
    fn a_page_has_groups_and_the_address_of_the_next_one() {
        let both = json!([{"id": "a", "displayName": "A"}, {"id": "b"}]);
        let next = "https://graph.example/v1.0/me/groups?$skiptoken=x";
        let page = json!({"value": both, "@odata.nextLink": next});
        assert_eq!(read(&page).unwrap(), (vec!["a".into(), "b".into()], Some(next.into())));
        let relative = json!({"value": [], "@odata.nextLink": "groups?$skiptoken=x"});
        assert_eq!(read(&relative).unwrap(), (vec![], Some(next.into())));
        assert_eq!(read(&json!({"value": [], "@odata.nextLink": null})).unwrap(), (vec![], None));
    }

    #[test]
    fn a_next_page_elsewhere_is_refused() {
        for link in [
            "https://evil.example/v1.0/me/groups",
            "http://graph.example/v1.0/me/groups",
            "https://graph.example:8443/",
            "https://graph.example.evil.example/",
            "https://graph.example@evil.example/",
            "https://token@graph.example/",
            "//evil.example/",
            "\\\\evil.example\\",
            "data:application/json,{}",
            "https://",
            "",
        ] {
            let why = read(&json!({"value": [], "@odata.nextLink": link})).unwrap_err();
            assert!(why.contains("next page"), "{link} {why}");
        }
        assert!(read(&json!({"value": [], "@odata.nextLink": 7})).is_err());
    }

    #[test]
    fn a_list_with_a_gap_is_no_list() {
        for page in [json!([]), json!({}), json!({"value": {}}), json!({"value": "a"})] {
            assert!(read(&page).unwrap_err().contains("`value`"), "{page}");
        }
        for group in
            [json!({"displayName": "A"}), json!({"id": null}), json!({"id": ""}), json!("a")]
        {
            let why = read(&json!({"value": [{"id": "a"}, group]})).unwrap_err();
            assert!(why.contains("`id`") && why.contains("permission"), "{why}");
        }
        assert!(source("id").read(b"<html>").unwrap_err().contains("no JSON"));
    }

    #[test]
    fn an_error_shows_no_query() {
        let shown = shown(&source("id").url);
        assert_eq!(shown, "https://graph.example/v1.0/me/groups");
    }
}
