//! `access`, `deny` and `rules`: who may open an app.

use std::collections::BTreeMap;

use super::context::Check;
use crate::config::file::{self, At, Span, TableOrTables, TextOr, TextOrTables};
use crate::config::grammar;
use crate::config::model::{Access, Constraints, Rule};
use crate::config::report::suggest;

/// The policies that are no table.
const WORDS: [&str; 2] = ["public", "signed-in"];

impl Check<'_, '_> {
    /// `None` if the policy is refused.
    pub(super) fn access(&mut self, at: &At<file::Access>) -> Option<Access> {
        match &at.value {
            TextOrTables::Text(word) => match word.as_str() {
                "public" => Some(Access::Public),
                "signed-in" => Some(Access::SignedIn),
                _ => {
                    let help = suggest::nearest(word, WORDS).map_or_else(
                        || {
                            "write `\"public\"`, `\"signed-in\"` or `{ groups = [\"…\"] }`"
                                .to_owned()
                        },
                        |near| format!("did you mean `{near}`?"),
                    );
                    let message = format!("`{word}` is not an access policy");
                    self.problems.error_with_help(&at.span, message, help);
                    None
                }
            },
            TextOrTables::Tables(tables) => {
                let tables = self.tables(tables, &at.span, ", or write it instead of the list")?;
                Some(match <[Constraints; 1]>::try_from(tables) {
                    Ok([only]) => Access::Only(only),
                    Err(tables) => Access::AnyOf(tables.into()),
                })
            }
        }
    }

    pub(super) fn default_access(&mut self, file: &file::AccessDefault) -> Access {
        file.default.as_ref().and_then(|at| self.access(at)).unwrap_or(Access::SignedIn)
    }

    /// The tables of `deny`, one of which shuts out.
    pub(super) fn deny(&mut self, at: &At<file::Tables>) -> Vec<Constraints> {
        self.tables(&at.value, &at.span, "").unwrap_or_default()
    }

    /// The tables, of which one must be met; `None` if one of them is refused. `instead`: what else to do
    /// with `"public"` in the list.
    fn tables(
        &mut self,
        tables: &file::Tables,
        span: &Span,
        instead: &str,
    ) -> Option<Vec<Constraints>> {
        let list = match tables {
            TableOrTables::One(table) => return Some(vec![self.constraints(table, span)?]),
            TableOrTables::List(list) => list,
        };
        if list.is_empty() {
            self.problems.error_with_help(
                span,
                "an empty list names nobody",
                "add a table such as `{ groups = [\"…\"] }`, or remove the key",
            );
            return None;
        }
        if let Some(names) = only_names(list) {
            let message = "a list of names does not say what the names are";
            let help = format!("for groups, write `{{ groups = [{names}] }}`");
            self.problems.error_with_help(span, message, help);
            return None;
        }
        // Each table is checked, so that all errors are reported.
        let found: Vec<_> = list.iter().map(|at| self.table_of_list(at, instead)).collect();
        found.into_iter().collect()
    }

    fn table_of_list(
        &mut self,
        at: &At<TextOr<file::Constraints>>,
        instead: &str,
    ) -> Option<Constraints> {
        let word = match &at.value {
            TextOr::Other(table) => return self.constraints(table, &at.span),
            TextOr::Text(word) => word,
        };
        let (message, help) = if WORDS.contains(&word.as_str()) {
            (
                format!("`{word}` cannot be one of several: a list holds tables"),
                format!("remove it from the list{instead}"),
            )
        } else {
            (
                format!("`{word}` is not a table: a list holds tables"),
                format!("for a group, write `{{ groups = [\"{word}\"] }}`"),
            )
        };
        self.problems.error_with_help(&at.span, message, help);
        None
    }

