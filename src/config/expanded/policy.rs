//! Policies as TOML, with secrets masked, for `appliance can`.

use toml::Value;

use super::page::shown;
use super::value;
use crate::config::model::{Access, Config, Constraints, Rule};

impl Config {
    /// A policy as TOML.
    pub fn access_text(&self, access: &Access) -> String {
        self.value_text(&value::access(access))
    }

    /// The tables of a `deny` as TOML.
    pub fn deny_text(&self, deny: &[Constraints]) -> String {
        self.value_text(&value::tables(deny))
    }

    /// A rule with its policy as TOML.
    pub fn rule_text(&self, rule: &Rule) -> String {
        self.value_text(&value::rule(rule))
    }

    fn value_text(&self, value: &Value) -> String {
        shown(value, &self.secrets).to_string()
    }
}
