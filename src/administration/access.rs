//! How Keycloak is asked: where it runs, which realm, and as whom.

use http::HeaderValue;
use secrecy::ExposeSecret as _;
use url::Url;

use super::admin_api::{AdminApi, ApiError};
use super::call::Place;
use crate::config::{Config, Dial, EnvValue, OwnRealm, Secret};
use crate::supervisor;
use crate::threads::blocking;

/// The variables with the account that the preset gives Keycloak at its first start.
const USER: &str = "KC_BOOTSTRAP_ADMIN_USERNAME";
const PASSWORD: &str = "KC_BOOTSTRAP_ADMIN_PASSWORD";

/// What Keycloak is asked by.
pub(super) struct Access {
    place: Place,
    base: String,
    realm: OwnRealm,
    user: String,
    password: Secret,
}

impl Access {
    /// What a configuration and the running Keycloak say. The error is for people.
    pub(super) async fn of(
        config: &Config,
        supervisor: &supervisor::Handle,
    ) -> Result<Self, String> {
        let unknown = "the configuration has no Keycloak of a preset";
        let realm = own_realm(config).ok_or(unknown)?.clone();
        let oidc = config.oidc.as_ref().ok_or(unknown)?;
        let name = oidc.served_by.as_ref().ok_or(unknown)?;
        let Some(Dial::Loopback(port)) = &oidc.dial else { return Err(unknown.to_owned()) };
        let issuer = Url::parse(&oidc.issuer).map_err(|error| error.to_string())?;
        let base = issuer.path().strip_suffix(&format!("/realms/{}", realm.name));
        let base = base.unwrap_or_default().to_owned();
        let host = HeaderValue::from_str(issuer.authority()).map_err(|error| error.to_string())?;
        let listener = supervisor.listener_checks().remove(name).ok_or(unknown)?;
        let place = Place { address: port.address(), host, listener };
        let variable = |name: &str| {
            let run = config.app(oidc.served_by.as_ref()?.as_str())?.run.as_ref()?;
            run.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        let (user, password) = (variable(USER), variable(PASSWORD));
        let state_dir = config.server.state_dir.clone();
        let read = move || {
            let text = |value: Option<EnvValue>, name: &str| match value {
                Some(EnvValue::Plain(text)) => Ok(Secret::from(text)),
                Some(EnvValue::Secret(source)) => {
                    source.resolve(&state_dir).map_err(|error| error.to_string())
                }
                None => Err(format!("Keycloak has no {name}")),
            };
            Ok::<_, String>((text(user, USER)?, text(password, PASSWORD)?))
        };
        let (user, password) = blocking(read).await?;
        let user = user.expose_secret().to_owned();
        Ok(Self { place, base, realm, user, password })
    }

    pub(super) async fn sign_in(&self) -> Result<AdminApi<'_>, ApiError> {
        let account = (self.user.as_str(), &self.password);
        AdminApi::sign_in(&self.place, (&self.base, &self.realm.name), account).await
    }
}

/// The realm of the Keycloak of a preset where people sign in.
pub(super) fn own_realm(config: &Config) -> Option<&OwnRealm> {
    config.oidc.as_ref()?.own_realm.as_ref()
}
