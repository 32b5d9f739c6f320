//! Keycloak's admin REST API, as far as the first administrator needs it:
//! <https://www.keycloak.org/docs-api/latest/rest-api/index.html>

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, LOCATION};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use secrecy::ExposeSecret as _;
use serde_json::{Value, json};

use super::call::{Place, send};
use super::words;
use crate::config::Secret;
use crate::proxy::NewAccount;

/// The group whose members administer the realm.
pub(super) const ADMINISTRATORS: &str = "administrators";
/// The client of a realm whose roles are the rights to administer it, and the role with all of them.
const MANAGEMENT: &str = "realm-management";
/// What the shipped realm says about frames with closed and with open consoles.
const NO_FRAMES: &str = "frame-ancestors 'none'";
const OWN_FRAMES: &str = "frame-ancestors 'self'";
/// The client policy of the shipped realm that refuses clients without a secret.
const CLIENTS_WITH_A_SECRET: &str = "clients-with-a-secret";
const REALM_ADMIN: &str = "realm-admin";

/// Why Keycloak does not do what it was asked. The texts are for people and contain no secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum ApiError {
    /// The account of the appliance has been removed, or has another password.
    #[error("the realm `master` has no administrator with the name and the password of the preset")]
    NotPermitted,
    /// The account is refused.
    #[error("{0}")]
    Refused(String),
    /// There is no useful response.
    #[error("{0}")]
    Failed(String),
}

/// A session of an administrator of the realm `master`.
pub(super) struct AdminApi<'p> {
    place: &'p Place,
    /// The path of Keycloak, without a slash at its end.
    base: &'p str,
    realm: &'p str,
    token: HeaderValue,
}

impl<'p> AdminApi<'p> {
    /// Signs in with the account that the preset gives Keycloak at its first start.
    pub(super) async fn sign_in(
        place: &'p Place,
        (base, realm): (&'p str, &'p str),
        (user, password): (&str, &Secret),
    ) -> Result<Self, ApiError> {
        let form = form_urlencoded::Serializer::new(String::new())
            .append_pair("grant_type", "password")
            .append_pair("client_id", "admin-cli")
            .append_pair("username", user)
            .append_pair("password", password.expose_secret())
            .finish();
        let request = Request::post(format!("{base}/realms/master/protocol/openid-connect/token"))
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .body(form)
            .map_err(failed)?;
        let response = send(place, request).await.map_err(ApiError::Failed)?;
        match response.status() {
            StatusCode::OK => {}
            StatusCode::BAD_REQUEST | StatusCode::UNAUTHORIZED => {
                return Err(ApiError::NotPermitted);
            }
            status => return Err(ApiError::Failed(format!("Keycloak answers {status}"))),
        }
        let token = parsed(&response)?;
        let token = token.get("access_token").and_then(Value::as_str).unwrap_or_default();
        let mut token = HeaderValue::from_str(&format!("Bearer {token}")).map_err(failed)?;
        token.set_sensitive(true);
        Ok(Self { place, base, realm, token })
    }

    /// How many people the realm has.
    pub(super) async fn count_users(&self) -> Result<u64, ApiError> {
        let count = self.get("users/count").await?;
        count.as_u64().ok_or_else(|| ApiError::Failed("Keycloak tells no number".to_owned()))
    }

    /// Whether the realm has a user of this name.
    pub(super) async fn has_user(&self, name: &str) -> Result<bool, ApiError> {
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("username", name)
            .append_pair("exact", "true")
            .finish();
        let found = self.get(&format!("users?{query}")).await?;
        Ok(found.as_array().is_some_and(|found| !found.is_empty()))
    }

    /// Makes an account that can administer the realm. The account is made last, so that a refused one
    /// leaves nobody behind.
    pub(super) async fn create_administrator(&self, account: &NewAccount) -> Result<(), ApiError> {
        let group = self.group().await?;
        let of_group = self.give_the_group_the_right(&group).await?;
        let user = json!({
            "username": account.user,
            "email": account.email,
            "emailVerified": true,
            "firstName": account.first_name,
            "lastName": account.last_name,
            "enabled": true,
            "groups": [format!("/{ADMINISTRATORS}")],
            "credentials": [{
                "type": "password",
                "value": account.password.expose_secret(),
                "temporary": false,
            }],
        });
        let made = self.ask(Method::POST, "users", Some(user)).await?;
        if !of_group {
            self.map_role(&format!("users/{}", id(&made)?)).await?;
        }
        Ok(())
    }