    fn constraints(&mut self, table: &file::Constraints, span: &Span) -> Option<Constraints> {
        let found = Constraints {
            groups: self.values("groups", table.groups.as_ref(), |_| None),
            roles: self.values("roles", table.roles.as_ref(), bad_role),
            emails: self.values("emails", table.emails.as_ref(), |text| {
                (text.matches('@').count() != 1).then(|| {
                    format!(
                        "`{text}` is not an e-mail address; write for example `name@example.org`"
                    )
                })
            }),
            email_domains: self.values("email_domains", table.email_domains.as_ref(), |text| {
                grammar::host(text).err().map(|_| {
                    format!("`{text}` is not a domain; write the part of an address after the `@`")
                })
            }),
            claims: table.claims.as_ref().map(|at| self.claims(at)).unwrap_or_default(),
        };
        if found == Constraints::default() {
            // An empty list has already been reported.
            if !self.problems.any_within(span) {
                self.problems.error_with_help(
                    span,
                    "an empty table names nobody",
                    "write `\"signed-in\"` for everybody who is signed in, or `{ groups = [\"…\"] }`",
                );
            }
            return None;
        }
        Some(found)
    }

    fn claims(&mut self, at: &At<BTreeMap<String, Vec<String>>>) -> BTreeMap<String, Vec<String>> {
        if at.is_empty() {
            self.problems.error(&at.span, "`claims` is empty and would match nobody; remove it");
        }
        for (claim, values) in &at.value {
            if let Err(why) = grammar::claim(claim) {
                self.problems.error(&at.span, why);
            }
            if values.is_empty() {
                self.problems.error(
                    &at.span,
                    format!("`{claim}` has no values and would match nobody; add a value"),
                );
            }
        }
        at.value.clone()
    }

    fn values(
        &mut self,
        key: &str,
        at: Option<&At<Vec<String>>>,
        bad: impl Fn(&str) -> Option<String>,
    ) -> Vec<String> {
        let Some(at) = at else { return Vec::new() };
        if at.is_empty() {
            self.problems.error(
                &at.span,
                format!("`{key}` is empty and would match nobody; add a value, or remove the key"),
            );
        }
        for value in &at.value {
            if value.is_empty() {
                self.problems
                    .error(&at.span, format!("`{key}` contains an empty value; remove it"));
            } else if let Some(why) = bad(value) {
                self.problems.error(&at.span, why);
            }
        }
        at.value.clone()
    }

    pub(super) fn rules(&mut self, file: &[file::Rule], access: &Access, api: bool) -> Vec<Rule> {
        file.iter().filter_map(|rule| self.rule(rule, access, api)).collect()
    }

    fn rule(&mut self, rule: &file::Rule, access: &Access, api: bool) -> Option<Rule> {
        let path = self.parse_some(Some(&rule.path), grammar::pattern);
        let methods = rule.methods.as_ref().map(|at| self.methods(at)).unwrap_or_default();
        let access = match &rule.access {
            Some(at) => self.access(at)?,
            None => access.clone(),
        };
        Some(Rule { path: path?, methods, access, api: rule.api.unwrap_or(api) })
    }

    fn methods(&mut self, at: &At<Vec<String>>) -> Vec<String> {
        if at.is_empty() {
            self.problems.error_with_help(
                &at.span,
                "`methods` is empty: the rule would never match",
                "remove `methods` to match all methods",
            );
        }
        for method in &at.value {
            if !grammar::is_token(method) {
                self.problems.error(
                    &at.span,
                    format!("`{method}` is not a method; write for example `GET`"),
                );
            } else if method.bytes().any(|b| b.is_ascii_lowercase()) {
                let upper = method.to_ascii_uppercase();
                self.problems.error_with_help(
                    &at.span,
                    format!("methods are case-sensitive, so `{method}` would never match"),
                    format!("did you mean `{upper}`?"),
                );
            }
        }
        at.value.clone()
    }
}

/// The names of a list that has nothing but names, as they are written.
fn only_names(list: &[At<TextOr<file::Constraints>>]) -> Option<String> {
    let names: Option<Vec<_>> = list
        .iter()
        .map(|at| match &at.value {
            TextOr::Text(name) if !WORDS.contains(&name.as_str()) => Some(format!("\"{name}\"")),
            TextOr::Text(_) | TextOr::Other(_) => None,
        })
        .collect();
    Some(names?.join(", "))
}

fn bad_role(role: &str) -> Option<String> {
    let rest = role.strip_prefix("client:")?;
    let whole =
        rest.split_once(':').is_some_and(|(client, role)| !client.is_empty() && !role.is_empty());
    (!whole).then(|| format!("`{role}` is not a client role; write `client:<id>:<role>`"))
}
