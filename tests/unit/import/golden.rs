//! Golden files: the folders in `tests/import` are imported. The result is in `NAME.toml` beside each,
//! and the lines for stderr are in `NAME.txt`.
//!
//! `UPDATE_GOLDEN=1 cargo test --lib import` writes the files again; read the difference before you
//! commit it.

use std::path::{Path, PathBuf};

use crate::config::Config;

/// The environment variables during the tests.
fn lookup(name: &str) -> Option<String> {
    (name == "HOME").then(|| "/root".to_owned())
}

fn folders() -> Vec<PathBuf> {
    let entries = std::fs::read_dir("tests/import").unwrap().flatten();
    let mut folders: Vec<_> = entries.map(|e| e.path()).filter(|path| path.is_dir()).collect();
    folders.sort();
    folders
}

/// The file is what it was, has no secret of the sources, and passes the check.
#[test]
fn every_folder_becomes_the_expected_file() {
    let here = format!("{}/", std::path::absolute("tests").unwrap().display());
    let mut changed = Vec::new();
    for folder in folders() {
        let imported = super::import(std::slice::from_ref(&folder), &lookup).unwrap();
        let missing = imported.missing.join("\n") + "\n";
        for text in [&imported.text, &missing] {
            assert!(!text.contains("hunter2"), "a secret is shown:\n{text}");
        }
        passes_the_check(&imported.text);
        for (end, text) in [("toml", &imported.text), ("txt", &missing)] {
            let golden = folder.with_extension(end);
            let text = text.replace(&here, "/srv/tests/");
            if std::env::var_os("UPDATE_GOLDEN").is_some() {
                std::fs::write(&golden, &text).unwrap();
            }
            if std::fs::read_to_string(&golden).unwrap_or_default() != text {
                changed.push(format!("{}:\n{text}", golden.display()));
            }
        }
    }
    assert!(changed.is_empty(), "{}", changed.join("\n"));
}

pub(super) fn passes_the_check(text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("appliance.toml");
    std::fs::write(&path, text).unwrap();
    if let Err(error) = Config::load(&path, lookup) {
        panic!("{error}\n{text}");
    }
}

/// The example of docs/import.md.
#[test]
fn the_example_of_the_page_is_true() {
    let page = std::fs::read_to_string("docs/import.md").unwrap();
    let block = |language: &str| {
        let (_, rest) = page.split_once(&format!("```{language}\n")).unwrap();
        rest.split_once("```").unwrap().0.to_owned()
    };
    let folder = tempfile::tempdir().unwrap();
    let files = [("supervisord.conf", "ini"), ("nginx.conf", "nginx")];
    let paths = files.map(|(name, language)| {
        let path = folder.path().join(name);
        std::fs::write(&path, block(language)).unwrap();
        path
    });
    let imported = super::import(&paths, &lookup).unwrap();
    passes_the_check(&imported.text);
    let here = format!("{}/", folder.path().display());
    let text = imported.text.replace(&here, "");
    // Comments are wrapped by the length of the path, so only their words count.
    let words = |text: &str| {
        let lines = text.lines().map(|line| line.trim_start_matches('#'));
        lines.flat_map(str::split_whitespace).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(words(&text), words(&block("toml")), "{text}");
}

#[test]
fn nothing_known_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let other = folder.path().join("other.conf");
    std::fs::write(&other, "[Unit]\nDescription=x\n").unwrap();
    for path in [folder.path(), &other] {
        let error = super::import(&[path.to_owned()], &lookup).unwrap_err();
        assert!(error.starts_with("nothing to import in "), "{error}");
    }
    let gone = Path::new("/nowhere/at/all").to_owned();
    assert!(super::import(&[gone], &lookup).unwrap_err().contains("No such file"));
}

/// A file that is cut off anywhere, or that lost any one line, causes no panic.
#[test]
fn a_broken_file_causes_no_panic() {
    let files = |folder: &PathBuf| std::fs::read_dir(folder).unwrap().flatten().collect::<Vec<_>>();
    for file in folders().iter().flat_map(files).filter(|file| file.path().is_file()) {
        let text = std::fs::read_to_string(file.path()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let broken = folder.path().join(file.file_name());
        let import = |text: &str| {
            std::fs::write(&broken, text).unwrap();
            let _ = super::import(std::slice::from_ref(&broken), &lookup);
        };
        for (at, _) in text.char_indices().filter(|(at, _)| at % 7 == 0) {
            import(&text[..at]);
        }
        let lines: Vec<&str> = text.lines().collect();
        for gone in 0..lines.len() {
            import(&[&lines[..gone], &lines[gone + 1..]].concat().join("\n"));
        }
    }
}
