//! Finds the preset of an app and fills in its parameters.

use super::context::{PresetContext, own_path};
use super::keycloak;
use super::layer::{Layer, Value};
use super::python::{self, KINDS};
use super::realm::Realm;
use crate::config::file::{self, Span};
use crate::config::model::AppName;
use crate::config::report::problem::Problems;

/// The preset of an app and the place of its key; `None` if the app has no preset.
pub(crate) fn expand(
    table: &file::App,
    realm: Option<&Realm>,
    name: &AppName,
    preset_context: &PresetContext<'_>,
    problems: &mut Problems<'_>,
) -> Option<(Layer, Span)> {
    let python = table.python_presets().into_iter().find_map(|(key, at)| {
        let kind = KINDS.iter().find(|kind| kind.key == key)?;
        Some((kind, at?))
    });
    let (mut layer, span) = match (python, &table.keycloak, realm) {
        (Some((kind, at)), _, _) => {
            (python::layer(kind, at, (name, table), preset_context, problems), &at.span)
        }
        (None, Some(at), Some(realm)) => {
            (keycloak::layer(at, (realm, name), table, preset_context, problems), &at.span)
        }
        _ => return None,
    };
    let own = own_path(table);
    layer.parameters.extend([
        ("name", Value::Text(name.to_string())),
        ("state_dir", Value::Text(preset_context.places.state_dir.display().to_string())),
        ("prefix", Value::Text(if table.strip_prefix == Some(true) { String::new() } else { own })),
    ]);
    Some((layer, span.clone()))
}

#[cfg(test)]
mod tests {
    use toml::de::DeTable;

    use super::*;

    #[test]
    fn every_key_has_a_preset() {
        let table = file::App::default();
        let keys: Vec<_> = table.python_presets().into_iter().map(|(key, _)| key).collect();
        let presets: Vec<_> = KINDS.iter().map(|kind| kind.key).collect();
        assert_eq!(keys, presets);
    }

    #[test]
    fn every_preset_is_valid_toml() {
        DeTable::parse(keycloak::TEXT).unwrap();
        for kind in &KINDS {
            DeTable::parse(&[kind.text, python::SETUP].concat()).unwrap();
        }
    }
}
