//! The users that apps run as, and the folders that belong to them.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::config::check::context::{Check, Outline};
use crate::config::check::process::placeholders::data_folder;
use crate::config::file::{self, At, NameOrNumber};
use crate::config::grammar;
use crate::config::model::{App, AppName, EnvValue, Folders, Run, Users};
use crate::config::ownership::account::OwnUser;
use crate::config::ownership::user_number::user_number;
use crate::config::preset::places::Places;
use crate::config::read::interpolate::Lookup;

/// Has the effect of `[server] users`, for an image.
const VARIABLE: &str = "APPLIANCE_USERS";
const PER_APP: &str = "per-app";

impl Check<'_, '_> {
    /// `PerApp` if the setting or the variable says so.
    pub(in crate::config::check) fn users(
        &mut self,
        file: Option<file::Users>,
        lookup: Lookup<'_>,
    ) -> Users {
        let variable = lookup(VARIABLE).filter(|value| !value.is_empty());
        match (file, variable.as_deref()) {
            (Some(file::Users::PerApp), None) | (_, Some(PER_APP)) => Users::PerApp,
            (None, None) => Users::Same,
            (_, Some(other)) => {
                self.problems.error_elsewhere(format!(
                    "the variable {VARIABLE} cannot be `{other}`; set it to `{PER_APP}`, or leave it out"
                ));
                Users::Same
            }
        }
    }

    pub(super) fn account(&mut self, at: Option<&At<NameOrNumber>>) -> Option<String> {
        let at = at.map(|at| At::new(at.value.to_string(), at.span.clone()));
        self.parse_some(at.as_ref(), account)
    }

    /// Adds the app's own user and the folders of its user.
    pub(in crate::config::check) fn give_user(
        &mut self,
        run: &mut Run,
        outline: &Outline<'_>,
        table: &file::App,
        places: &Places<'_>,
    ) {
        let name = &outline.name;
        let data = outline.keycloak.as_ref().and_then(|_| keycloak_data(run));
        let Some(owner) = places.owner(name, table) else {
            run.folders.data = data;
            let own = data_folder(outline, table, places);
            run.folders.spare_home = Some(places.spare_home(name, own));
            return;
        };
        if run.user.is_none() {
            let home = data.clone().unwrap_or_else(|| places.data(name));
            let number = user_number(name.as_str());
            run.own_user = Some(OwnUser { number, name: name.to_string(), home });
            // As with `user`: a user of its own is to stay that user.
            run.no_new_privs = table.no_new_privs.unwrap_or(true);
        }
        let home = run.own_user.as_ref().map(|own| own.home.clone());
        let environment = environment(run, &places.with_environments(Some(&owner)));
        run.folders = Folders {
            data: data.or(home),
            environment,
            installed: Some(places.installed(Some(&owner))),
            downloads: Some(places.downloads(&owner)),
            spare_home: Some(places.data(name)),
        };
        let state = places.state_dir;
        let data = run.folders.data.as_ref();
        if let Some(data) = data.filter(|data| data.starts_with(state) || state.starts_with(data)) {
            self.problems.error_with_help(
                &outline.span,
                format!("the data folder of `{name}` would be {}, in the state folder, which only the appliance may enter", data.display()),
                "call the app something else, or set APPLIANCE_DATA to another folder",
            );
        }
    }

    /// Refuses two apps whose numbers are the same by accident.
    pub(in crate::config::check) fn own_users(&mut self, apps: &[App], outlines: &[Outline<'_>]) {
        let mut taken: HashMap<u32, &AppName> = HashMap::new();
        for outline in outlines.iter().filter(|outline| outline.enabled) {
            let app = apps.iter().find(|app| app.name == outline.name);
            let Some(run) = app.and_then(|app| app.run.as_ref()) else { continue };
            let own = run.own_user.as_ref().map(|own| own.number);
            let written = || run.user.as_ref()?.parse().ok();
            let Some(number) = own.or_else(written) else { continue };
            let first = taken.entry(number).or_insert(&outline.name);
            let both_written = own.is_none() && !has_own(apps, first);
            if **first != outline.name && !both_written {
                let (name, first) = (&outline.name, first.clone());
                self.problems.error_with_help(
                    &outline.span,
                    format!("`{name}` and `{first}` would run as the same user, {number}: the number follows from the name, and these two names give the same"),
                    format!("set `user` and `group` of `{name}` to another number, as `{}`", number.wrapping_add(1)),
                );
            }
        }
    }
}

fn has_own(apps: &[App], name: &AppName) -> bool {
    let app = apps.iter().find(|app| app.name == *name);
    app.and_then(|app| app.run.as_ref()).is_some_and(|run| run.own_user.is_some())
}

/// The data folder that the preset, or the app's own table, gives to Keycloak.
fn keycloak_data(run: &Run) -> Option<PathBuf> {
    run.env.iter().find_map(|(name, value)| match value {
        EnvValue::Plain(path) if name == "KEYCLOAK_DATA" => Some(run.cwd.join(path)),
        _ => None,
    })
}

/// The environment in one of these folders that a step of the setup makes.
fn environment(run: &Run, folders: &[PathBuf]) -> Option<PathBuf> {
    let is_in =
        |path: &&Path| path.parent().is_some_and(|parent| folders.iter().any(|f| f == parent));
    let made = run.setup.iter().flat_map(|step| step.creates.ancestors());
    made.into_iter().find(is_in).map(Path::to_owned)
}

fn account(text: &str) -> grammar::Parsed<String> {
    let odd = |c: char| matches!(c, '\0' | ':' | '/') || c.is_whitespace();
    let no_user = text.parse() == Ok(u32::MAX);
    if text.is_empty() || text.starts_with(['.', '-']) || text.contains(odd) || no_user {
        return Err(format!(
            "`{text}` is not the name of a user or group; write a name or a number"
        ));
    }
    Ok(text.to_owned())
}
