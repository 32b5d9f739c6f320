//! Golden files: what is said about `tests/config/*.toml` stands beside them as `*.txt`.
//!
//! `UPDATE_GOLDEN=1 cargo test --test config` writes them anew; read the difference before it is
//! committed.

use std::fs;
use std::path::{Path, PathBuf};

use appliance::config::Config;

/// The environment that the files are read in.
fn lookup(name: &str) -> Option<String> {
    match name {
        "SET" => Some("a value\" ]".to_owned()),
        "OUR_TOKEN" => Some("hunter2 \"of\" ours".to_owned()),
        "PUBLIC_URL" => Some("https://apps.example.org".to_owned()),
        _ => None,
    }
}

fn said_of(path: &Path, here: &str) -> String {
    match Config::load(path, lookup) {
        Ok(config) => config.expanded().replace(here, "/srv"),
        Err(error) => format!("{error}\n"),
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
fn every_file_is_answered_as_before() {
    let here = std::path::absolute(".").unwrap().display().to_string();
    let mut changed = Vec::new();
    for path in files() {
        let said = said_of(&path, &here);
        assert!(!said.contains("hunter2"), "a secret is shown:\n{said}");
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &said).unwrap();
        }
        if fs::read_to_string(&golden).unwrap_or_default() != said {
            changed.push(format!("{}:\n{said}", path.display()));
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}

/// A file that ends anywhere, or lost any of its lines, is answered, whatever is left of it.
#[test]
fn no_broken_file_is_a_panic() {
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
fn a_file_that_is_not_there_is_one_sentence() {
    let error = Config::load(Path::new("no/such.toml"), lookup).unwrap_err().to_string();
    assert!(error.starts_with("cannot read the configuration no/such.toml: "), "{error}");
    assert_eq!(error.lines().count(), 1);
}

#[test]
fn the_schema_knows_every_section_and_describes_every_key() {
    let schema: serde_json::Value = serde_json::from_str(&appliance::config::schema()).unwrap();
    for section in ["server", "log", "oidc", "session", "access", "apps"] {
        assert!(schema["properties"][section]["description"].is_string(), "{section}");
    }
    for (name, definition) in schema["definitions"].as_object().unwrap() {
        for (key, value) in definition["properties"].as_object().into_iter().flatten() {
            assert!(value["description"].is_string(), "{name}.{key}");
        }
    }
}

#[test]
fn the_shipped_file_is_right() {
    let config = Config::load(Path::new("appliance.toml"), |_| None).unwrap();
    let names: Vec<&str> = config.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["keycloak", "app1", "app2"]);
    let issuer = config.oidc.unwrap().issuer;
    assert_eq!(issuer, "http://localhost:8080/auth/realms/appliance");
}

#[test]
fn a_file_that_is_no_text_is_told_where() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("appliance.toml");
    fs::write(&path, b"[server]\ntitle = \"caf\xe9\"\n").unwrap();
    let error = Config::load(&path, lookup).unwrap_err().to_string();
    assert!(error.contains("appliance.toml:2:13: error: this is no text in UTF-8"), "{error}");
}

/// Neither by what stands in the file nor by what a variable holds.
#[test]
fn no_error_commands_a_terminal() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("appliance.toml");
    let text = "[log]\nformat = \"\\u001b[2J\"\n[apps.a]\ncommand = [\"\u{9b}x\"]\nstop_signal = \"${X}\"\n";
    fs::write(&path, text).unwrap();
    let error = Config::load(&path, |_| Some("\x1b]0;x\x07".to_owned())).unwrap_err().to_string();
    assert!(error.contains("is no value of `format`") && error.contains("no signal"), "{error}");
    assert!(!error.contains(|c: char| c.is_control() && c != '\n'), "{error:?}");
}

/// As an image does it: by variables, whatever the tables look like.
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
        "setup.creates = \"/opt/appliance/venvs/sales/",
    ] {
        assert!(shown.contains(line), "{shown}");
    }
    assert!(said("").unwrap().contains("# user: that of the appliance"));
    let error = said("perapp").unwrap_err();
    assert!(error.contains("error: the variable APPLIANCE_USERS cannot be `perapp`"), "{error}");
    assert!(error.contains("help: set it to `per-app`, or leave it out"), "{error}");
}
