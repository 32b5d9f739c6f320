//! Which files are read: each once, and none is passed over without a word.

use std::path::{Path, PathBuf};

use super::golden::passes_the_check;

const NGINX: &str = "server { listen 80; server_name a.example;
  location /api/ { proxy_pass http://127.0.0.1:8000/; deny all; } }";
const PROGRAM: &str = "[program:api]\ncommand=uvicorn api:app --port 8000\n";
const BROKEN: &str = "server {\n  location /x/ { proxy_pass http://127.0.0.1:9000;\n";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// Imports the paths, which are below `folder`.
fn import(folder: &Path, paths: &[&str]) -> Result<(String, String), String> {
    let paths: Vec<PathBuf> = paths.iter().map(|path| folder.join(path)).collect();
    let imported = super::import(&paths, &|_| None)?;
    passes_the_check(&imported.text);
    Ok((imported.text, imported.missing.join("\n")))
}

#[test]
fn a_file_that_is_named_twice_is_read_once() {
    let folder = folder(&[("conf/supervisord.conf", PROGRAM), ("conf/nginx.conf", NGINX)]);
    std::os::unix::fs::symlink("supervisord.conf", folder.path().join("conf/link.conf")).unwrap();
    let once = import(folder.path(), &["conf/supervisord.conf", "conf/nginx.conf"]).unwrap().0;
    assert_eq!(once.matches("[apps.").count(), 1, "{once}");
    for paths in [
        &["conf/supervisord.conf", "conf/nginx.conf", "conf/nginx.conf"][..],
        &["conf/supervisord.conf", "conf/../conf/supervisord.conf", "conf/nginx.conf"],
        &["conf/supervisord.conf", "conf/link.conf", "conf/nginx.conf"],
        &["conf"],
        &["conf", "conf/nginx.conf", "conf"],
    ] {
        let text = import(folder.path(), paths).unwrap().0;
        assert_eq!(text.matches("[apps.").count(), 1, "{paths:?}: {text}");
    }
}

#[test]
fn a_named_file_that_cannot_be_read_ends_the_import() {
    let folder = folder(&[
        ("supervisord.conf", PROGRAM),
        ("nginx.conf", BROKEN),
        ("compose.yml", "services: [\n"),
    ]);
    for (name, why) in [
        ("nginx.conf", "nginx.conf: "),
        ("compose.yml", "compose.yml: "),
        ("missing.conf", "missing.conf: No such file"),
    ] {
        let error = import(folder.path(), &["supervisord.conf", name]).unwrap_err();
        assert!(error.contains(why), "{name}: {error}");
    }
}

#[test]
fn a_broken_file_of_a_folder_is_a_line_and_the_others_are_read() {
    let folder = folder(&[
        ("supervisord.conf", PROGRAM),
        ("nginx.conf", BROKEN),
        ("compose.yml", "services: [\n"),
    ]);
    let (text, lines) = import(folder.path(), &["."]).unwrap();
    assert!(text.contains("[apps.api]"), "{text}");
    for name in ["nginx.conf: not read: ", "compose.yml: not read: "] {
        assert!(lines.contains(name) && text.contains(name), "{name}: {lines}\n{text}");
    }
}

#[test]
fn a_broken_file_that_another_includes_is_a_line() {
    let folder = folder(&[
        ("nginx.conf", "http { include conf.d/*.conf; }"),
        ("conf.d/good.conf", NGINX),
        ("conf.d/bad.conf", BROKEN),
    ]);
    let (text, lines) = import(folder.path(), &["nginx.conf"]).unwrap();
    assert!(text.contains("path         = \"/api\""), "{text}");
    assert!(lines.contains("bad.conf: not read: "), "{lines}");
}

#[test]
fn a_named_file_of_another_kind_is_a_line() {
    let folder = folder(&[("supervisord.conf", PROGRAM), ("notes.txt", "buy milk\n")]);
    let lines = import(folder.path(), &["supervisord.conf", "notes.txt"]).unwrap().1;
    assert!(lines.contains("notes.txt: not recognised as"), "{lines}");
    let error = import(folder.path(), &["notes.txt"]).unwrap_err();
    assert!(error.contains("nothing to import") && error.contains("not recognised"), "{error}");
}
