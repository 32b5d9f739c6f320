//! Sources of secrets. No app gets a key of the appliance as its secret, by whatever name.

use std::path::{Component, Path, PathBuf};

use super::context::{Check, Outline, absolute};
use crate::config::file::{self, SecretRef, Span, TextOr};
use crate::config::grammar::is_variable_name;
use crate::config::model::SecretSource;
use crate::config::model::reserved::{self, KEYCLOAK_ADMIN, OIDC, SESSION_KEYS};
use crate::config::ownership::nested::real;

impl Check<'_, '_> {
    /// `None` if the source is refused.
    pub(super) fn secret(&mut self, file: &file::SecretRef, span: &Span) -> Option<SecretSource> {
        let file::SecretRef { env, file, generate } = file;
        let source = match (env, file, generate) {
            (Some(name), None, None) if is_variable_name(name) => SecretSource::Env(name.clone()),
            (None, Some(path), None) if !path.is_empty() => {
                SecretSource::File(absolute(self.dir, path))
            }
            (None, None, Some(name)) if is_file_name(name) => SecretSource::Generate(name.clone()),
            (Some(name), None, None) => {
                self.problems.error(
                    span,
                    format!("`{name}` is not a valid variable name; use letters, digits and `_`"),
                );
                return None;
            }
            (None, None, Some(name)) => {
                let message = format!("`{name}` is not a valid name for a generated secret");
                let help = "use letters, digits, `-`, `_` and `.`, for example `oidc-client`";
                self.problems.error_with_help(span, message, help);
                return None;
            }
            // A misspelt source has already been reported.
            (None, None, None) if self.problems.any_within(span) => return None,
            _ => {
                self.problems.error_with_help(
                    span,
                    "a secret needs exactly one source",
                    "write `{ env = \"NAME\" }`, `{ file = \"path\" }` or `{ generate = \"name\" }`",
                );
                return None;
            }
        };
        Some(source)
    }
}

/// Whether the name stays inside `state_dir`. Names of the appliance's files there are refused by
/// [`Check::reserved_names`].
fn is_file_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with('.')
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
}

