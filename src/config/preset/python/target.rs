//! What the key of a preset names: a script, an object in a script, a notebook or a folder.

use std::path::{Path, PathBuf};

use crate::config::file::{self, At, PythonPreset, Span};
use crate::config::model::AppName;
use crate::config::preset::context::PresetContext;
use crate::config::report::problem::Problems;

/// What the key of a preset names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Script,
    Notebook,
    /// An object in a script that gunicorn or uvicorn serves, with its usual name.
    Object(&'static str),
    /// A folder with `manage.py`.
    Project,
    Folder,
    /// A folder that the program fills; the app's own folder if none is named.
    OwnFolder,
}

/// The app's own folder, as the placeholder of a command.
const OWN: &str = "{data}";

impl Target {
    pub(super) fn is_folder(self) -> bool {
        matches!(self, Self::Project | Self::Folder | Self::OwnFolder)
    }

    /// What it is, for people.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Script | Self::Object(_) => "script",
            Self::Notebook => "notebook",
            Self::Project | Self::Folder | Self::OwnFolder => "folder",
        }
    }

    /// Key of the table form.
    pub(super) fn key(self) -> &'static str {
        if self.is_folder() { "folder" } else { "script" }
    }

    fn example(self) -> &'static str {
        match self {
            Self::Script | Self::Object(_) => "app.py",
            Self::Notebook => "report.ipynb",
            Self::Project => "site",
            Self::Folder | Self::OwnFolder => "files",
        }
    }

    /// The script or folder that the table names, as an absolute path or a placeholder.
    pub(super) fn find(
        self,
        key: &str,
        (table, span): (&PythonPreset, &Span),
        dir: &Path,
        problems: &mut Problems<'_>,
    ) -> PathBuf {
        let (named, other, other_key) = if self.is_folder() {
            (&table.folder, &table.script, "script")
        } else {
            (&table.script, &table.folder, "folder")
        };
        if let Some(other) = other {
            problems.error(
                &other.span,
                format!(
                    "{} has no `{other_key}`; name its {} in `{}`",
                    key,
                    self.word(),
                    self.key()
                ),
            );
        }
        let named = named.as_ref().map(|at| at.value.as_str()).unwrap_or_default();
        if named.is_empty() && self == Self::OwnFolder {
            return PathBuf::from(OWN);
        }
        if named.is_empty() && other.is_none() {
            problems.error(
                span,
                format!(
                    "{} needs a `{}`; write for example `{} = \"{}\"`",
                    key,
                    self.key(),
                    key,
                    self.example()
                ),
            );
        }
        if named.starts_with(OWN) { PathBuf::from(named) } else { dir.join(named) }
    }

    /// The folder of the code, and the object that a server of Python programs serves: `module:name`.
    pub(super) fn object(
        self,
        (table, span): (&PythonPreset, &Span),
        target: &Path,
        (name, app): (&AppName, &file::App),
        context: &PresetContext<'_>,
        problems: &mut Problems<'_>,
    ) -> (PathBuf, String) {
        let given = table.app.as_ref();
        match self {
            Self::Object(usual) => {
                let module = target.file_stem().unwrap_or_default().to_string_lossy();
                if !is_name(&module) && !module.is_empty() {
                    problems.error(
                        table.script.as_ref().map_or(span, |at| &at.span),
                        format!("Python cannot import `{module}`; rename the script, with letters, digits and `_` only"),
                    );
                }
                let object = named_object(given, usual, problems);
                let folder = target.parent().unwrap_or(target).to_owned();
                (folder, format!("{module}:{object}"))
            }
            Self::Project => {
                let module = match given {
                    Some(at) => Some(at.value.clone()),
                    // A project that is not there yet is a missing file, of which the check warns.
                    None => match context.places.read(&target.join("manage.py"), name, app) {
                        Ok(manage) => wsgi_module(&manage),
                        Err(_) => Some("wsgi".to_owned()),
                    },
                };
                if module.is_none() {
                    problems.error(
                        span,
                        "`manage.py` does not name the settings; name the WSGI module in the table, for example `{ folder = \"site\", app = \"site1.wsgi\" }`",
                    );
                }
                (target.to_owned(), module.unwrap_or_default())
            }
            _ => {
                if let Some(at) = given {
                    problems.error(&at.span, "only `dash`, `fastapi`, `flask` and `django` have an `app`; remove the key");
                }
                (target.to_owned(), String::new())
            }
        }
    }
}

fn named_object<'a>(
    given: Option<&'a At<String>>,
    usual: &'a str,
    problems: &mut Problems<'_>,
) -> &'a str {
    let Some(at) = given else { return usual };
    if !is_name(&at.value) {
        problems.error(
            &at.span,
            format!("`{}` is no name of Python; write the name of the object in the script, for example `{usual}`", at.value),
        );
    }
    &at.value
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || c == '_')
        && text.chars().next().is_some_and(|c| !c.is_numeric())
}

/// `site1.wsgi` for a `manage.py` that sets `DJANGO_SETTINGS_MODULE` to `site1.settings`.
fn wsgi_module(manage: &str) -> Option<String> {
    let (_, rest) = manage.split_once("DJANGO_SETTINGS_MODULE")?;
    let quoted = |c| c == '"' || c == '\'';
    let settings = rest.split(quoted).find(|part| part.contains("settings"))?;
    let package = settings.split(".settings").next().filter(|package| is_name(package))?;
    Some(format!("{package}.wsgi"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wsgi_module_is_beside_the_settings() {
        let line = |settings: &str| {
            format!("os.environ.setdefault('DJANGO_SETTINGS_MODULE', \"{settings}\")")
        };
        for (manage, module) in [
            (line("site1.settings"), Some("site1.wsgi")),
            (line("shop.settings.production"), Some("shop.wsgi")),
            (line("config"), None),
            ("print()".to_owned(), None),
        ] {
            assert_eq!(wsgi_module(&manage).as_deref(), module, "{manage}");
        }
    }

    #[test]
    fn names_of_python() {
        for (text, is) in
            [("app", true), ("my_app2", true), ("2nd", false), ("my-app", false), ("", false)]
        {
            assert_eq!(is_name(text), is, "{text}");
        }
    }
}
