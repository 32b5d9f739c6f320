//! The reference follows the code: `appliance.schema.json` and `docs/settings.md` are what the
//! descriptions of the settings make of them.
//!
//! `UPDATE_GOLDEN=1 cargo test --test reference` writes them anew.

#![expect(clippy::unwrap_used, reason = "what is unexpected ends the test")]

use std::fmt::Write;
use std::fs;

use serde_json::Value;

const HEAD: &str = "# Which settings are there?\n\n\
    All of `appliance.toml`. Everything has a default unless it says *required*. Durations are `\"10s\"`, `\"5m\"`, `\"1h\"`; sizes `\"64KiB\"`, `\"200MB\"`.\n\
    `${X}` and `${X:-default}` in a value are our environment's; `$${` is a literal `${`. Relative paths start at the file's folder.\n\
    A secret is `{ env = \"X\" }`, `{ file = \"/run/secrets/x\" }` or `{ generate = \"name\" }` (made once, kept in `state_dir`).\n";

fn same(file: &str, wanted: &str) {
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(file, wanted).unwrap();
    }
    let found = fs::read_to_string(file).unwrap_or_default();
    assert!(found == wanted, "{file} is not current: UPDATE_GOLDEN=1 cargo test --test reference");
}

#[test]
fn the_schema_is_current() {
    same("appliance.schema.json", &appliance::config::schema());
}

#[test]
fn the_settings_page_is_current() {
    let schema: Value = serde_json::from_str(&appliance::config::schema()).unwrap();
    let mut page = HEAD.to_owned();
    for section in ["server", "log", "oidc", "session", "access"] {
        let at = &schema["properties"][section];
        table(&mut page, &format!("`[{section}]`"), &at["description"], resolve(&schema, at));
    }
    let app = &schema["definitions"]["App"];
    table(&mut page, "`[apps.NAME]`", &app["description"], app);
    let inner = ["Constraints", "Rule", "Probe", "After", "Backoff", "Identity", "Limits", "Setup"];
    for name in inner.into_iter().chain(["StreamlitPreset", "KeycloakPreset"]) {
        let part = &schema["definitions"][name];
        table(&mut page, &title(name), &part["description"], part);
    }
    same("docs/settings.md", &page);
}

fn title(name: &str) -> String {
    match name {
        "Constraints" => "`access`, `deny`, `operators`".into(),
        "Rule" => "`rules`".into(),
        "Probe" => "`ready`, `live`".into(),
        "StreamlitPreset" => "`streamlit`".into(),
        "KeycloakPreset" => "`keycloak`".into(),
        other => format!("`{}`", other.to_ascii_lowercase()),
    }
}

fn resolve<'a>(schema: &'a Value, at: &'a Value) -> &'a Value {
    let Some(reference) = at["$ref"].as_str() else { return at };
    &schema["definitions"][reference.rsplit('/').next().unwrap_or_default()]
}

fn table(page: &mut String, title: &str, description: &Value, part: &Value) {
    let text = |value: &Value| value.as_str().unwrap_or_default().replace('\n', " ");
    write!(page, "\n## {title}\n\n{}\n\n| key | meaning |\n|---|---|\n", text(description))
        .unwrap();
    for (key, at) in part["properties"].as_object().into_iter().flatten() {
        let meaning = text(&at["description"]).replace('|', "\\|");
        writeln!(page, "| `{key}` | {meaning} |").unwrap();
    }
}
