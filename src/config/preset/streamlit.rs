//! The streamlit preset: its parameters.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::context::PresetContext;
use super::layer::{Layer, Parameters, Value};
use crate::config::file::{self, At, FlagOr, StreamlitPreset, TextOr};
use crate::config::model::{AppName, Need};
use crate::config::report::problem::Problems;

pub(super) const TEXT: &str = include_str!("data/streamlit.toml");
const SETUP: &str = concat!(include_str!("data/shell.sh"), include_str!("data/streamlit.setup.sh"));

pub(super) fn layer(
    at: &At<TextOr<StreamlitPreset>>,
    app: &file::App,
    name: &AppName,
    preset_context: &PresetContext<'_>,
    problems: &mut Problems<'_>,
) -> Layer {
    let table = match &at.value {
        TextOr::Text(script) => StreamlitPreset {
            script: Some(At::new(script.clone(), at.span.clone())),
            ..StreamlitPreset::default()
        },
        TextOr::Other(table) => table.clone(),
    };
    let script = table.script.as_ref().map(|script| script.value.as_str()).unwrap_or_default();
    if script.is_empty() {
        problems.error(
            &at.span,
            "streamlit needs a `script`; write for example `streamlit = \"app.py\"`",
        );
    }
    let script = preset_context.dir.join(script);
    let requirements = requirements(&table, &script, preset_context.dir);
    let python = table.python.as_deref().map(|python| program(preset_context.dir, python));
    let python = python.unwrap_or_default();
    let owner = preset_context.places.owner(name, app);
    let packages = requirements
        .as_ref()
        .map(|path| (path, preset_context.places.read(path, name, app).unwrap_or_default()));
    let fingerprint = fingerprint(packages, &python);
    let venv = preset_context.places.environment(owner.as_deref(), &fingerprint);
    let needs = needs(&script, table.requirements.as_ref().and(requirements.as_deref()), &python);
    let text = |path: &Path| Value::Text(path.display().to_string());
    Layer {
        key: "streamlit",
        text: TEXT,
        parameters: Parameters::from([
            ("script", text(&script)),
            ("args", Value::List(table.args.unwrap_or_default())),
            ("requirements", text(requirements.as_deref().unwrap_or(Path::new("")))),
            ("python", Value::Text(python)),
            ("venv", text(&venv)),
            ("user_headers", Value::List(user_headers(app))),
            ("setup.sh", Value::Text(SETUP.to_owned())),
        ]),
        guarded: Vec::new(),
        needs,
    }
}

/// The script, and what else the table names.
fn needs(script: &Path, requirements: Option<&Path>, python: &str) -> Vec<Need> {
    let need =
        |key, what, path: &Path| Need { key: ["streamlit", key], what, path: path.to_owned() };
    let python = Some(Path::new(python)).filter(|python| !python.as_os_str().is_empty());
    std::iter::once(need("script", "script", script))
        .chain(requirements.map(|path| need("requirements", "requirements file", path)))
        .chain(python.map(|path| need("python", "Python", path)))
        .collect()
}

/// The file that `requirements` names, otherwise `requirements.txt` beside the script if it exists.
fn requirements(table: &StreamlitPreset, script: &Path, dir: &Path) -> Option<PathBuf> {
    match &table.requirements {
        Some(at) => Some(dir.join(&at.value)),
        None => Some(script.with_file_name("requirements.txt")).filter(|path| path.exists()),
    }
}

/// A bare name is looked up in PATH; a path starts at the folder of the file.
pub(super) fn program(dir: &Path, text: &str) -> String {
    if text.contains('/') { dir.join(text).display().to_string() } else { text.to_owned() }
}

/// Apps of one user with the same requirements share one environment; changed requirements get a new
/// one.
fn fingerprint(requirements: Option<(&PathBuf, String)>, python: &str) -> String {
    let mut hash = Sha256::new();
    if let Some((path, text)) = requirements {
        hash.update(path.as_os_str().as_encoded_bytes());
        hash.update(text);
    }
    hash.update([0]);
    hash.update(python);
    let mut name = format!("{:x}", hash.finalize());
    name.truncate(12);
    name
}

/// Arguments that make `st.user` from the app's identity headers. Only values that do not change
/// within a session: Streamlit starts a new session if one of them differs after a reconnect.
fn user_headers(app: &file::App) -> Vec<String> {
    let names: Vec<(String, &str)> = match app.identity.as_ref().map(|at| &at.value) {
        Some(FlagOr::Flag(false)) => return Vec::new(),
        Some(FlagOr::Table(table)) => [
            (&table.user, "user"),
            (&table.email, "email"),
            (&table.groups, "groups"),
            (&table.preferred_username, "preferred_username"),
            (&table.name, "name"),
        ]
        .into_iter()
        .filter_map(|(at, key)| Some((at.as_ref()?.value.clone(), key)))
        .collect(),
        Some(FlagOr::Flag(true)) | None => [
            ("X-Forwarded-User", "user"),
            ("X-Forwarded-Email", "email"),
            ("X-Forwarded-Groups", "groups"),
            ("X-Forwarded-Preferred-Username", "preferred_username"),
        ]
        .into_iter()
        .map(|(header, key)| (header.to_owned(), key))
        .collect(),
    };
    let map: serde_json::Map<String, serde_json::Value> =
        names.into_iter().map(|(header, key)| (header, key.into())).collect();
    vec!["--server.trustedUserHeaders".to_owned(), serde_json::Value::Object(map).to_string()]
}
