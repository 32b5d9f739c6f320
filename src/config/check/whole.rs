//! A whole file, in the order in which its parts need each other.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::app::Around;
use super::context::Check;
use crate::config::file;
use crate::config::model::{App, AppName, Config};
use crate::config::preset::frame::Frame;
use crate::config::preset::places::Places;
use crate::config::read::decode::{self, Lost};
use crate::config::read::interpolate::{self, Lookup};
use crate::config::report::problem::Problems;

/// Checks a whole file.
pub(crate) fn check(
    path: &Path,
    dir: &Path,
    lookup: Lookup<'_>,
    problems: &mut Problems<'_>,
) -> Option<Config> {
    let mut document = decode::parse(problems)?;
    interpolate::expand_table(&mut document, lookup, problems);
    let mut lost = Lost::default();
    let file: file::File = decode::decode(&mut document, problems, &mut lost)?;
    let mut check = Check { problems, lost, dir };

    let operators = file.server.as_ref().and_then(|server| server.operators.as_ref());
    let operators = operators.map(|at| at.span.clone());
    let server = check.server(file.server.unwrap_or_default(), lookup);
    let log = check.log(&file.log.unwrap_or_default());
    let session = check.session(&file.session.unwrap_or_default());
    let default_access = check.default_access(&file.access.unwrap_or_default());
    let tables = file.apps.map(|apps| apps.0).unwrap_or_default();
    let places = Places {
        users: server.users,
        state_dir: &server.state_dir,
        data: check.given_dir("APPLIANCE_DATA", lookup),
        cache: check.given_dir("CACHE_DIRECTORY", lookup),
        keycloak_data: check.given_dir("KEYCLOAK_DATA", lookup),
    };
    let frame = Frame {
        dir,
        places: &places,
        public_url: &server.public_url,
        log_format: log.format,
        oidc: file.oidc.as_deref(),
    };
    let outlines = check.outlines(&tables, &frame);
    let oidc = file.oidc.as_ref().map(|oidc| check.oidc(oidc, &outlines));
    let around = Around { default_access: &default_access, frame: &frame };
    let mut apps: Vec<App> = outlines
        .iter()
        .filter_map(|outline| check.app(outline, written(&document, &outline.name), &around))
        .collect();
    check.routes(&apps, &outlines, &server.public_url);
    check.ports(&outlines, &server.listen);
    check.own_users(&apps, &outlines);
    check.order(&outlines);
    check.issuer_is_open(&apps, &outlines, oidc.as_ref());
    if file.oidc.is_none() && !check.lost.has("oidc") {
        check.nobody_must_sign_in(&apps, &outlines, operators);
    }
    if !check.problems.is_empty() {
        return None;
    }
    apps.retain(|app| outlines.iter().any(|outline| outline.enabled && outline.name == app.name));
    let secrets = problems.secrets().to_vec();
    let (path, dir) = (path.to_owned(), dir.to_owned());
    Some(Config { path, dir, server, log, oidc, session, apps, secrets })
}

/// Only where the state is kept, whatever else is wrong.
pub(crate) fn state_dir(
    dir: &Path,
    lookup: Lookup<'_>,
    problems: &mut Problems<'_>,
) -> Option<PathBuf> {
    let mut document = DeTable::parse_recoverable(problems.text()).0.into_inner();
    interpolate::expand_table(&mut document, lookup, problems);
    let mut lost = Lost::default();
    let file: file::File = decode::decode(&mut document, problems, &mut lost)?;
    let written = file.server.and_then(|server| server.state_dir);
    Some(Check { problems, lost, dir }.state_dir(written.as_ref(), lookup))
}

/// The document's own table of an app, for presets to be laid under it.
fn written<'d, 's>(document: &'d DeTable<'s>, name: &AppName) -> Option<&'d DeTable<'s>> {
    let DeValue::Table(apps) = document.get("apps")?.get_ref() else { return None };
    let DeValue::Table(app) = apps.get(name.as_str())?.get_ref() else { return None };
    Some(app)
}
