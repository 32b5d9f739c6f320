//! `static`: the folder, and what cannot stand beside it.

use toml::de::DeTable;

use super::context::{Check, Outline};
use crate::config::file::{self, At, StaticPreset, TextOr};
use crate::config::grammar::Parsed;
use crate::config::model::{Config, StaticFiles};

/// Keys of a program that answers requests. Those of a process are in the list of the caller.
const PROGRAM: [&str; 9] = [
    "upstream",
    "ready",
    "strip_prefix",
    "trailing_slash",
    "raw_path",
    "identity",
    "hold",
    "timeout",
    "max_body",
];

impl Check<'_, '_> {
    /// The files of an app; `None` without a folder.
    pub(super) fn static_files(
        &mut self,
        table: &file::App,
        outline: &Outline<'_>,
    ) -> Option<StaticFiles> {
        let at = table.static_files.as_ref()?;
        let files = match &at.value {
            TextOr::Text(folder) => StaticPreset {
                folder: Some(At::new(folder.clone(), at.span.clone())),
                ..StaticPreset::default()
            },
            TextOr::Other(files) => files.clone(),
        };
        if table.path.is_none() && table.host.is_none() {
            self.problems.error_with_help(
                &outline.span,
                format!("nobody can reach the files of `{}`", outline.name),
                "set `path` or `host`",
            );
        }
        let index = self.parse(files.index.as_ref(), "index.html".to_owned(), file_name);
        let Some(folder) = &files.folder else {
            let table = format!("apps.{}.static", outline.name);
            if !self.cut_out.any(&table, &["folder"]) {
                self.problems.error_with_help(
                    &at.span,
                    "static needs a `folder`",
                    "write for example `static = \"site\"`",
                );
            }
            return None;
        };
        let folder = self.path(folder);
        Some(StaticFiles { folder, index, spa: files.spa.unwrap_or(false) })
    }

    /// Refuses keys that would do nothing: there is no program.
    pub(super) fn refuse_program_keys(
        &mut self,
        outline: &Outline<'_>,
        written: &DeTable<'_>,
        process: &[&str],
    ) {
        if outline.table.static_files.is_none() {
            return;
        }
        let is_refused = |key: &str| PROGRAM.contains(&key) || process.contains(&key);
        for key in written.keys().filter(|key| is_refused(key.get_ref())) {
            let message = format!(
                "`{}` is for apps that are programs, but the appliance itself serves the files of `{}`",
                key.get_ref(),
                outline.name
            );
            self.problems.error_with_help(&key.span(), message, "remove the key");
        }
    }

    /// No folder may hold what only the appliance, or only one app, may read.
    pub(super) fn no_private_files(&mut self, config: &Config, outlines: &[Outline<'_>]) {
        let private = config.private_paths();
        for app in &config.apps {
            let files = app.route.as_ref().and_then(|route| route.files.as_ref());
            let found = files.and_then(|files| files.exposes(&private));
            let outline = outlines.iter().find(|outline| outline.name == app.name);
            let (Some(found), Some(outline)) = (found, outline) else { continue };
            let place =
                outline.table.static_files.as_ref().map_or(&outline.span, |at| match &at.value {
                    TextOr::Other(StaticPreset { folder: Some(folder), .. }) => &folder.span,
                    _ => &at.span,
                });
            self.problems.error_with_help(
                place,
                format!(
                    "the files of `{}` would include {}, which nobody may read",
                    app.name,
                    found.display()
                ),
                "serve a folder that contains only the files of the site",
            );
        }
    }
}

fn file_name(text: &str) -> Parsed<String> {
    if text.is_empty() || text.starts_with('.') || text.contains(['/', '\0']) {
        return Err(format!(
            "`{text}` is not the name of a file in each folder; write for example `index.html`"
        ));
    }
    Ok(text.to_owned())
}
