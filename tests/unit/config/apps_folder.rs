use std::fs::{create_dir, write};

use super::*;

fn no_variables(_: &str) -> Option<String> {
    None
}

/// A folder with these files; a name that ends in `/` is a folder.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        match name.strip_suffix('/') {
            Some(name) => create_dir(folder.path().join(name)).unwrap(),
            None => write(folder.path().join(name), text).unwrap(),
        }
    }
    folder
}

fn read_all(files: &[(&str, &str)]) -> AppsFolder {
    read(folder(files).path(), &BTreeMap::new(), &no_variables).unwrap()
}

#[test]
fn the_imports_of_a_script_decide() {
    for (script, kind) in [
        ("import streamlit as st", "streamlit"),
        ("import os, streamlit", "streamlit"),
        ("try:\n    import gradio as gr\nexcept ImportError:\n    raise", "gradio"),
        ("from dash import Dash\napp = Dash()\nserver = app.server", "dash"),
        ("import flask, dash\nserver = dash.Dash().server", "dash"),
        ("import panel", "panel"),
        ("import marimo\napp = marimo.App()", "marimo"),
        ("from shiny import App", "shiny"),
        ("from nicegui import ui", "nicegui"),
        ("from fastapi import FastAPI\napp = FastAPI()", "fastapi"),
        (
            "import gradio, fastapi\napp = fastapi.FastAPI()\ngradio.mount_gradio_app(app, x)",
            "fastapi",
        ),
        ("from flask import Flask\napp: Flask = Flask(__name__)", "flask"),
    ] {
        let folder = read_all(&[("a.py", script)]);
        let kinds: Vec<_> = folder.found.iter().map(|app| app.kind).collect();
        assert_eq!(kinds, [kind], "{script}: {:?}", folder.left_out);
    }
}

#[test]
fn what_is_no_app_is_named_with_the_reason() {
    for (script, reason) in [
        ("import pandas", "imports none of streamlit"),
        ("\"\"\"\nimport streamlit\n\"\"\"", "imports none of streamlit"),
        ("from .streamlit import x", "imports none of streamlit"),
        ("import streamlit_extras", "imports none of streamlit"),
        ("import dash\napp = dash.Dash()", "`server = app.server`"),
        ("from flask import Blueprint", "makes no application of its own"),
    ] {
        let folder = read_all(&[("a.py", script)]);
        assert!(folder.found.is_empty(), "{script}");
        assert!(folder.left_out[0].why.contains(reason), "{script}: {}", folder.left_out[0].why);
    }
    let st = "import streamlit";
    let hidden = [("_a.py", st), (".b.py", st), ("c.txt", st), ("pages/", ""), ("pages/d.py", st)];
    let folder = read_all(&hidden);
    assert_eq!((folder.found.len(), folder.left_out.len()), (0, 0));
}

#[test]
fn folders_are_apps_too() {
    let folder = read_all(&[
        ("shop/", ""),
        ("shop/manage.py", ""),
        ("shop/app.py", "import streamlit"),
        ("site/", ""),
        ("site/index.html", ""),
        ("board/", ""),
        ("board/app.py", "import os"),
        ("board/board.py", "import panel"),
        ("report/", ""),
        ("report/a.ipynb", ""),
        ("many/", ""),
        ("many/a.ipynb", ""),
        ("many/b.ipynb", ""),
        ("empty/", ""),
        ("venv1/", ""),
        ("venv1/pyvenv.cfg", ""),
        ("venv1/app.py", "import streamlit"),
    ]);
    let found: Vec<_> = folder.found.iter().map(|app| (app.name.as_str(), app.kind)).collect();
    let wanted = [("board", "panel"), ("report", "voila"), ("shop", "django"), ("site", "static")];
    assert_eq!(found, wanted);
    let left_out: Vec<_> = folder.left_out.iter().map(|one| one.file.as_str()).collect();
    assert_eq!(left_out, ["empty", "many"]);
}

#[test]
fn names_follow_from_files() {
    for (file, name) in [
        ("sales.py", "sales"),
        ("Sales report_2.py", "sales-report-2"),
        ("2024.py", "app-2024"),
        ("Ünder.ipynb", "nder"),
        ("keycloak.py", "keycloak-app"),
        ("auth.py", "auth-app"),
        ("state.py", "state-app"),
        ("oauth2.py", "oauth2-app"),
    ] {
        assert_eq!(name_of(file, &no_variables), name, "{file}");
        assert!(crate::config::AppName::new(name).is_some(), "{name}");
    }
    let issuer = |name: &str| (name == "OIDC_ISSUER").then(|| "https://id.example.org".to_owned());
    assert_eq!(name_of("auth.py", &issuer), "auth");
    let st = "import streamlit";
    let twins = read_all(&[("a-b.py", st), ("a_b.py", st)]);
    assert_eq!(twins.found.len(), 1);
    assert_eq!(twins.left_out[0].file, "a_b.py");
    assert!(twins.left_out[0].why.contains("like that of a-b.py"), "{}", twins.left_out[0].why);
}

