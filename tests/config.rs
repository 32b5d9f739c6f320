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

#[test]
fn every_file_is_answered_as_before() {
    let mut files: Vec<PathBuf> = fs::read_dir("tests/config")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .collect();
    files.sort();
    assert!(!files.is_empty());
    let here = std::path::absolute(".").unwrap().display().to_string();
    let mut changed = Vec::new();
    for path in files {
        let said = said_of(&path, &here);
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
