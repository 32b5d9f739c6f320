//! The placeholders in an app's table: their values, and an error for a word that is none of them.

use std::path::{Path, PathBuf};

use crate::config::check::context::{Check, Outline};
use crate::config::file::{self, Span, TextOr};
use crate::config::grammar::placeholder;
use crate::config::model::{AppName, BrowserView, PublicUrl, Route, Run};
use crate::config::preset::places::Places;
use crate::config::report::suggest;

/// Placeholders whose values the check knows.
const KNOWN: [&str; 5] = ["path", "prefix", "public_url", "public_host", "name"];
/// Placeholders of an app with a process. The ports are chosen at the start.
const OF_PROCESS: [&str; 3] = ["port", "free_port", "data"];

/// The values of the placeholders of an app, except for its ports.
#[derive(Debug)]
pub(in crate::config::check) struct Values {
    path: String,
    public_url: String,
    public_host: String,
    name: String,
    data: String,
}

impl Values {
    /// `browser` is `None` for an app that browsers do not reach.
    pub(in crate::config::check) fn new(
        name: &AppName,
        route: Option<&Route>,
        browser: Option<&BrowserView>,
        public_url: &PublicUrl,
        data: &Path,
    ) -> Self {
        Self {
            path: route.map_or("/", |route| &route.path).to_owned(),
            public_url: public_url.to_string(),
            public_host: browser
                .map_or_else(|| public_url.authority(), |browser| browser.host.clone()),
            name: name.to_string(),
            data: data.display().to_string(),
        }
    }

    pub(in crate::config::check) fn words(&self) -> [(&'static str, &str); 6] {
        [
            ("path", &self.path),
            ("prefix", self.path.trim_end_matches('/')),
            ("public_url", &self.public_url),
            ("public_host", &self.public_host),
            ("name", &self.name),
            ("data", &self.data),
        ]
    }
}

impl Check<'_, '_> {
    /// Refuses unknown placeholders. Whether the app uses `{data}`.
    pub(in crate::config::check) fn placeholders(&mut self, table: &file::App) -> bool {
        let runs = table.command.is_some();
        let known: Vec<&str> =
            KNOWN.into_iter().chain(OF_PROCESS.into_iter().filter(|_| runs)).collect();
        let mut uses_data = false;
        for (text, span) in texts(table) {
            for word in placeholder::words(text) {
                uses_data |= word == "data";
                if known.contains(&word) {
                    continue;
                }
                let near = suggest::nearest(word, known.iter().copied());
                let known_words = near.map_or_else(
                    || {
                        let all: Vec<String> =
                            known.iter().map(|word| format!("`{{{word}}}`")).collect();
                        format!("the placeholders are {}.", all.join(", "))
                    },
                    |near| format!("did you mean `{{{near}}}`?"),
                );
                self.problems.error_with_help(
                    &span,
                    format!("`{{{word}}}` is not a placeholder here"),
                    format!("{known_words} For the text `{{{word}}}`, write `{{{{{word}}}}}`"),
                );
            }
        }
        uses_data
    }
}

/// The app's own folder, for `{data}`.
pub(in crate::config::check) fn data_folder(
    outline: &Outline<'_>,
    table: &file::App,
    places: &Places<'_>,
) -> PathBuf {
    let (name, owner) = (&outline.name, places.owner(&outline.name, table));
    match outline.keycloak {
        Some(_) => places.keycloak_data(name, owner.as_deref()),
        None => places.own_data(name, owner.as_deref()),
    }
}

/// Lets the appliance create the folder before the app is started, if the app uses it.
pub(in crate::config::check) fn keep_data(run: &mut Run, is_used: bool, data: &Path) {
    if is_used {
        run.folders.data.get_or_insert_with(|| data.to_owned());
    }
}

/// The texts in which placeholders are replaced.
fn texts(table: &file::App) -> Vec<(&str, Span)> {
    let mut found: Vec<(&str, Span)> = Vec::new();
    if let Some(at) = &table.command {
        found.extend(at.iter().map(|part| (part.as_str(), at.span.clone())));
    }
    for at in table.env.iter().flat_map(|env| env.values()) {
        if let TextOr::Text(text) = &at.value {
            found.push((text, at.span.clone()));
        }
    }
    for probe in table.ready.iter().chain(&table.live) {
        found.extend(probe.http.iter().map(|at| (at.as_str(), at.span.clone())));
        if let Some(at) = &probe.exec {
            found.extend(at.iter().map(|part| (part.as_str(), at.span.clone())));
        }
    }
    found
}