impl Check<'_, '_> {
    /// Checks the sources of all secrets, and the files of variables, as they are written in the
    /// file: what a preset passes to its own program is not checked.
    pub(super) fn reserved_names(
        &mut self,
        oidc: Option<&file::Oidc>,
        keys: Option<&file::At<SecretRef>>,
        outlines: &[Outline<'_>],
        state_dir: &Path,
    ) {
        if let Some(keys) = keys.filter(|at| at.generate.as_deref() != Some(SESSION_KEYS)) {
            self.own_generated(keys, &keys.span, "session keys");
        }
        let client = oidc.and_then(|oidc| oidc.client_secret.as_ref());
        if let Some(client) = client {
            self.own_generated(client, &client.span, "client secret");
        }
        let client = client.and_then(|at| at.generate.as_deref());
        let own_keys = keys.map(|at| &at.value);
        let keys = keys.and_then(|at| at.generate.as_deref()).unwrap_or(SESSION_KEYS);
        let issuer = oidc.and_then(|oidc| oidc.served_by.as_ref()).map(|at| at.value.as_str());
        for outline in outlines {
            let is_issuer = issuer == Some(outline.name.as_str()) || outline.keycloak.is_some();
            let taken = |name: &str| {
                let issuers = name.starts_with(OIDC) || name == KEYCLOAK_ADMIN;
                if issuers || client == Some(name) {
                    return !is_issuer;
                }
                reserved::is_reserved_file(name) || name == keys
            };
            for at in outline.table.env.iter().flatten().map(|(_, at)| at) {
                let TextOr::Other(source) = &at.value else { continue };
                self.app_secret(source, &at.span, state_dir, &taken);
                self.not_the_keys(
                    own_keys,
                    source.env.as_deref(),
                    source.file.as_deref(),
                    &at.span,
                );
            }
            for at in outline.table.pass_env.iter().flatten() {
                self.not_the_keys(own_keys, Some(&at.value), None, &at.span);
            }
            if let Some(at) = &outline.table.env_file {
                self.app_file(at, &at.span, state_dir, &taken);
                self.not_the_keys(own_keys, None, Some(&at.value), &at.span);
            }
        }
    }

    /// The variable or the file of `[session] keys`, which no app may have.
    fn not_the_keys(
        &mut self,
        keys: Option<&SecretRef>,
        env: Option<&str>,
        path: Option<&str>,
        span: &Span,
    ) {
        let whole = |path: &str| without_dots(&absolute(self.dir, path));
        let is_same_file = |own: &str, path: &str| {
            let (own, path) = (whole(own), whole(path));
            own == path || real(&own) == path
        };
        let has_variable =
            keys.and_then(|keys| keys.env.as_deref()).is_some_and(|own| env == Some(own));
        let own_file = keys.and_then(|keys| keys.file.as_deref());
        let has_file = own_file.zip(path).is_some_and(|(own, path)| is_same_file(own, path));
        if has_variable || has_file {
            self.problems.error_with_help(
                span,
                "an app would get the appliance's session keys, which let it sign in as anybody",
                "name a variable or a file of the app's own",
            );
        }
    }

    /// A secret of the appliance itself that would be another of its files.
    fn own_generated(&mut self, source: &SecretRef, span: &Span, what: &str) {
        if let Some(name) = source.generate.as_ref().filter(|name| reserved::is_reserved_file(name))
        {
            self.problems.error_with_help(
                span,
                format!("`{name}` is reserved: the appliance keeps another file of this name in state_dir"),
                format!("give the {what} another name, for example `oidc-client`"),
            );
        }
    }

    fn app_secret(
        &mut self,
        source: &SecretRef,
        span: &Span,
        state_dir: &Path,
        taken: &dyn Fn(&str) -> bool,
    ) {
        if let Some(name) = source.generate.as_ref().filter(|name| taken(name)) {
            self.problems.error_with_help(
                span,
                format!(
                    "`{name}` is reserved: an app would get a secret or a file of the appliance"
                ),
                "give the app's secret another name, for example `app1-secret`",
            );
        }
        if let Some(path) = &source.file {
            self.app_file(path, span, state_dir, taken);
        }
    }

    /// The same file, named by its path.
    fn app_file(
        &mut self,
        path: &str,
        span: &Span,
        state_dir: &Path,
        taken: &dyn Fn(&str) -> bool,
    ) {
        // The links of an app's path are not followed here: its disk may not answer. Who reads the file refuses
        // the secrets of the appliance by whatever link they are reached.
        let path = without_dots(&absolute(self.dir, path));
        let folders = [without_dots(state_dir), real(state_dir)];
        let mut names = folders.iter().filter_map(|folder| {
            path.strip_prefix(folder).ok()?.components().next()?.as_os_str().to_str()
        });
        if let Some(name) = names.find(|name| taken(name)) {
            self.problems.error_with_help(
                span,
                format!("`{name}` in state_dir is reserved: an app would get a secret or a file of the appliance"),
                "name a file of the app's own",
            );
        }
    }
}

/// The path with each `..` resolved by its text.
fn without_dots(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use crate::config::Config;

    /// What is wrong with a file that has these tables.
    fn errors(apps: &str) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("appliance.toml");
        let oidc = "[oidc]\nissuer = \"https://id.example.org\"\nclient_id = \"a\"\n\
                    client_secret = { generate = \"shared\" }\n";
        std::fs::write(&path, format!("{oidc}{apps}")).unwrap();
        Config::load(&path, |_| None).map_or_else(|error| error.to_string(), |_| String::new())
    }

    fn app(line: &str) -> String {
        errors(&format!("[apps.a]\ncommand = [\"x\"]\n{line}\n"))
    }

    #[test]
    fn no_app_gets_a_key_of_the_appliance() {
        for name in ["session-keys", "assertion-key", "lock", "venvs", "oidc-client", "shared"] {
            let error = app(&format!("env = {{ S = {{ generate = \"{name}\" }} }}"));
            assert!(error.contains(&format!("`{name}` is reserved")), "{name}: {error}");
        }
        for path in [
            ".appliance/session-keys",
            "./.appliance/x/../sessions/ended",
            "../../../../../../.appliance/../tmp/x",
        ] {
            let error = app(&format!("env = {{ S = {{ file = \"{path}\" }} }}"));
            assert_eq!(
                error.contains("in state_dir is reserved"),
                !path.contains("tmp"),
                "{error}"
            );
        }
        let error = app("env_file = \".appliance/keycloak-admin\"");
        assert!(error.contains("`keycloak-admin` in state_dir is reserved"), "{error}");
    }