    /// Lets the console of the realm sign people in, where the realm was imported with closed consoles.
    /// Returns what that has changed.
    pub(super) async fn admit_console(&self) -> Result<Vec<&'static str>, ApiError> {
        let policy = self.admit_clients_without_secret().await?.then_some("clients-with-a-secret");
        let frames = self.admit_own_frames().await?.then_some("frame-ancestors");
        Ok(policy.into_iter().chain(frames).collect())
    }

    /// The console is a client without a secret.
    async fn admit_clients_without_secret(&self) -> Result<bool, ApiError> {
        let path = "client-policies/policies";
        let mut policies = self.get(path).await?;
        let Some(known) = policies.get_mut("policies").and_then(Value::as_array_mut) else {
            return Ok(false);
        };
        let text = |policy: &Value, key: &str| policy.get(key).cloned().unwrap_or_default();
        let is_shut = |policy: &&mut Value| {
            text(policy, "name") == CLIENTS_WITH_A_SECRET && text(policy, "enabled") == true
        };
        let Some(Value::Object(policy)) = known.iter_mut().find(is_shut) else { return Ok(false) };
        policy.insert("enabled".to_owned(), Value::Bool(false));
        let changed = json!({ "policies": known });
        self.ask(Method::PUT, path, Some(changed)).await?;
        Ok(true)
    }

    /// The console keeps a page of the realm in a frame, to notice the end of the session.
    async fn admit_own_frames(&self) -> Result<bool, ApiError> {
        let realm = self.get("").await?;
        let Some(Value::Object(mut headers)) = realm.get("browserSecurityHeaders").cloned() else {
            return Ok(false);
        };
        let policy = headers.get("contentSecurityPolicy").and_then(Value::as_str);
        let Some(policy) = policy.filter(|policy| policy.contains(NO_FRAMES)) else {
            return Ok(false);
        };
        let policy = policy.replace(NO_FRAMES, OWN_FRAMES);
        headers.insert("contentSecurityPolicy".to_owned(), Value::String(policy));
        let changed = json!({ "browserSecurityHeaders": headers });
        self.ask(Method::PUT, "", Some(changed)).await?;
        Ok(true)
    }

    /// The id of the group, which is made if it is missing.
    async fn group(&self) -> Result<String, ApiError> {
        let found = self.get(&format!("groups?search={ADMINISTRATORS}&exact=true")).await?;
        let is_meant =
            |group: &&Value| group.get("name").and_then(Value::as_str) == Some(ADMINISTRATORS);
        let found = found.as_array().into_iter().flatten().find(is_meant);
        if let Some(known) = found.and_then(|group| group.get("id")?.as_str()) {
            return checked_id(known);
        }
        let group = json!({ "name": ADMINISTRATORS });
        id(&self.ask(Method::POST, "groups", Some(group)).await?)
    }

    /// Lets the members of the group administer the realm. A group that has members without this right
    /// serves another purpose: there, only the new account gets the right. Returns whether the group has it.
    async fn give_the_group_the_right(&self, group: &str) -> Result<bool, ApiError> {
        let path = format!("groups/{group}");
        let mapped = self.get(&format!("{path}/role-mappings")).await?;
        let mapped = mapped.pointer(&format!("/clientMappings/{MANAGEMENT}/mappings"));
        let mapped = mapped.and_then(Value::as_array).into_iter().flatten();
        let mut names = mapped.filter_map(|role| role.get("name")?.as_str());
        if names.any(|name| name == REALM_ADMIN) {
            return Ok(true);
        }
        let members = self.get(&format!("{path}/members?max=1")).await?;
        if members.as_array().is_some_and(|members| !members.is_empty()) {
            return Ok(false);
        }
        self.map_role(&path).await?;
        Ok(true)
    }

    /// Gives a group or a user the right to administer this realm, and no other one.
    async fn map_role(&self, whom: &str) -> Result<(), ApiError> {
        let clients = self.get(&format!("clients?clientId={MANAGEMENT}")).await?;
        let client = clients.pointer("/0/id").and_then(Value::as_str).unwrap_or_default();
        let client = checked_id(client)?;
        let role = self.get(&format!("clients/{client}/roles/{REALM_ADMIN}")).await?;
        let path = format!("{whom}/role-mappings/clients/{client}");
        self.ask(Method::POST, &path, Some(json!([role]))).await?;
        Ok(())
    }

    async fn get(&self, path: &str) -> Result<Value, ApiError> {
        parsed(&self.ask(Method::GET, path, None).await?)
    }

    /// Sends a request about the realm.
    async fn ask(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
    ) -> Result<Response<Bytes>, ApiError> {
        let Self { base, realm, token, .. } = self;
        let uri = format!("{base}/admin/realms/{realm}/{path}");
        let request = Request::builder()
            .method(method)
            .uri(uri.trim_end_matches('/'))
            .header(AUTHORIZATION, token)
            .header(CONTENT_TYPE, "application/json")
            .body(body.map(|body| body.to_string()).unwrap_or_default())
            .map_err(failed)?;
        let response = send(self.place, request).await.map_err(ApiError::Failed)?;
        let status = response.status();
        match status {
            _ if status.is_success() => Ok(response),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(ApiError::NotPermitted),
            StatusCode::BAD_REQUEST | StatusCode::CONFLICT => {
                let reason = words::reason(response.body());
                Err(ApiError::Refused(
                    reason.unwrap_or_else(|| format!("Keycloak answers {status}")),
                ))
            }
            _ => Err(ApiError::Failed(format!("Keycloak answers {status}"))),
        }
    }
}

/// The id at the end of `Location` of something that was made.
fn id(made: &Response<Bytes>) -> Result<String, ApiError> {
    let location = made.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    checked_id(location.and_then(|location| location.rsplit('/').next()).unwrap_or_default())
}

/// An id becomes part of a path.
fn checked_id(id: &str) -> Result<String, ApiError> {
    if !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        Ok(id.to_owned())
    } else {
        Err(ApiError::Failed("Keycloak tells no id".to_owned()))
    }
}

fn parsed(response: &Response<Bytes>) -> Result<Value, ApiError> {
    serde_json::from_slice(response.body())
        .map_err(|_| ApiError::Failed("Keycloak answers with something else than JSON".to_owned()))
}

fn failed(error: impl std::fmt::Display) -> ApiError {
    ApiError::Failed(error.to_string())
}
