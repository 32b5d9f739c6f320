//! The table forms of presets.

use schemars::JsonSchema;
use serde::Deserialize;

use super::shape::{At, FlagOr};

/// The table form of the presets of Python frameworks. `appliance check --expanded` prints the settings
/// that a preset expands to; any of them can be set beside it. [docs/kinds.md](kinds.md) has a section on
/// each framework.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PythonPreset {
    /// Path of the script, or of the notebook.
    ///
    /// Type: path. Required without `folder`. Example: `"apps/app1.py"`.
    pub(crate) script: Option<At<String>>,
    /// The folder of `jupyter` (its files), `django` (with `manage.py`), `tensorboard` (the runs) or
    /// `mlflow` (its database and artifacts; without it, the app's own folder).
    ///
    /// Type: path. Required without `script`. Example: `"notebooks"`.
    pub(crate) folder: Option<At<String>>,
    /// Name of the object in the script of `dash` (`server`), `fastapi` or `flask` (`app`), or the WSGI
    /// module of `django` (beside the settings that `manage.py` names).
    ///
    /// Type: string. Default: the name in brackets. Example: `"application"`.
    pub(crate) app: Option<At<String>>,
    /// More arguments for the program that the preset runs.
    ///
    /// Type: list of strings. Default: `[]`. Example: `["--server.maxUploadSize", "500"]`.
    pub(crate) args: Option<Vec<String>>,
    /// Requirements file of the Python environment. Apps with the same requirements share one
    /// environment. The framework is installed too, if the file does not name it.
    ///
    /// Type: path. Default: `requirements.txt` beside the script or in the folder, if it exists. Example:
    /// `"requirements.txt"`.
    pub(crate) requirements: Option<At<String>>,
    /// More packages for the Python environment. A package that is named here replaces the version of
    /// the framework that the preset would install.
    ///
    /// Type: list of strings. Default: `[]`. Example: `["pandas", "plotly==6.5.0"]`.
    pub(crate) packages: Option<Vec<At<String>>>,
    /// Python 3.11 or newer that creates the environment: a program in `PATH` or a path.
    ///
    /// Type: string. Default: the first suitable `python3` in `PATH`. Example: `"python3.13"`.
    pub(crate) python: Option<String>,
    /// A Python environment that exists already, with all packages of the app. Nothing is installed.
    ///
    /// Type: path. Default: an environment that the setup makes. Example: `"/opt/venv"`.
    pub(crate) venv: Option<At<String>>,
}

/// The table form of `static`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct StaticPreset {
    /// The folder with the files. The folder of the configuration file, `state_dir` and a folder with a
    /// file that holds a secret are refused.
    ///
    /// Type: path. Required. Example: `"site"`.
    pub(crate) folder: Option<At<String>>,
    /// Name of the file that stands for its folder.
    ///
    /// Type: string. Default: `"index.html"`. Example: `"home.html"`.
    pub(crate) index: Option<At<String>>,
    /// For a web app that reads its address itself (a single-page application): a page whose path names
    /// no file is the first page, with status 200. A path whose last part has a dot, and what is no page,
    /// still get 404.
    ///
    /// Type: boolean. Default: `false`. Example: `true`.
    pub(crate) spa: Option<bool>,
}

/// The table of the `keycloak` preset. `appliance check --expanded` prints the settings that it
/// expands to; any of them can be set beside the preset.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeycloakPreset {
    /// Folder of Keycloak. If the folder does not exist, the setup downloads Keycloak to it.
    ///
    /// Type: path. Required. Example: `"/opt/keycloak"`.
    pub(crate) home: Option<At<String>>,
    /// Realm as a JSON file, imported if the database does not have the realm yet. Replaced in it:
    /// `${PUBLIC_URL}`, `${TITLE}`, `${CLIENT_ID}`, `${CLIENT_SECRET}`, `${CALLBACK_URLS}` (the redirect URIs of
    /// all hosts, alone in its quotes), `${SIGNED_OUT_URLS}`, `${BACKCHANNEL_LOGOUT_URL}`, and, as
    /// `account_console` says,
    /// `${ACCOUNT_CONSOLE_CLOSED}` and `${FRAME_ANCESTORS}`.
    ///
    /// Type: path. Default: the realm that ships with the appliance, whose groups are `administrators`,
    /// `group1` and `group2`. Example: `"realm.json"`.
    pub(crate) realm: Option<At<String>>,
    /// Version of Keycloak that the setup downloads.
    ///
    /// Type: string. Default: `"26.7.3"`.
    pub(crate) version: Option<At<String>>,
    /// Java 17 or newer that runs Keycloak: a `java` program or a Java home.
    ///
    /// Type: string. Default: `JAVA_HOME`, otherwise `java` in `PATH`. Example:
    /// `"/opt/java/openjdk"`.
    pub(crate) java: Option<String>,
    /// Largest Java heap.
    ///
    /// Type: string. Default: `"512m"`. Example: `"1g"`.
    pub(crate) heap: Option<At<String>>,
    /// Who reaches the admin console from outside. A table with `groups` opens the console of the realm
    /// (`/admin/REALM/console/`) to signed-in members of one of these groups, and to nobody else. `true`
    /// opens `/admin/` and the master realm to everybody who reaches the appliance. Otherwise only
    /// `/realms/REALM/` and `/resources/` are reachable.
    ///
    /// Type: boolean or table. Default: `false`. Example: `{ groups = ["administrators"] }`.
    pub(crate) admin_console: Option<At<FlagOr<AdminConsole>>>,
    /// Make the account console (`/realms/REALM/account/`) reachable from outside. Otherwise people
    /// change their password and second factor with the links of the portal.
    ///
    /// Type: boolean. Default: `false`.
    pub(crate) account_console: Option<bool>,
    /// Database of Keycloak, as in `KC_DB`. Set other database options as `KC_…` variables in
    /// `env`.
    ///
    /// Type: string. Default: `"dev-file"`. Example: `"postgres"`.
    pub(crate) db: Option<String>,
}

/// The table form of `admin_console`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AdminConsole {
    /// Groups whose members reach the admin console; one of them is enough.
    ///
    /// Type: list of strings. Required. Example: `["administrators"]`.
    #[serde(default)]
    pub(crate) groups: Vec<String>,
}
