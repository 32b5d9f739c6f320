//! `appliance init` and `appliance add`.

use std::fs::{create_dir, read_to_string, write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_appliance"))
        .args(arguments)
        .current_dir(folder)
        .env_remove("PUBLIC_URL")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The exit code, and both outputs.
fn outcome(output: &Output) -> (Option<i32>, String) {
    let texts = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    (output.status.code(), texts.concat())
}

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    create_dir(folder.path().join("apps")).unwrap();
    write(folder.path().join("apps/sales.py"), "import streamlit\n").unwrap();
    write(folder.path().join("apps/helper.py"), "import os\n").unwrap();
    folder
}

#[test]
fn a_new_file_and_a_second_app() {
    let folder = folder();
    let file = folder.path().join("appliance.toml");
    let options = ["init", "--title", "Ours", "--address", "http://localhost:9000", "--sign-in"];
    let options = [&options[..], &["https://id.example.org", "--app", "apps/sales.py"]].concat();
    let (code, text) = outcome(&run(folder.path(), &options));
    assert_eq!(code, Some(0), "{text}");
    let written = read_to_string(&file).unwrap();
    assert!(written.contains("streamlit = \"apps/sales.py\""), "{written}");

    write(&file, format!("# kept\n{written}# also kept")).unwrap();
    let more = ["add", "http://10.0.0.7:3000", "--name", "wiki", "--group", "staff"];
    let (code, text) = outcome(&run(folder.path(), &more));
    assert_eq!(code, Some(0), "{text}");
    let added = read_to_string(&file).unwrap();
    assert!(
        added.starts_with(&format!("# kept\n{written}# also kept\n\n[apps.wiki]\n")),
        "{added}"
    );
    let (code, text) = outcome(&run(folder.path(), &["check", "--expanded"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("title = \"Ours\"") && text.contains("groups = [\"staff\"]"), "{text}");
}

#[test]
fn nothing_is_written_that_has_errors() {
    let folder = folder();
    let file = folder.path().join("appliance.toml");
    let (code, text) = outcome(&run(folder.path(), &["init", "--address", "no address"]));
    assert_eq!(code, Some(78), "{text}");
    assert!(!file.exists());

    assert_eq!(outcome(&run(folder.path(), &["init"])).0, Some(0));
    let before = read_to_string(&file).unwrap();
    for (arguments, code, reason) in [
        (&["init"][..], 2, "exists already"),
        (&["add", "apps/helper.py"], 2, "imports none of"),
        (&["add", "apps/none.py"], 2, "there is no apps/none.py"),
        (&["add", "apps/sales.py", "--name", "keycloak"], 2, "exists already"),
        (&["add", "apps/sales.py", "--path", "/auth"], 78, "nothing was written"),
    ] {
        let outcome = outcome(&run(folder.path(), arguments));
        assert_eq!(outcome.0, Some(code), "{arguments:?}: {}", outcome.1);
        assert!(outcome.1.contains(reason), "{arguments:?}: {}", outcome.1);
    }
    assert_eq!(read_to_string(&file).unwrap(), before);
}

#[test]
fn a_folder_becomes_a_file() {
    let folder = folder();
    // No valid app: it must not keep the others out of the file.
    let no_module = "import flask\napp = flask.Flask(__name__)\n";
    write(folder.path().join("apps/no module.py"), no_module).unwrap();
    let (code, text) = outcome(&run(folder.path(), &["init", "apps"]));
    assert_eq!(code, Some(0), "{text}");
    let written = read_to_string(folder.path().join("apps/appliance.toml")).unwrap();
    assert!(written.contains("[apps.sales]") && !written.contains("helper"), "{written}");
    assert!(!written.contains("no module"), "{written}");
    // From now on, the file decides.
    let (code, text) = outcome(&run(folder.path(), &["check", "apps"]));
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("apps/appliance.toml: 2 apps"), "{text}");
}
