//! The tables of apps: from programs, and from routes to what runs elsewhere.

use super::attach::Attached;
use crate::import::command::{Kind, Streamlit};
use crate::import::draft::{App, Table};
use crate::import::program::{Names, Program};
use crate::import::route::{Access, Route};
use crate::import::secret::Secrets;
use crate::import::value::Value;

/// What holds for every app.
pub(super) struct Common<'c> {
    /// Settings of each routed app that has no own.
    pub(super) routed: &'c Table,
    /// `[access] default`
    pub(super) access: Option<&'c Value>,
    /// Variables that the container of the programs has.
    pub(super) variables: &'c [String],
}

/// Variables that every process has.
const GIVEN: [&str; 6] = ["PATH", "HOME", "LANG", "TZ", "USER", "PORT"];

/// Those that Keycloak reads.
const KEYCLOAK: [&str; 5] = [
    "JAVA_HOME",
    "KEYCLOAK_ADMIN",
    "KEYCLOAK_ADMIN_PASSWORD",
    "KC_BOOTSTRAP_ADMIN_USERNAME",
    "KC_BOOTSTRAP_ADMIN_PASSWORD",
];

/// An app that runs the command of a program.
pub(super) fn of_program(
    mut program: Program,
    route: Option<Route>,
    common: &Common<'_>,
    secrets: &mut Secrets<'_>,
) -> App {
    let mut table = std::mem::take(&mut program.table);
    let (name, place) = (program.name.as_str(), program.place.as_str());
    for key in ["cwd", "user"] {
        if let Some(Value::Text(text)) = table.get(key) {
            let text = secrets.literal(text);
            table.set(key, text);
        }
    }
    let path = route.as_ref().map(|route| route.path.clone());
    if let Some(route) = route {
        let port = route.targets.first().and_then(|target| target.port);
        add_route(&mut table, &route, common);
        if let Some(port) = port.filter(|_| table.get("replicas").is_none()) {
            table.set("port", i64::from(port));
        }
    }
    match (&program.kind, path) {
        (Kind::Streamlit(run), Some(path)) if serves(run, &path) => {
            let args = secrets.arguments(&run.args, name, place, &mut table);
            streamlit(&mut table, run, args, place);
        }
        _ => {
            let command = secrets.arguments(&program.argv, name, place, &mut table);
            table.set("command", command);
        }
    }
    let mut env = Vec::new();
    for (key, text) in &program.env {
        env.push((key.clone(), secrets.env_value((key, text), name, place, &mut table)));
    }
    let passed = passed(&program, common.variables);
    if !passed.is_empty() {
        table.set("pass_env", Value::list(passed));
    }
    if !env.is_empty() {
        table.set("env", Value::Table(env));
    }
    App { name: program.name, table }
}

/// An app that runs elsewhere.
pub(super) fn of_route(attached: Attached, common: &Common<'_>, names: &mut Names) -> App {
    let route = attached.route;
    let last = route.path.rsplit('/').find(|part| !part.is_empty());
    let host = route.targets.first().map(|target| target.host.as_str());
    let host = host.filter(|host| host.starts_with(|c: char| c.is_ascii_alphabetic()));
    let host =
        host.map(|host| host.split('.').next().unwrap_or(host)).filter(|h| *h != "localhost");
    let own = route.host.as_deref().map(|host| host.split('.').next().unwrap_or(host));
    let name = names.take(last.or(own).or(host).unwrap_or("main"));
    let mut table = Table::default();
    let urls: Vec<Value> =
        route.targets.iter().map(|target| Value::from(target.url.as_str())).collect();
    table.set(
        "upstream",
        match urls.as_slice() {
            [one] => one.clone(),
            _ => Value::List(urls),
        },
    );
    add_route(&mut table, &route, common);
    App { name, table }
}

fn add_route(table: &mut Table, route: &Route, common: &Common<'_>) {
    table.hint(format!("the route is from {}", route.place));
    table.remarks.extend(route.table.remarks.iter().cloned());
    if let Some(host) = &route.host {
        table.set("host", host.as_str());
    }
    table.set("path", route.path.as_str());
    for (key, value) in route.table.in_order().into_iter().chain(common.routed.in_order()) {
        table.set_default(key, value.clone());
    }
    // The app has `[access] default` without a key of its own.
    if route.access != Access::Default || common.access.is_none() {
        table.set("access", route.access.written(common.access));
    }
    let rules = route.rules.iter().filter_map(|rule| rule.for_app(&route.path, common.access));
    let mut rules: Vec<Value> = rules.collect();
    rules.dedup();
    if !rules.is_empty() {
        table.set("rules", Value::List(rules));
    }
}

/// Whether the preset would serve the path of the route as the command did.
fn serves(run: &Streamlit, path: &str) -> bool {
    let base = run.base.as_deref().unwrap_or_default().trim_matches('/');
    base.is_empty() || base == path.trim_matches('/')
}

fn streamlit(table: &mut Table, run: &Streamlit, args: Value, place: &str) {
    let script = match table.get("cwd") {
        Some(Value::Text(folder)) if !run.script.starts_with('/') => {
            format!("{}/{}", folder.trim_end_matches('/'), run.script)
        }
        _ => run.script.clone(),
    };
    // The preset tells Streamlit the path, so that nothing has to be removed.
    table.remove("strip_prefix");
    table.remove("port");
    if run.args.is_empty() {
        table.set("streamlit", script);
    } else {
        table.set("streamlit", Value::table([("script", script.into()), ("args", args)]));
    }
    let unprotected = if run.unprotected {
        " CORS and XSRF protection stay on: the proxy passes on `Host`."
    } else {
        ""
    };
    table.missing(
        place,
        format!("the `streamlit` preset makes a Python environment of its own: name the packages of the script in requirements.txt beside it.{unprotected}"),
    );
}

/// `pass_env`: what the program can have read from the environment of its container.
fn passed(program: &Program, variables: &[String]) -> Vec<String> {
    let is_keycloak = program.kind == Kind::Keycloak;
    let mut names: Vec<String> = Vec::new();
    if is_keycloak {
        names.extend(KEYCLOAK.map(str::to_owned));
    }
    let for_keycloak = |name: &str| name.starts_with("KC_") || name.starts_with("KEYCLOAK_");
    names.extend(variables.iter().filter(|name| is_keycloak || !for_keycloak(name)).cloned());
    let is_shell =
        program.argv.get(1).is_some_and(|flag| flag.starts_with('-') && flag.ends_with('c'));
    for word in program.argv.iter().skip(2).filter(|_| is_shell) {
        names.extend(variables_in(word));
    }
    let mut kept: Vec<String> = Vec::new();
    for name in names {
        let is_set = program.env.iter().any(|(known, _)| *known == name);
        if !is_set && !kept.contains(&name) && !GIVEN.contains(&name.as_str()) {
            kept.push(name);
        }
    }
    kept
}

/// The names in `$NAME` and `${NAME}` of a line for a shell.
fn variables_in(text: &str) -> impl Iterator<Item = String> {
    text.split('$').skip(1).filter_map(|rest| {
        let rest = rest.trim_start_matches('{');
        let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let name = &rest[..rest.find(|c| !is_part(c)).unwrap_or(rest.len())];
        name.starts_with(|c: char| c.is_ascii_uppercase() || c == '_').then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_of_a_shell_are_found() {
        let found: Vec<_> = variables_in("run $A ${B_2:-x} $lower $1 $$ $C/$A").collect();
        assert_eq!(found, ["A", "B_2", "C", "A"]);
    }
}
