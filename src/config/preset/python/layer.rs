//! The parameters of the presets of Python frameworks.

use std::path::Path;

use super::environment::Environment;
use super::header_flags::user_header;
use super::kind::Kind;
use super::target::Target;
use crate::config::file::{self, At, PythonPreset, TextOr};
use crate::config::model::{AppName, Need};
use crate::config::preset::context::{PresetContext, own_path};
use crate::config::preset::layer::{Layer, Parameters, Value};
use crate::config::report::problem::Problems;

/// The setup that makes an environment.
pub(in crate::config::preset) const SETUP: &str = include_str!("../data/python/setup.toml");
const SETUP_SCRIPT: &str =
    concat!(include_str!("../data/shell.sh"), include_str!("../data/python/setup.sh"));
const JUPYTER_START: &str = include_str!("../data/python/jupyter.start.py");

/// The preset of `kind` with the parameters of the app's table.
pub(in crate::config::preset) fn layer(
    kind: &'static Kind,
    at: &At<TextOr<PythonPreset>>,
    (name, app): (&AppName, &file::App),
    context: &PresetContext<'_>,
    problems: &mut Problems<'_>,
) -> Layer {
    let table = table(kind.target, at);
    let written = (&table, &at.span);
    check_packages(&table, problems);
    let target = kind.target.find(kind.key, written, context.dir, problems);
    let (folder, object) = kind.target.object(written, &target, (name, app), context, problems);
    let environment = Environment::of(kind, &table, &target, (name, app), context);
    let needs = needs(kind, &target, &environment, &table);
    let text = |path: &Path| Value::Text(path.display().to_string());
    let setup = environment.is_made.then_some(SETUP);
    Layer {
        key: kind.key,
        texts: std::iter::once(kind.text).chain(setup).collect(),
        parameters: Parameters::from([
            ("script", text(&target)),
            ("folder", text(&folder)),
            ("object", Value::Text(object)),
            ("mount", Value::Text(own_path(app))),
            ("args", Value::List(table.args.unwrap_or_default())),
            ("requirements", text(environment.requirements.as_deref().unwrap_or(Path::new("")))),
            ("packages", Value::Text(environment.packages.join("\n"))),
            ("python", Value::Text(environment.python)),
            ("venv", text(&environment.folder)),
            ("user_headers", Value::List(kind.headers.arguments(app))),
            ("user_header", Value::Text(user_header(app))),
            ("setup.sh", Value::Text(SETUP_SCRIPT.to_owned())),
            ("start.py", Value::Text(JUPYTER_START.to_owned())),
        ]),
        needs,
        guarded: Vec::new(),
    }
}

/// The table form of what was written.
fn table(target: Target, at: &At<TextOr<PythonPreset>>) -> PythonPreset {
    let text = match &at.value {
        TextOr::Other(table) => return table.clone(),
        TextOr::Text(text) => Some(At::new(text.clone(), at.span.clone())),
    };
    if target.is_folder() {
        PythonPreset { folder: text, ..PythonPreset::default() }
    } else {
        PythonPreset { script: text, ..PythonPreset::default() }
    }
}

/// A package is one argument of the installer, and no option.
fn check_packages(table: &PythonPreset, problems: &mut Problems<'_>) {
    for package in table.packages.iter().flatten() {
        let starts = package.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !starts || package.contains(char::is_control) {
            problems.error(
                &package.span,
                format!("`{}` is no package; write for example `pandas` or `pandas==2.3.3`, and put options of pip into a requirements file", package.value),
            );
        }
    }
}

/// The script or folder, and what else the table names.
fn needs(kind: &Kind, target: &Path, environment: &Environment, table: &PythonPreset) -> Vec<Need> {
    let need = |key, what, path: &Path| Need { key: [kind.key, key], what, path: path.to_owned() };
    let python = Some(Path::new(&environment.python)).filter(|path| !path.as_os_str().is_empty());
    let requirements = table.requirements.as_ref().and(environment.requirements.as_deref());
    let existing = (!environment.is_made).then(|| environment.folder.join("bin/python"));
    let named = (kind.target != Target::OwnFolder).then_some(target);
    named
        .map(|path| need(kind.target.key(), kind.target.word(), path))
        .into_iter()
        .chain(requirements.map(|path| need("requirements", "requirements file", path)))
        .chain(python.map(|path| need("python", "Python", path)))
        .chain(existing.map(|path| need("venv", "Python of the environment", &path)))
        .collect()
}
