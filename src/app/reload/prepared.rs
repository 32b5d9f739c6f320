//! Reads and checks the configuration of a reload. Changes nothing.

use crate::app::refused::Refused;
use crate::app::sources::Sources;
use crate::app::{homes, open_tls_to_apps, state_guard, token_address};
use crate::config::{AppName, Config, Missing, Plan, Problem};
use crate::tls::to_apps;
use crate::tokens;

/// A configuration that can follow the running one.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) config: Config,
    pub(super) plan: Plan,
    pub(super) warnings: Vec<Problem>,
    /// What the plan is made from.
    pub(super) sources: Sources,
    /// The new server that gives access tokens to apps; `None` if one runs already or no app asks for them.
    pub(super) tokens: Option<tokens::Server>,
}

/// Reads the file, decides what would change, and finds what would prevent it.
/// `bound`: the port where apps get access tokens. `ending`: removed apps whose processes still end.
pub(super) fn prepare(
    running: &Config,
    sources: &Sources,
    bound: Option<u16>,
    ending: &[AppName],
) -> Result<Prepared, Refused> {
    refuse_moved_secrets()?;
    let variable = |name: &str| std::env::var(name).ok();
    let (mut config, held) =
        Config::load_after(&running.path, variable, running).map_err(Refused::configuration)?;
    let written = config.clone();
    homes::choose(&mut config);
    let tokens = token_address::offer(&mut config, bound).map_err(Refused::internal)?;
    config.assign_ports_after(Some(running)).map_err(Refused::internal)?;
    let mut plan = Plan::between(running, &config);
    // In a folder, an app that cannot start must not keep the others from their changes.
    let is_folder = config.apps_folder.is_some();
    let begun = if is_folder { Vec::new() } else { [plan.restarted(), plan.started()].concat() };
    let (errors, warnings): (Vec<_>, Vec<_>) =
        written.preflight_after(running, &begun, ending).into_iter().partition(Problem::is_error);
    if !errors.is_empty() {
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        return Err(Refused::configuration(texts.join("\n\n")));
    }
    let after = sources.read(&config, Missing::LeaveOut)?;
    // Again, because an app may have moved them meanwhile.
    refuse_moved_secrets()?;
    for (app, names) in sources.changed_variables(&after) {
        plan.restart_for(&app, names);
    }
    for (section, key) in sources.changed_settings(&after) {
        plan.update_for(section, key);
    }
    open_tls_to_apps(&config, Some(running))?;
    config.continue_from(running);
    for (app, keys) in to_apps::changed(running, &config) {
        plan.update_app_for(&app, &keys);
    }
    plan.needs_new_start(held);
    Ok(Prepared { config, plan, warnings, sources: after, tokens })
}

/// Without root, an app may have put files of its own into the place of secrets.
pub(super) fn refuse_moved_secrets() -> Result<(), Refused> {
    state_guard::check_place().map_err(|error| {
        Refused::configuration(format!("the secrets of the appliance are not read again: {error}"))
    })
}
