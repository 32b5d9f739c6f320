//! Golden files: the result of checking `tests/config/*.toml` is in `*.txt` beside it, either the
//! errors or the expanded configuration.
//!
//! `UPDATE_GOLDEN=1 cargo test --test config` writes the files again; read the difference before
//! you commit it.

use std::fs;
use std::path::{Path, PathBuf};

use appliance::config::Config;

/// The environment variables during the tests.
fn lookup(name: &str) -> Option<String> {
    match name {
        "SET" => Some("a value\" ]".to_owned()),
        "OUR_TOKEN" => Some("hunter2 \"of\" ours".to_owned()),
        "PUBLIC_URL" => Some("https://apps.example.org".to_owned()),
        "DATABASE_URL" => Some("postgres://me:hunter2/p@ss?w@db.example.org".to_owned()),
        _ => None,
    }
}

fn result_of(path: &Path, here: &str) -> String {
    match Config::load(path, lookup) {
        Ok(config) => config.expanded().replace(here, "/srv/tests/"),
        Err(error) => format!("{error}\n").replace(here, "/srv/tests/"),
    }
}

fn files() -> Vec<PathBuf> {
    let entries = fs::read_dir("tests/config").into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    files
}

#[test]
fn every_file_has_the_expected_result() {
    let here = format!("{}/", std::path::absolute("tests").unwrap().display());
    let mut changed = Vec::new();
    for path in files() {
        let result = result_of(&path, &here);
        assert!(!result.contains("hunter2"), "a secret is shown:\n{result}");
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &result).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != result {
            changed.push(format!("{}:\n{result}", path.display()));
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}

/// A file that is cut off anywhere, or that lost any one line, is checked without a panic.
#[test]
fn a_broken_file_causes_no_panic() {
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("appliance.toml");
    for path in files() {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let cut = (0..text.len()).step_by(23).map(|at| &text[..text.floor_char_boundary(at)]);
        let without =
            (0..lines.len()).map(|line| [&lines[..line], &lines[line + 1..]].concat().join("\n"));
        for text in cut.map(str::to_owned).chain(without) {
            fs::write(&broken, text).unwrap();
            if let Err(error) = Config::load(&broken, lookup) {
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

#[test]
fn a_missing_file_is_reported_in_one_sentence() {
    let error = Config::load(Path::new("no/such.toml"), lookup).unwrap_err().to_string();
    assert!(error.starts_with("cannot read the configuration no/such.toml: "), "{error}");
    assert_eq!(error.lines().count(), 1);
}

#[test]
fn the_schema_knows_every_section_and_describes_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&appliance::config::schema()).unwrap();
    for section in ["server", "log", "oidc", "session", "access", "alerts", "apps"] {
        assert!(schema["properties"][section]["description"].is_string(), "{section}");
    }
    for (name, definition) in schema["definitions"].as_object().unwrap() {
        for (key, value) in definition["properties"].as_object().into_iter().flatten() {
            assert!(value["description"].is_string(), "{name}.{key}");
        }
    }
}

#[test]
fn the_shipped_file_is_valid() {
    let config = Config::load(Path::new("appliance.toml"), |_| None).unwrap();
    let names: Vec<&str> = config.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["keycloak", "app1", "app2"]);
    let issuer = config.oidc.unwrap().issuer;
    assert_eq!(issuer, "http://localhost:8080/auth/realms/appliance");
}

#[test]
fn a_file_that_is_not_text_is_reported_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("appliance.toml");
    fs::write(&path, b"[server]\ntitle = \"caf\xe9\"\n").unwrap();
    let error = Config::load(&path, lookup).unwrap_err().to_string();
    assert!(error.contains("appliance.toml:2:13: error: the file is not UTF-8 text"), "{error}");
}

/// Neither the file nor the value of a variable sends control characters to the terminal.
#[test]
fn errors_contain_no_control_characters() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("appliance.toml");
    let text = "[log]\nformat = \"\\u001b[2J\"\n[apps.a]\ncommand = [\"\u{9b}x\"]\nstop_signal = \"${X}\"\n";
    fs::write(&path, text).unwrap();
    let error = Config::load(&path, |_| Some("\x1b]0;x\x07".to_owned())).unwrap_err().to_string();
    assert!(error.contains("is not a value of `format`") && error.contains("no signal"), "{error}");
    assert!(!error.contains(|c: char| c.is_control() && c != '\n'), "{error:?}");
}

/// The image sets these variables; no spelling of a table escapes them.
#[test]
fn the_environment_gives_every_app_a_user() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("appliance.toml");
    let text = "[ apps . 'sales' ] # the board looks at this\r\nstreamlit = \"a.py\"\r\naccess = \"public\"\r\npath = \"/\"\r\n";
    fs::write(&path, text).unwrap();
    let said = |users: &str| {
        let lookup = |name: &str| match name {
            "APPLIANCE_USERS" => Some(users.to_owned()),
            "APPLIANCE_DATA" => Some("/var/lib/appliance".to_owned()),
            "CACHE_DIRECTORY" => Some("/opt/appliance".to_owned()),
            _ => None,
        };
        Config::load(&path, lookup)
            .map(|config| config.expanded())
            .map_err(|error| error.to_string())
    };
    let shown = said("per-app").unwrap();
    for line in [
        "user = \"47325\"",
        "# data folder: /var/lib/appliance/sales",
        "setup.creates = \"/var/lib/appliance/.cache/venvs/sales/",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(said("").unwrap().contains("# user: that of the appliance"));
    let error = said("perapp").unwrap_err();
    assert!(error.contains("error: the variable APPLIANCE_USERS cannot be `perapp`"), "{error}");
    assert!(error.contains("help: set it to `per-app`, or leave it out"), "{error}");
}
