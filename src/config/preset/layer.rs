//! A preset with its parameters, laid under the table of an app.

use std::borrow::Cow;
use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use crate::config::file::{SecretRef, Span};
use crate::config::grammar::placeholder::fill;
use crate::config::model::{Need, Shield};

/// Which paths of an app are reachable from outside: see [`crate::config::Route`].
#[derive(Debug, Default)]
pub(crate) struct Exposure {
    pub(crate) exposed: Vec<String>,
    pub(crate) hidden: Vec<String>,
    pub(crate) shield: Shield,
}

/// Value of a parameter.
#[derive(Debug)]
pub(super) enum Value {
    Text(String),
    List(Vec<String>),
    Secret(SecretRef),
    Nothing,
}

pub(super) type Parameters = BTreeMap<&'static str, Value>;

/// A preset with its parameters.
#[derive(Debug)]
pub(crate) struct Layer {
    /// Key of the preset in the app's table.
    pub(super) key: &'static str,
    /// TOML texts with the keys of an app.
    pub(super) texts: Vec<&'static str>,
    pub(super) parameters: Parameters,
    /// Parts of the app that need one of some groups, whatever the app's own table says: path patterns,
    /// and the groups.
    pub(super) guarded: Vec<(&'static str, Vec<String>)>,
    /// Files that the program needs.
    pub(crate) needs: Vec<Need>,
}

impl Layer {
    /// Lays the preset under the app's own table. The keys of the preset get the place of the
    /// preset's key.
    pub(crate) fn under<'s>(&self, written: &DeTable<'s>, span: &Span) -> (DeTable<'s>, Exposure) {
        let mut merged = written.clone();
        merged.remove(self.key);
        let mut exposure = Exposure::default();
        let keys = |text: &&'static str| DeTable::parse(text).map(Spanned::into_inner);
        for (key, value) in self.texts.iter().filter_map(|text| keys(text).ok()).flatten() {
            let Some(value) = self.fill(value.into_inner(), span) else { continue };
            match key.get_ref().as_ref() {
                "exposed" => exposure.exposed = texts(value.get_ref()),
                "hidden_paths" => exposure.hidden = texts(value.get_ref()),
                "pages" => exposure.shield.pages = texts(value.get_ref()),
                "open" => exposure.shield.open = texts(value.get_ref()),
                "programs" => exposure.shield.programs = texts(value.get_ref()),
                _ => lay(&mut merged, key.into_inner(), value, span),
            }
        }
        self.guard(&mut merged, span);
        (merged, exposure)
    }

    /// Puts the rules for guarded parts in front of those of the app: the first rule that matches counts.
    fn guard(&self, merged: &mut DeTable<'_>, span: &Span) {
        let spanned = |value| Spanned::new(span.clone(), value);
        let key = |name| Spanned::new(span.clone(), Cow::Borrowed(name));
        let mut rules = DeArray::new();
        for (path, groups) in &self.guarded {
            let mut names = DeArray::new();
            for group in groups {
                names.push(spanned(DeValue::String(Cow::Owned(group.clone()))));
            }
            let (mut access, mut rule) = (DeTable::new(), DeTable::new());
            access.insert(key("groups"), spanned(DeValue::Array(names)));
            rule.insert(key("path"), spanned(DeValue::String(Cow::Borrowed(*path))));
            rule.insert(key("access"), spanned(DeValue::Table(access)));
            rules.push(spanned(DeValue::Table(rule)));
        }
        if self.guarded.is_empty() {
            return;
        }
        if let Some(own) = merged.remove("rules")
            && let DeValue::Array(own) = own.into_inner()
        {
            own.into_iter().for_each(|rule| rules.push(rule));
        }
        merged.insert(key("rules"), spanned(DeValue::Array(rules)));
    }

