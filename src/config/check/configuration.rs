//! Checks a whole file, section by section, in the order of their dependencies.

use std::path::{Path, PathBuf};

use toml::de::{DeTable, DeValue};

use super::app::AppContext;
use super::context::Check;
use crate::config::change::held::Held;
use crate::config::file;
use crate::config::grammar;
use crate::config::model::{App, AppName, Config, PublicUrl, Server};
use crate::config::preset::context::PresetContext;
use crate::config::preset::places::Places;
use crate::config::read::decode::{self, CutOut};
use crate::config::read::interpolate::{self, Lookup};
use crate::config::report::problem::Problems;

/// Checks a whole file. Values of `held` win over those of the file.
pub(crate) fn check(
    path: &Path,
    dir: &Path,
    lookup: Lookup<'_>,
    builds_image: bool,
    held: Option<&Held<'_>>,
    problems: &mut Problems<'_>,
) -> Option<Config> {
    let mut cut_out = CutOut::default();
    let (document, file) = read(lookup, held, problems, &mut cut_out)?;
    let mut check = Check { problems, cut_out, dir };

    let operators = file.server.as_ref().and_then(|server| server.operators.as_ref());
    let operators = operators.map(|at| at.span.clone());
    let server = check.server(file.server.unwrap_or_default(), lookup);
    let log = check.log(&file.log.unwrap_or_default());
    let alerts = file.alerts.as_ref().and_then(|at| check.alerts(at));
    let session_table = file.session.unwrap_or_default();
    let session = check.session(&session_table, &server.public_url);
    let default_access = check.default_access(&file.access.unwrap_or_default());
    let tables = file.apps.map(|apps| apps.0).unwrap_or_default();
    let routed = routed(&tables, &server.public_url);
    let places = check.places(&server, lookup, builds_image);
    let preset_context = PresetContext {
        dir,
        places: &places,
        public_url: &server.public_url,
        listen: &server.listen,
        speaks_tls: server.tls.is_some(),
        title: server.title.as_deref(),
        log_format: log.format,
        oidc: file.oidc.as_deref(),
        routed: &routed,
    };
    let outlines = check.outlines(&tables, &preset_context);
    let oidc = file.oidc.as_ref().map(|oidc| check.oidc(oidc, &outlines));
    let context = AppContext { default_access: &default_access, preset_context: &preset_context };
    let mut apps: Vec<App> = outlines
        .iter()
        .filter_map(|outline| check.app(outline, written(&document, &outline.name), &context))
        .collect();
    let keys = session_table.keys.as_ref();
    check.reserved_names(file.oidc.as_deref(), keys, &outlines, &server.state_dir);
    check.routes(&apps, &outlines, &server.public_url);
    check.embedded(&apps, &outlines, &server.public_url, oidc.as_ref());
    check.ports(&outlines, &server);
    check.own_users(&apps, &outlines);
    check.order(&outlines);
    check.issuer_is_open(&apps, &outlines, oidc.as_ref());
    if file.oidc.is_none() && !check.cut_out.has("oidc") {
        check.no_login_without_oidc(&apps, &outlines, operators);
    }
    apps.retain(|app| outlines.iter().any(|outline| outline.enabled && outline.name == app.name));
    let secrets = check.problems.secrets().to_vec();
    let (path, dir, digest) = (path.to_owned(), dir.to_owned(), [0; 32]);
    let apps_folder = None;
    let config = Config {
        path,
        apps_folder,
        dir,
        server,
        log,
        oidc,
        session,
        alerts,
        apps,
        secrets,
        digest,
    };
    check.no_private_files(&config, &outlines);
    check.problems.is_empty().then_some(config)
}

/// Reads the document, and the structs of [`file`] from it.
fn read<'s>(
    lookup: Lookup<'_>,
    held: Option<&Held<'_>>,
    problems: &mut Problems<'s>,
    cut_out: &mut CutOut,
) -> Option<(DeTable<'s>, file::File)> {
    let mut document = decode::parse(problems)?;
    interpolate::expand_table(&mut document, lookup, problems);
    let mut file: file::File = decode::decode(&mut document, problems, cut_out)?;
    if let Some(held) = held {
        held.replace_in(&mut file);
    }
    Some((document, file))
}

impl Check<'_, '_> {
    fn places<'p>(&self, server: &'p Server, lookup: Lookup<'_>, builds_image: bool) -> Places<'p> {
        Places {
            users: server.users,
            state_dir: &server.state_dir,
            data: self.given_dir("APPLIANCE_DATA", lookup),
            cache: self.given_dir("CACHE_DIRECTORY", lookup),
            builds_image,
            keycloak_data: self.given_dir("KEYCLOAK_DATA", lookup),
        }
    }
}

/// The state directory alone, whatever else is wrong in the file.
pub(crate) fn state_dir(
    dir: &Path,
    lookup: Lookup<'_>,
    problems: &mut Problems<'_>,
) -> Option<PathBuf> {
    let mut document = DeTable::parse_recoverable(problems.text()).0.into_inner();
    interpolate::expand_table(&mut document, lookup, problems);
    let mut cut_out = CutOut::default();
    let file: file::File = decode::decode(&mut document, problems, &mut cut_out)?;
    let written = file.server.and_then(|server| server.state_dir);
    Some(Check { problems, cut_out, dir }.state_dir(written.as_ref(), lookup))
}

/// Name and host of each app that browsers reach. A host that is refused later is none.
fn routed<'t>(
    tables: &'t [(file::At<String>, file::App)],
    public: &PublicUrl,
) -> Vec<(&'t str, Option<String>)> {
    let reached = tables.iter().filter(|(_, app)| {
        app.enabled != Some(false) && (app.path.is_some() || app.host.is_some())
    });
    let host = |app: &file::App| match &app.host {
        Some(host) => grammar::host(host).ok(),
        None => Some(public.host.clone()),
    };
    reached.map(|(name, app)| (name.value.as_str(), host(app))).collect()
}

/// The app's own table in the document, under which its preset is laid.
fn written<'d, 's>(document: &'d DeTable<'s>, name: &AppName) -> Option<&'d DeTable<'s>> {
    let DeValue::Table(apps) = document.get("apps")?.get_ref() else { return None };
    let DeValue::Table(app) = apps.get(name.as_str())?.get_ref() else { return None };
    Some(app)
}
