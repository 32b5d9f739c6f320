//! Texts of configuration files that commands write: a new file, and the table of a new app.

use std::path::Path;

use super::apps_folder::{self, quoted};
use super::load::check_bytes;
use super::model::AppName;
use super::read::interpolate::Lookup;
use super::report::problem::Problem;

/// What a new file says about the whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Title of the portal.
    pub title: String,
    /// The address that people type.
    pub address: String,
    /// The address of the issuer; `None` for a Keycloak of the appliance.
    pub issuer: Option<String>,
}

/// What the table of a new app says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewApp {
    /// A script, a notebook or a folder, relative to the folder of the file, or the address of a server.
    pub target: String,
    /// Its name; `None`: from the name of the target.
    pub name: Option<String>,
    /// Its path; `None`: its name.
    pub path: Option<String>,
    /// The groups whose members may open it; empty: everybody who is signed in.
    pub groups: Vec<String>,
}

impl NewFile {
    /// The text of the file, without apps of people.
    #[must_use]
    pub fn text(&self) -> String {
        let issuer = match &self.issuer {
            None => apps_folder::KEYCLOAK.to_owned(),
            Some(issuer) => format!(
                "\n[oidc]\nissuer = {}\nclient_id = \"appliance\"\n\
                 client_secret = {{ env = \"OIDC_CLIENT_SECRET\" }}\n",
                quoted(issuer)
            ),
        };
        let address = quoted(&format!("${{PUBLIC_URL:-{}}}", self.address)).replace("$${", "${");
        format!(
            "# `appliance check` explains every error in this file. All settings: docs/settings.md\n\
             [server]\ntitle = {}\nlisten = \"${{APPLIANCE_LISTEN:-127.0.0.1:8080}}\"\n\
             public_url = {address}\n{issuer}",
            quoted(&self.title)
        )
    }
}

impl NewApp {
    /// The name and the table of the app, with an empty line before it. `dir`: the folder of the file.
    ///
    /// # Errors
    ///
    /// The target is of no kind that is known, or the name is none; the text says what to do.
    pub fn table(&self, dir: &Path) -> Result<(String, String), String> {
        let is_server = ["http://", "https://"].iter().any(|start| self.target.starts_with(start));
        let usual = if is_server { name_of_host } else { apps_folder::usual_name };
        let name = self.name.clone().unwrap_or_else(|| usual(&self.target));
        if AppName::new(&name).is_none() {
            return Err(format!(
                "`{name}` is no name of an app; give one of lower-case letters, digits and `-` with --name"
            ));
        }
        let path = self.path.clone().unwrap_or_else(|| format!("/{name}"));
        let table = if is_server {
            let (upstream, path) = (quoted(&self.target), quoted(&path));
            format!("\n[apps.{name}]\nupstream = {upstream}\npath = {path}\n")
        } else if dir.join(&self.target).exists() {
            let table = apps_folder::table_of(dir, &self.target, &name, &path);
            table.map_err(|why| format!("{}: {why}", self.target))?
        } else {
            return Err(format!("there is no {} in {}", self.target, dir.display()));
        };
        if self.groups.is_empty() {
            return Ok((name, table));
        }
        let groups: Vec<_> = self.groups.iter().map(|group| quoted(group)).collect();
        Ok((name, format!("{table}access = {{ groups = [{}] }}\n", groups.join(", "))))
    }
}

/// Whether the text of a file has an app of this name.
#[must_use]
pub fn has_app(text: &str, name: &str) -> bool {
    let table = text.parse::<toml::Table>().ok();
    let apps = table.as_ref().and_then(|table| table.get("apps")?.as_table());
    apps.is_some_and(|apps| apps.contains_key(name))
}

/// The errors of the text of a file that is not written yet.
///
/// # Errors
///
/// All of them, in the order of the text.
pub fn check_text(path: &Path, text: &str, lookup: Lookup<'_>) -> Result<(), Vec<Problem>> {
    let dir = path.parent().unwrap_or(Path::new("."));
    let whole = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    check_bytes((path, &whole), text.as_bytes(), lookup, false, None).map(|_| ())
}

/// `http://wiki.example.org:3000` → `wiki`
fn name_of_host(url: &str) -> String {
    let host = url.split("://").nth(1).unwrap_or_default();
    let first = host.split(['.', ':', '/']).next().unwrap_or_default().to_ascii_lowercase();
    AppName::new(&first).map_or_else(|| "app".to_owned(), |name| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(target: &str) -> NewApp {
        NewApp { target: target.to_owned(), ..NewApp::default() }
    }

    #[test]
    fn a_new_file_with_new_apps_has_no_errors() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("apps")).unwrap();
        std::fs::write(folder.path().join("apps/sales.py"), "import streamlit").unwrap();
        let issuers = [None, Some("https://id.example.org".to_owned())];
        for issuer in issuers {
            let (title, address) = ("Our \"apps\"".to_owned(), "https://a.example.org".to_owned());
            let mut text = NewFile { title, address, issuer }.text();
            for new in [
                app("apps/sales.py"),
                app("http://10.0.0.7:3000"),
                NewApp {
                    name: Some("wiki".into()),
                    path: Some("/w".into()),
                    groups: vec!["a \"b\"".into(), "c".into()],
                    ..app("https://wiki.example.org")
                },
            ] {
                text.push_str(&new.table(folder.path()).unwrap().1);
            }
            let path = folder.path().join("appliance.toml");
            check_text(&path, &text, &|_| None).unwrap_or_else(|problems| panic!("{problems:?}"));
            for part in ["[apps.sales]", "[apps.app]", "[apps.wiki]", "path = \"/w\""] {
                assert!(text.contains(part), "{part} in {text}");
            }
        }
    }

    #[test]
    fn what_is_no_app_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("x.py"), "import os").unwrap();
        std::fs::write(folder.path().join("y.py"), "import streamlit").unwrap();
        let named = NewApp { name: Some("Y".into()), ..app("y.py") };
        for (new, why) in [
            (app("x.py"), "imports none"),
            (app("z.py"), "there is no z.py"),
            (named, "`Y` is no name"),
        ] {
            let error = new.table(folder.path()).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }
}