    fn fill<'s>(&self, value: DeValue<'static>, span: &Span) -> Option<Spanned<DeValue<'s>>> {
        let filled = match value {
            DeValue::String(text) => self.fill_text(&text, span)?,
            DeValue::Array(items) => {
                let mut list = DeArray::new();
                for item in items {
                    let alone = item.get_ref().is_str();
                    match self.fill(item.into_inner(), span).map(Spanned::into_inner) {
                        Some(DeValue::Array(spliced)) if alone => {
                            spliced.into_iter().for_each(|item| list.push(item));
                        }
                        Some(item) => list.push(Spanned::new(span.clone(), item)),
                        None => {}
                    }
                }
                DeValue::Array(list)
            }
            DeValue::Table(table) => {
                let mut filled = DeTable::new();
                for (key, value) in table {
                    if let Some(value) = self.fill(value.into_inner(), span) {
                        filled.insert(Spanned::new(span.clone(), key.into_inner()), value);
                    }
                }
                DeValue::Table(filled)
            }
            other => other,
        };
        Some(Spanned::new(span.clone(), filled))
    }

    fn fill_text<'s>(&self, text: &str, span: &Span) -> Option<DeValue<'s>> {
        let alone = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'));
        match alone.and_then(|name| self.parameters.get(name)) {
            Some(Value::Nothing) => None,
            Some(Value::Secret(secret)) => Some(DeValue::Table(secret_table(secret, span))),
            Some(Value::List(list)) => {
                let mut items = DeArray::new();
                for item in list {
                    items.push(Spanned::new(
                        span.clone(),
                        DeValue::String(Cow::Owned(item.clone())),
                    ));
                }
                Some(DeValue::Array(items))
            }
            Some(Value::Text(text)) => Some(DeValue::String(Cow::Owned(text.clone()))),
            None => {
                let words: Vec<(&str, &str)> = self
                    .parameters
                    .iter()
                    .filter_map(|(name, value)| match value {
                        Value::Text(text) => Some((*name, text.as_str())),
                        _ => None,
                    })
                    .collect();
                Some(DeValue::String(Cow::Owned(fill(text, &words))))
            }
        }
    }
}

/// Adds a key that is missing; `env` is merged by name.
fn lay<'s>(table: &mut DeTable<'s>, key: Cow<'s, str>, value: Spanned<DeValue<'s>>, span: &Span) {
    match (table.get_mut(key.as_ref()).map(Spanned::get_mut), value.into_inner()) {
        (None, value) => {
            table.insert(Spanned::new(span.clone(), key), Spanned::new(span.clone(), value));
        }
        (Some(DeValue::Table(own)), DeValue::Table(preset)) if key == "env" => {
            for (name, value) in preset {
                if own.get(name.get_ref().as_ref()).is_none() {
                    own.insert(name, value);
                }
            }
        }
        (Some(_), _) => {}
    }
}

fn secret_table<'s>(secret: &SecretRef, span: &Span) -> DeTable<'s> {
    let mut table = DeTable::new();
    let keys = [("env", &secret.env), ("file", &secret.file), ("generate", &secret.generate)];
    for (key, value) in keys {
        if let Some(value) = value {
            let value = DeValue::String(Cow::Owned(value.clone()));
            table.insert(
                Spanned::new(span.clone(), Cow::Borrowed(key)),
                Spanned::new(span.clone(), value),
            );
        }
    }
    table
}

fn texts(value: &DeValue<'_>) -> Vec<String> {
    let DeValue::Array(items) = value else { return Vec::new() };
    items.iter().filter_map(|item| item.get_ref().as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_replaced_spliced_and_omitted() {
        let text = r#"
            a = ["x", "{list}", "{none}", "<{text}>", "{port}"]
            b = "{none}"
            exposed = "{list}"
            [env]
            A = "preset"
            B = "preset"
        "#;
        let layer = Layer {
            key: "preset",
            texts: vec![text],
            parameters: Parameters::from([
                ("list", Value::List(vec!["1".into(), "2".into()])),
                ("none", Value::Nothing),
                ("text", Value::Text("t".into())),
            ]),
            guarded: Vec::new(),
            needs: Vec::new(),
        };
        let own = DeTable::parse("preset = 1\nenv = { B = \"own\" }").unwrap().into_inner();
        let (merged, exposure) = layer.under(&own, &(0..6));
        let array = texts(merged.get("a").unwrap().get_ref());
        assert_eq!(array, ["x", "1", "2", "<t>", "{port}"]);
        assert!(merged.get("b").is_none() && merged.get("preset").is_none());
        assert_eq!(exposure.exposed, ["1", "2"]);
        let DeValue::Table(env) = merged.get("env").unwrap().get_ref() else { panic!() };
        let value = |name: &str| env.get(name).unwrap().get_ref().as_str().unwrap().to_owned();
        assert_eq!((value("A"), value("B")), ("preset".to_owned(), "own".to_owned()));
    }
}