#[test]
fn packages_are_taken_from_the_best_source() {
    let script = "import streamlit, pandas, own, pandsa, sklearn\n";
    let inline =
        format!("# /// script\n# dependencies = [\n#   \"polars==1.2\",\n# ]\n# ///\n{script}");
    let packages = |files: &[(&str, &str)]| {
        let text = read_all(files).text();
        let list = text.split_once("packages = [").and_then(|(_, rest)| rest.split_once(']'));
        list.map_or_else(String::new, |(list, _)| list.to_owned())
    };
    assert_eq!(packages(&[("a.py", script)]), r#""pandas", "scikit-learn""#);
    assert_eq!(packages(&[("a.py", script), ("pandas.py", "")]), r#""scikit-learn""#);
    assert_eq!(packages(&[("a.py", &inline)]), r#""polars==1.2""#);
    assert_eq!(packages(&[("a.py", &inline), ("requirements.txt", "")]), "");
}

#[test]
fn the_file_that_stands_for_a_folder_has_no_errors() {
    let folder = folder(&[
        ("a$b'\".py", "import streamlit, numpy"),
        ("api.py", "import fastapi\nservice = fastapi.FastAPI()"),
        ("plot/", ""),
        ("plot/app.py", "import panel"),
        ("site/", ""),
        ("site/index.html", ""),
        ("shop/", ""),
        ("shop/manage.py", "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'shop.settings')"),
    ]);
    for variables in
        [&[][..], &[("OIDC_ISSUER", "https://id.example.org"), ("OIDC_CLIENT_ID", "x")]]
    {
        let lookup = |name: &str| {
            variables.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned())
        };
        let config = crate::config::Config::load(folder.path(), lookup);
        let config = config.unwrap_or_else(|error| panic!("{error}"));
        let names: Vec<_> = config.apps.iter().map(|app| app.name.as_str()).collect();
        let apps = ["a-b", "api", "plot", "shop", "site"];
        let issuer = variables.is_empty().then_some("keycloak");
        assert_eq!(names, issuer.into_iter().chain(apps).collect::<Vec<_>>());
        let command = |name: &str| config.app(name).unwrap().run.clone().unwrap().command.join(" ");
        assert!(command("a-b").contains("/a$b'\".py"), "{}", command("a-b"));
        assert!(command("api").contains("api:service"), "{}", command("api"));
        let cwd = &config.app("plot").unwrap().run.as_ref().unwrap().cwd;
        assert_eq!(*cwd, folder.path().join("plot"));
    }
}

#[test]
fn an_app_that_is_not_valid_is_left_out() {
    let folder = folder(&[
        ("a b.py", "import flask\napp = flask.Flask('x')"),
        ("c.py", "import flask\napp = flask.Flask('x')"),
        ("shop/", ""),
        ("shop/manage.py", "print()"),
    ]);
    let config = crate::config::Config::load(folder.path(), no_variables);
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let names: Vec<_> = config.apps.iter().map(|app| app.name.as_str()).collect();
    assert_eq!(names, ["keycloak", "c"]);
    let apps = config.apps_folder.unwrap();
    let reasons = [("a b.py", "cannot import `a b`"), ("shop", "does not name the settings")];
    assert_eq!(apps.left_out.len(), reasons.len(), "{apps:?}");
    for (one, (file, reason)) in apps.left_out.iter().zip(reasons) {
        assert_eq!(one.file, file);
        assert!(one.why.contains(reason), "{}", one.why);
    }
}

#[test]
fn a_wrong_variable_is_an_error_of_the_whole() {
    let folder = folder(&[("c.py", "import streamlit")]);
    let url = |name: &str| (name == "PUBLIC_URL").then(|| "no address".to_owned());
    let error = crate::config::Config::load(folder.path(), url).unwrap_err().to_string();
    assert!(error.contains("public_url"), "{error}");
}

#[test]
fn people_of_other_machines_are_no_operators() {
    let folder = folder(&[]);
    for (url, listen, all) in [
        (None, None, true),
        (Some("http://apps.localhost:9000"), Some("127.0.0.1:9000"), true),
        (Some("http://[::1]:8080"), Some("[::1]:8080"), true),
        (Some("https://apps.example.org"), Some("127.0.0.1:8080"), false),
        (Some("http://localhost:8080"), Some("0.0.0.0:8080"), false),
        (None, Some("[::]:8080"), false),
        (None, Some("unix:/run/appliance.sock"), false),
    ] {
        let lookup = |name: &str| {
            let value = if name == "PUBLIC_URL" { url } else { listen };
            value.filter(|_| ["PUBLIC_URL", "APPLIANCE_LISTEN"].contains(&name)).map(str::to_owned)
        };
        let text = read(folder.path(), &BTreeMap::new(), &lookup).unwrap().text();
        assert_eq!(text.contains("operators = \"signed-in\""), all, "{url:?} {listen:?}");
    }
}
