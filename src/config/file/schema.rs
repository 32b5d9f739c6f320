//! The JSON schema: derived from the structs, with the schemas of the shapes.

use std::borrow::Cow;

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::document::File;
use super::shape::{
    At, FlagOr, FlagOrText, NameOrNumber, Named, OneOrMany, OneOrManyNumbers, OneOrManyTables,
    Size, TableOrTables, TextOr, TextOrTables,
};

/// The JSON schema of `appliance.toml`, for editors. A key of type `Option` may be omitted, but its
/// value cannot be `null`, which TOML does not have.
pub fn schema() -> String {
    let schema = SchemaSettings::draft07()
        .with_transform(RecursiveTransform(without_null))
        .into_generator()
        .into_root_schema_for::<File>();
    format!("{:#}\n", schema.as_value())
}

fn without_null(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    if let Some(types) = object.get_mut("type")
        && let Some(list) = types.as_array_mut()
    {
        list.retain(|one| one != "null");
        if let [only] = list.as_slice() {
            *types = only.clone();
        }
    }
    let Some(any) = object.get_mut("anyOf").and_then(|any| any.as_array_mut()) else { return };
    any.retain(|one| one.get("type").is_none_or(|kind| kind != "null"));
    if let [only] = any.as_slice() {
        let only = only.as_object().cloned().unwrap_or_default();
        object.remove("anyOf");
        for (key, value) in only {
            object.entry(key).or_insert(value);
        }
    }
}

impl<T: JsonSchema> JsonSchema for At<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        generator.subschema_for::<T>()
    }
}

impl<T: JsonSchema> JsonSchema for TextOr<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let other = generator.subschema_for::<T>();
        schemars::json_schema!({ "anyOf": [{ "type": "string" }, other] })
    }
}

impl<T: JsonSchema> JsonSchema for FlagOr<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<T>();
        schemars::json_schema!({ "anyOf": [{ "type": "boolean" }, table] })
    }
}

impl<T: JsonSchema> JsonSchema for OneOrManyTables<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<T>();
        schemars::json_schema!({ "anyOf": [table.clone(), { "type": "array", "items": table }] })
    }
}

impl<T: JsonSchema> JsonSchema for TableOrTables<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<T>();
        let list = serde_json::json!({ "type": "array", "items": table, "minItems": 1 });
        schemars::json_schema!({ "anyOf": [table, list] })
    }
}

impl<T: JsonSchema> JsonSchema for TextOrTables<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<T>();
        let list = serde_json::json!({ "type": "array", "items": table, "minItems": 1 });
        schemars::json_schema!({ "anyOf": [{ "type": "string" }, table, list] })
    }
}

impl<T: JsonSchema> JsonSchema for Named<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let table = generator.subschema_for::<T>();
        schemars::json_schema!({
            "type": "object",
            "patternProperties": { "^[a-z][a-z0-9-]*$": table },
            "additionalProperties": false
        })
    }
}

/// The schemas of the shapes that contain no other definition.
macro_rules! schemas {
    ($($shape:ident: $alternatives:tt)*) => {$(
        impl JsonSchema for $shape {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($shape).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                schemars::json_schema!({ "anyOf": $alternatives })
            }
        }
    )*};
}

schemas! {
    FlagOrText: [{ "type": "boolean" }, { "type": "string" }]
    OneOrMany: [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }]
    OneOrManyNumbers: [{ "type": "integer" }, { "type": "array", "items": { "type": "integer" } }]
    Size: [{ "type": "integer", "minimum": 0 }, { "type": "string" }]
    NameOrNumber: [{ "type": "string" }, { "type": "integer", "minimum": 0 }]
}
