//! The placeholders in an app's table: their values, and an error for a word that is none of them.

use std::path::PathBuf;

use crate::config::check::context::{Check, Outline};
use crate::config::file::{self, Span, TextOr};
use crate::config::grammar::placeholder;
use crate::config::model::Run;
use crate::config::preset::places::Places;
use crate::config::report::suggest;

/// Placeholders whose values the check knows.
const KNOWN: [&str; 5] = ["path", "prefix", "public_url", "public_host", "name"];
/// Placeholders of an app with a process. The ports are chosen at the start.
const OF_PROCESS: [&str; 3] = ["port", "free_port", "data"];

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

/// Lets the appliance create the folder before the app is started.
pub(in crate::config::check) fn keep_data(run: &mut Run, data: PathBuf) {
    run.folders.data.get_or_insert(data);
}

/// The texts in which placeholders are replaced.
fn texts(table: &file::App) -> Vec<(&str, Span)> {
    let mut found: Vec<(&str, Span)> = Vec::new();
    for at in table.command.iter() {
        found.extend(at.iter().map(|part| (part.as_str(), at.span.clone())));
    }
    for at in table.env.iter().flat_map(|env| env.values()) {
        if let TextOr::Text(text) = &at.value {
            found.push((text, at.span.clone()));
        }
    }
    for probe in table.ready.iter().chain(&table.live) {
        found.extend(probe.http.iter().map(|at| (at.as_str(), at.span.clone())));
        for at in probe.exec.iter() {
            found.extend(at.iter().map(|part| (part.as_str(), at.span.clone())));
        }
    }
    found
}
