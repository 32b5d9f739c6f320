//! `admin_console = { groups = [..] }` of the keycloak preset: the console of the realm for signed-in members
//! of some groups.

use crate::config::file::{FlagOr, KeycloakPreset};
use crate::config::report::problem::Problems;

/// Everything of the administration.
const CONSOLES: &str = "/admin/**";

/// The groups whose members reach the console of the realm.
pub(super) fn admin_groups(at: &KeycloakPreset) -> &[String] {
    match at.admin_console.as_ref().map(|at| &at.value) {
        Some(FlagOr::Table(table)) => &table.groups,
        _ => &[],
    }
}

/// The paths that need a session with one of these groups, below the app's path.
pub(super) fn guarded(at: &KeycloakPreset) -> Vec<(&'static str, Vec<String>)> {
    let groups = admin_groups(at);
    if groups.is_empty() { Vec::new() } else { vec![(CONSOLES, groups.to_vec())] }
}

/// What the console of the realm consists of: its page, and the admin REST API of the realm.
pub(super) fn paths(realm: &str) -> [String; 3] {
    [format!("/admin/{realm}/"), format!("/admin/realms/{realm}"), "/admin/serverinfo".to_owned()]
}

/// Refuses a console that opens to nobody.
pub(super) fn check(at: &KeycloakPreset, problems: &mut Problems<'_>) {
    if let Some(console) = &at.admin_console
        && let FlagOr::Table(table) = &console.value
        && table.groups.iter().all(|group| group.trim().is_empty())
    {
        let help = "write for example `admin_console = { groups = [\"administrators\"] }`";
        problems.error_with_help(&console.span, "`admin_console` names no group", help);
    }
}
