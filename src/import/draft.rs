//! The draft of an `appliance.toml`: tables, and what to say about them.

use super::value::{Value, readable};

/// Something that people must know about the written file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Remark {
    /// A comment only: where a table comes from, why a value is what it is.
    Hint(String),
    /// A comment, and a line on stderr: something of the source is not in the file, or needs work.
    Missing {
        /// File and section of the source.
        place: String,
        /// What is missing, and what to do instead.
        text: String,
    },
}

/// One table of the file.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// Above the table.
    pub(super) remarks: Vec<Remark>,
    keys: Vec<(&'static str, Value)>,
}

impl Table {
    /// Sets a key, or replaces its value.
    pub(super) fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        match self.keys.iter_mut().find(|(known, _)| *known == key) {
            Some((_, old)) => *old = value,
            None => self.keys.push((key, value)),
        }
    }

    /// Sets a key that has no value yet.
    pub(super) fn set_default(&mut self, key: &'static str, value: impl Into<Value>) {
        if self.get(key).is_none() {
            self.set(key, value);
        }
    }

    pub(super) fn remove(&mut self, key: &str) {
        self.keys.retain(|(known, _)| *known != key);
    }

    pub(super) fn get(&self, key: &str) -> Option<&Value> {
        self.keys.iter().find(|(known, _)| *known == key).map(|(_, value)| value)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.remarks.is_empty()
    }

    /// The keys as a person would order them: what runs, where it is reached, who may, how it lives.
    pub(super) fn in_order(&self) -> Vec<&(&'static str, Value)> {
        let place = |key: &str| ORDER.iter().position(|known| *known == key).unwrap_or(usize::MAX);
        let mut keys: Vec<_> = self.keys.iter().collect();
        keys.sort_by_key(|(key, _)| place(key));
        keys
    }

    pub(super) fn hint(&mut self, text: impl Into<String>) {
        self.add(Remark::Hint(readable(&text.into())));
    }

    pub(super) fn missing(&mut self, place: &str, text: impl Into<String>) {
        self.add(Remark::Missing { place: place.to_owned(), text: readable(&text.into()) });
    }

    /// Changes the text of every remark. The places, which are names of files and sections, stay.
    pub(super) fn edit_remarks(&mut self, edit: impl Fn(&str) -> String) {
        for remark in &mut self.remarks {
            let (Remark::Hint(text) | Remark::Missing { text, .. }) = remark;
            *text = edit(text);
        }
    }

    fn add(&mut self, remark: Remark) {
        if !self.remarks.contains(&remark) {
            self.remarks.push(remark);
        }
    }
}

/// An app of the draft.
#[derive(Debug, Clone, Default)]
pub(super) struct App {
    pub(super) name: String,
    pub(super) table: Table,
}

/// The whole file.
#[derive(Debug, Default)]
pub(super) struct Draft {
    /// Remarks about the whole, above the first table.
    pub(super) head: Table,
    pub(super) server: Table,
    pub(super) log: Table,
    pub(super) oidc: Table,
    pub(super) session: Table,
    pub(super) access: Table,
    pub(super) apps: Vec<App>,
}

impl Draft {
    /// Every table, also the remarks about the whole.
    pub(super) fn tables_mut(&mut self) -> impl Iterator<Item = &mut Table> {
        let fixed = [
            &mut self.head,
            &mut self.server,
            &mut self.log,
            &mut self.oidc,
            &mut self.session,
            &mut self.access,
        ];
        fixed.into_iter().chain(self.apps.iter_mut().map(|app| &mut app.table))
    }

    /// All tables with their headers, in the order of the file.
    pub(super) fn tables(&self) -> Vec<(String, &Table)> {
        let fixed = [
            ("server", &self.server),
            ("log", &self.log),
            ("oidc", &self.oidc),
            ("session", &self.session),
            ("access", &self.access),
        ];
        let fixed = fixed.into_iter().filter(|(_, table)| !table.is_empty());
        let apps = self.apps.iter().map(|app| (format!("apps.{}", app.name), &app.table));
        fixed.map(|(name, table)| (name.to_owned(), table)).chain(apps).collect()
    }
}

const ORDER: [&str; 55] = [
    // [server], [log]
    "listen",
    "public_url",
    "trusted_proxies",
    "metrics",
    "shutdown_timeout",
    "title",
    "contact",
    "level",
    // [oidc]
    "served_by",
    "issuer",
    "client_id",
    "client_secret",
    "scopes",
    "user_claim",
    "email_claim",
    "groups_claim",
    "require_verified_email",
    "ca_file",
    "login_params",
    // [session], [access]
    "lifetime",
    "cookie",
    "default",
    // [apps.NAME]
    "command",
    "streamlit",
    "upstream",
    "port",
    "replicas",
    "host",
    "path",
    "strip_prefix",
    "access",
    "rules",
    "api",
    "identity",
    "max_body",
    "timeout",
    "after",
    "ready",
    "autostart",
    "restart",
    "success_exit_codes",
    "max_restarts",
    "stop_signal",
    "stop_timeout",
    "stop_target",
    "user",
    "umask",
    "limits",
    "cwd",
    "env_file",
    "pass_env",
    "log",
    "env",
    "enabled",
    "hidden",
];
