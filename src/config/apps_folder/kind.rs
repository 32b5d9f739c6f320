//! Guesses the kind of an app from the imports of its script, or from the files of its folder.

use std::collections::BTreeSet;
use std::path::Path;

use super::entries::{MOST_ENTRIES, has_end, is_plain};
use super::python::{has_variable, imports, inline_packages, made_by};
use super::{Details, packages, script};

/// The frameworks by the module that their scripts import. The first that is imported decides: a script
/// may import what its framework is built on.
const FRAMEWORKS: [(&str, &str); 9] = [
    ("streamlit", "streamlit"),
    ("nicegui", "nicegui"),
    ("gradio", "gradio"),
    ("dash", "dash"),
    ("panel", "panel"),
    ("marimo", "marimo"),
    ("shiny", "shiny"),
    ("fastapi", "fastapi"),
    ("flask", "flask"),
];

/// Scripts that start the app of a folder, by their usual names.
const USUAL_SCRIPTS: [&str; 8] = [
    "app.py",
    "main.py",
    "streamlit_app.py",
    "Home.py",
    "home.py",
    "dashboard.py",
    "server.py",
    "index.py",
];

/// The kind of an app.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Guess {
    pub(super) kind: &'static str,
    pub(super) why: String,
    pub(super) details: Details,
}

/// A guess; an error is why the file is no app, or nothing if there is nothing to say about it.
type Guessed = Result<Guess, Option<String>>;

/// The kind of a script or a notebook.
pub(super) fn of_script(folder: &Path, file: &str) -> Guessed {
    if has_end(file, &["ipynb"]) {
        let details = Details { target: file.to_owned(), ..Details::default() };
        return Ok(Guess { kind: "voila", why: format!("{file} is a notebook"), details });
    }
    let text = script(folder, file).map_err(|error| Some(format!("it cannot be read: {error}")))?;
    let modules = imports(&text);
    let Some((module, kind)) = framework(&text, &modules) else {
        let known: Vec<_> = FRAMEWORKS.iter().map(|(module, _)| *module).collect();
        return Err(Some(format!("it imports none of {}", known.join(", "))));
    };
    let object = object(&text, kind)?;
    let beside = |name: &str| folder.join(file).with_file_name(name).exists();
    let own = |module: &str| beside(&format!("{module}.py"));
    let packages = match inline_packages(&text) {
        _ if beside("requirements.txt") => Vec::new(),
        Some(packages) => packages,
        None => packages::of_modules(&modules.into_iter().filter(|module| !own(module)).collect()),
    };
    let details = Details { target: file.to_owned(), object, packages, cwd: None };
    Ok(Guess { kind, why: format!("{file} imports {module}"), details })
}

fn framework(text: &str, modules: &BTreeSet<String>) -> Option<(&'static str, &'static str)> {
    // Both can be parts of a program that FastAPI serves.
    let is_part = ["mount_gradio_app", "ui.run_with"].iter().any(|call| text.contains(call));
    let imported = |(module, _): &&(&str, &str)| {
        modules.contains(*module) && !(is_part && ["gradio", "nicegui"].contains(module))
    };
    FRAMEWORKS.iter().find(imported).copied()
}

/// The object that is served, if it has not the usual name.
fn object(text: &str, kind: &str) -> Result<Option<String>, Option<String>> {
    let (usual, calls): (_, &[&str]) = match kind {
        "fastapi" => ("app", &["FastAPI(", "fastapi.FastAPI(", "gr.mount_gradio_app("]),
        "flask" => ("app", &["Flask(", "flask.Flask("]),
        "dash" if has_variable(text, "server") => return Ok(None),
        "dash" => {
            return Err(Some(
                "a script of Dash needs the line `server = app.server`; add it".to_owned(),
            ));
        }
        _ => return Ok(None),
    };
    match made_by(text, calls) {
        Some(name) if name == usual => Ok(None),
        Some(name) => Ok(Some(name.to_owned())),
        None => Err(Some(format!(
            "it makes no application of its own; a script of {kind} has a line such as `{usual} = {}…)`",
            calls.first().copied().unwrap_or_default()
        ))),
    }
}

/// The kind of a folder.
pub(super) fn of_folder(folder: &Path, file: &str) -> Guessed {
    let inside = folder.join(file);
    let names = names(&inside).map_err(|error| Some(format!("it cannot be read: {error}")))?;
    let has = |name: &str| names.iter().any(|one| one == name);
    let of_whole = |kind, name: &str| {
        let details = Details { target: file.to_owned(), ..Details::default() };
        Ok(Guess { kind, why: format!("{file} has a {name}"), details })
    };
    if has("manage.py") {
        return of_whole("django", "manage.py");
    }
    let own = format!("{file}.py");
    let usual = USUAL_SCRIPTS.iter().copied().chain([own.as_str()]).filter(|name| has(name));
    let scripts: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| has_end(name, &["py"])).collect();
    let only = if scripts.len() == 1 { scripts } else { Vec::new() };
    let mut why_not = None;
    for name in usual.chain(only) {
        match of_script(&inside, name) {
            Ok(guess) => return Ok(within(guess, file)),
            Err(why) => why_not = why_not.or(why.map(|why| format!("{name}: {why}"))),
        }
    }
    if has("index.html") {
        return of_whole("static", "index.html");
    }
    let notebooks: Vec<_> = names.iter().filter(|name| has_end(name, &["ipynb"])).collect();
    match notebooks.as_slice() {
        [one] => of_script(&inside, one).map(|guess| within(guess, file)),
        [] => Err(Some(why_not.unwrap_or_else(|| {
            "it has neither a script such as app.py, nor manage.py, nor index.html".to_owned()
        }))),
        _ => Err(Some(
            "it has several notebooks; put each beside the folder, or write a file with `jupyter`"
                .to_owned(),
        )),
    }
}

/// The app of a script in a folder, which it runs in.
fn within(guess: Guess, folder: &str) -> Guess {
    let Guess { kind, why, details } = guess;
    let target = format!("{folder}/{}", details.target);
    let cwd = Some(folder.to_owned());
    Guess { kind, why: format!("{folder}/{why}"), details: Details { target, cwd, ..details } }
}

/// The names of the files in a folder.
fn names(folder: &Path) -> std::io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in folder.read_dir()?.take(MOST_ENTRIES) {
        let entry = entry?;
        if let Ok(name) = entry.file_name().into_string()
            && !entry.file_type()?.is_dir()
            && is_plain(&name)
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}
