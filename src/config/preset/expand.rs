//! Finds the preset of an app and fills in its parameters.

use super::context::{PresetContext, own_path};
use super::keycloak;
use super::layer::{Layer, Value};
use super::realm::Realm;
use super::streamlit;
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
    let (mut layer, span) = match (&table.streamlit, &table.keycloak, realm) {
        (Some(at), _, _) => (streamlit::layer(at, table, name, preset_context, problems), &at.span),
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
    fn every_preset_is_valid_toml() {
        for text in [streamlit::TEXT, keycloak::TEXT] {
            DeTable::parse(text).unwrap();
        }
    }
}
