//! The frameworks that have a preset.

use super::header_flags::HeaderFlags;
use super::target::Target;

/// A framework. What was measured of each: docs/kinds.md.
#[derive(Debug)]
pub(in crate::config::preset) struct Kind {
    /// Key in the app's table.
    pub(in crate::config::preset) key: &'static str,
    /// The keys of the app that the preset sets.
    pub(in crate::config::preset) text: &'static str,
    /// What the key names.
    pub(super) target: Target,
    /// The packages that are installed if no requirements file names them. The first is the framework.
    pub(super) packages: &'static [&'static str],
    /// How the program learns which request headers name the person.
    pub(super) headers: HeaderFlags,
}

const GUNICORN: &str = "gunicorn==27.0.1";

/// All of them, in the order of docs/kinds.md.
pub(in crate::config::preset) const KINDS: [Kind; 14] = [
    Kind {
        key: "streamlit",
        text: include_str!("../data/python/streamlit.toml"),
        target: Target::Script,
        packages: &["streamlit==1.67.0"],
        headers: HeaderFlags::Streamlit,
    },
    Kind {
        key: "gradio",
        text: include_str!("../data/python/gradio.toml"),
        target: Target::Script,
        packages: &["gradio==6.31.0"],
        headers: HeaderFlags::None,
    },
    Kind {
        key: "dash",
        text: include_str!("../data/python/dash.toml"),
        target: Target::Object("server"),
        packages: &["dash==4.4.1", GUNICORN],
        headers: HeaderFlags::None,
    },
    Kind {
        key: "panel",
        text: include_str!("../data/python/panel.toml"),
        target: Target::Script,
        packages: &["panel==1.9.4"],
        headers: HeaderFlags::Panel,
    },
    Kind {
        key: "marimo",
        text: include_str!("../data/python/marimo.toml"),
        target: Target::Script,
        packages: &["marimo==0.25.2"],
        headers: HeaderFlags::None,
    },
    Kind {
        key: "jupyter",
        text: include_str!("../data/python/jupyter.toml"),
        target: Target::Folder,
        packages: &["jupyterlab==4.6.6"],
        headers: HeaderFlags::None,
    },
    Kind {
        key: "voila",
        text: include_str!("../data/python/voila.toml"),
        target: Target::Notebook,
        packages: &["voila==0.5.13", "ipykernel"],
        headers: HeaderFlags::Voila,
    },
    Kind {
        key: "shiny",
        text: include_str!("../data/python/shiny.toml"),
        target: Target::Script,
        packages: &["shiny==1.8.0"],
        headers: HeaderFlags::None,
    },
    Kind {
        key: "fastapi",
        text: include_str!("../data/python/fastapi.toml"),
        target: Target::Object("app"),
        packages: &["fastapi==0.165.0", "uvicorn[standard]==0.54.0"],
        headers: HeaderFlags::None,
    },
    Kind {
        key: "flask",
        text: include_str!("../data/python/flask.toml"),
        target: Target::Object("app"),
        packages: &["flask==3.1.3", GUNICORN],
        headers: HeaderFlags::None,
    },
    Kind {
        key: "django",
        text: include_str!("../data/python/django.toml"),
        target: Target::Project,
        packages: &["django==5.2.19", GUNICORN],
        headers: HeaderFlags::None,
    },
    Kind {
        key: "nicegui",
        text: include_str!("../data/python/nicegui.toml"),
        target: Target::Script,
        packages: &["nicegui==3.18.0"],
        headers: HeaderFlags::None,
    },
    Kind {
        key: "mlflow",
        text: include_str!("../data/python/mlflow.toml"),
        target: Target::OwnFolder,
        packages: &["mlflow==3.17.2"],
        headers: HeaderFlags::None,
    },
    Kind {
        key: "tensorboard",
        text: include_str!("../data/python/tensorboard.toml"),
        target: Target::Folder,
        packages: &["tensorboard==2.21.0"],
        headers: HeaderFlags::None,
    },
];
