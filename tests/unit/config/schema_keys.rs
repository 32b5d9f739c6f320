//! For tests: the keys of the configuration.

use serde_json::Value;

/// The sections of a schema with their keys.
pub(crate) fn schema_keys(schema: &str) -> Vec<(String, String)> {
    fn resolved<'s>(root: &'s Value, schema: &'s Value) -> &'s Value {
        if let Some(reference) = schema["$ref"].as_str() {
            return resolved(root, root.pointer(reference.trim_start_matches('#')).unwrap());
        }
        match schema["allOf"].get(0).or_else(|| schema["anyOf"].get(0)) {
            Some(one) => resolved(root, one),
            None => schema,
        }
    }
    let root: Value = serde_json::from_str(schema).unwrap();
    let mut found = Vec::new();
    for (section, table) in root["properties"].as_object().unwrap() {
        let mut table = resolved(&root, table);
        if let Some(patterns) = table["patternProperties"].as_object() {
            table = resolved(&root, patterns.values().next().unwrap());
        }
        let keys = table["properties"].as_object().into_iter().flatten();
        found.extend(keys.map(|(key, _)| (section.clone(), key.clone())));
    }
    found
}