    #[test]
    fn no_app_gets_a_key_by_another_spelling_of_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::create_dir(at("real")).unwrap();
        std::fs::write(at("real/session-keys"), "").unwrap();
        std::fs::write(at("keys"), "").unwrap();
        std::os::unix::fs::symlink("real", at("state")).unwrap();
        std::os::unix::fs::symlink("keys", at("link")).unwrap();
        let errors = |keys: &str, line: &str| {
            let path = at("appliance.toml");
            let text = format!(
                "[server]\nstate_dir = \"state\"\n[session]\nkeys = {keys}\n\
                 [apps.a]\ncommand = [\"x\"]\n{line}\n"
            );
            std::fs::write(&path, text).unwrap();
            Config::load(&path, |_| None).map_or_else(|error| error.to_string(), |_| String::new())
        };
        let generated = "{ generate = \"session-keys\" }";
        for name in ["state/session-keys", "real/session-keys", "real/../state/session-keys"] {
            for line in [
                format!("env = {{ S = {{ file = \"{name}\" }} }}"),
                format!("env_file = \"{name}\""),
            ] {
                let error = errors(generated, &line);
                assert!(
                    error.contains("`session-keys` in state_dir is reserved"),
                    "{line}: {error}"
                );
            }
        }
        assert_eq!(errors(generated, "env = { S = { file = \"real/a-secret\" } }"), "");
        let (variable, file) = ("{ env = \"KEYS\" }", "{ file = \"keys\" }");
        for (keys, line) in [
            (variable, "pass_env = [\"KEYS\"]"),
            (variable, "env = { S = { env = \"KEYS\" } }"),
            (file, "env = { S = { file = \"keys\" } }"),
            (file, "env = { S = { file = \"./real/../keys\" } }"),
            ("{ file = \"link\" }", "env = { S = { file = \"keys\" } }"),
            (file, "env_file = \"keys\""),
        ] {
            let error = errors(keys, line);
            assert!(
                error.contains("an app would get the appliance's session keys"),
                "{line}: {error}"
            );
        }
        for (keys, line) in [
            (variable, "pass_env = [\"OTHER\"]"),
            (variable, "env = { KEYS = { env = \"OTHER\" } }"),
            (file, "env = { S = { file = \"other\" } }"),
        ] {
            assert_eq!(errors(keys, line), "", "{line}");
        }
    }

    #[test]
    fn other_secrets_of_apps_stay() {
        for line in [
            "env = { S = { generate = \"a-secret\" }, T = { generate = \"a-secret\" } }",
            "env = { S = { file = \".appliance/a-secret\" } }",
            "env = { S = { file = \"session-keys\" } }",
        ] {
            assert_eq!(app(line), "", "{line}");
        }
        let issuer = "[apps.idp]\ncommand = [\"x\"]\npath = \"/idp\"\naccess = \"public\"\n\
                      env = { S = { generate = \"oidc-client\" } }\n";
        let text = format!(
            "[oidc]\nissuer = \"http://localhost:8080/idp\"\nserved_by = \"idp\"\nclient_id = \"a\"\n\
             client_secret = {{ generate = \"oidc-client\" }}\n[session]\n\
             keys = {{ generate = \"session-keys\" }}\n{issuer}"
        );
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("appliance.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path, |_| None).unwrap_or_else(|error| panic!("{error}"));
    }

    #[test]
    fn a_secret_of_the_appliance_is_not_another_of_its_files() {
        let text = "[session]\nkeys = { generate = \"assertion-key\" }\n";
        assert!(errors(text).contains("`assertion-key` is reserved"));
    }

    #[test]
    fn reserved_names_of_apps() {
        for name in ["appliance", "root", "state"] {
            let error = errors(&format!("[apps.{name}]\ncommand = [\"x\"]\n"));
            assert!(error.contains(&format!("the name `{name}` is reserved")), "{error}");
        }
        assert_eq!(errors("[apps.states]\ncommand = [\"x\"]\n"), "");
    }
}
