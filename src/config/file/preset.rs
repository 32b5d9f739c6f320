//! The table forms of presets.

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::At;

/// A Streamlit app.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StreamlitPreset {
    /// The script. Required.
    pub(crate) script: Option<At<String>>,
    /// Further arguments of `streamlit run`.
    pub(crate) args: Option<Vec<String>>,
    /// What is installed into its virtual environment. Default: `requirements.txt` beside the script.
    pub(crate) requirements: Option<At<String>>,
    /// The Python that makes the virtual environment. Default: the newest that is found.
    pub(crate) python: Option<String>,
}

/// Keycloak as the issuer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeycloakPreset {
    /// Where it is, or where `setup` puts it. Required.
    pub(crate) home: Option<At<String>>,
    /// Realm as JSON, imported on the first start. Replaced in it: `${PUBLIC_URL}`, `${CLIENT_ID}`,
    /// `${CLIENT_SECRET}`, `${CALLBACK_URLS}` (redirect URIs of every host, alone in its quotes),
    /// `${SIGNED_OUT_URLS}`, and, by `account_console`, `${ACCOUNT_CONSOLE_CLOSED}` and
    /// `${FRAME_ANCESTORS}`. Required.
    pub(crate) realm: Option<At<String>>,
    /// What `setup` fetches. Default: `"26.7.3"`.
    pub(crate) version: Option<At<String>>,
    /// Its Java: a `java` program or a `JAVA_HOME`. Default: what is found.
    pub(crate) java: Option<String>,
    /// Largest Java heap. Default: `"512m"`.
    pub(crate) heap: Option<At<String>>,
    /// Opens `/admin/` and the master realm to the outside. Default: `false`.
    pub(crate) admin_console: Option<bool>,
    /// Opens the account console, `/realms/<realm>/account/`, to the outside. Without it people
    /// change their password and second factor by the links of the portal. Default: `false`.
    pub(crate) account_console: Option<bool>,
    /// Its database: `KC_DB`. Default: `"dev-file"`.
    pub(crate) db: Option<String>,
}
