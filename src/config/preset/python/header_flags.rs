//! Arguments that tell a program which request headers name the person.

use std::borrow::Cow;

use crate::config::file::{self, FlagOr};

/// How a program learns it.
#[derive(Debug, Clone, Copy)]
pub(super) enum HeaderFlags {
    /// `st.user` is made from these headers. Only values that do not change within a session:
    /// Streamlit starts a new session if one of them differs after a reconnect.
    Streamlit,
    /// `pn.state.headers` has no other headers, because Bokeh sends them back to the page.
    Panel,
    /// Voila puts these headers into the environment of the kernel, as `HTTP_X_FORWARDED_USER`.
    Voila,
    /// The code of the app reads all headers of a request.
    None,
}

impl HeaderFlags {
    pub(super) fn arguments(self, app: &file::App) -> Vec<String> {
        let names = names(app);
        match self {
            Self::None => Vec::new(),
            _ if names.is_empty() => Vec::new(),
            Self::Streamlit => {
                let map: serde_json::Map<String, serde_json::Value> =
                    names.into_iter().map(|(header, key)| (header.into(), key.into())).collect();
                let map = serde_json::Value::Object(map).to_string();
                vec!["--server.trustedUserHeaders".to_owned(), map]
            }
            Self::Panel => std::iter::once("--include-headers".to_owned())
                .chain(names.into_iter().map(|(header, _)| header.into_owned()))
                .collect(),
            Self::Voila => names
                .into_iter()
                .map(|(header, _)| format!("--VoilaConfiguration.http_header_envs={header}"))
                .collect(),
        }
    }
}

/// Name of the header with the user; empty if the app gets none.
pub(super) fn user_header(app: &file::App) -> String {
    let user = names(app).into_iter().find(|(_, key)| *key == "user");
    user.map(|(header, _)| header.into_owned()).unwrap_or_default()
}

/// The headers that name the person, and what each holds.
fn names(app: &file::App) -> Vec<(Cow<'_, str>, &'static str)> {
    match app.identity.as_ref().map(|at| &at.value) {
        Some(FlagOr::Flag(false)) => Vec::new(),
        Some(FlagOr::Table(table)) => [
            (&table.user, "user"),
            (&table.email, "email"),
            (&table.groups, "groups"),
            (&table.preferred_username, "preferred_username"),
            (&table.name, "name"),
        ]
        .into_iter()
        .filter_map(|(at, key)| Some((at.as_ref()?.value.as_str().into(), key)))
        .collect(),
        Some(FlagOr::Flag(true)) | None => [
            ("X-Forwarded-User", "user"),
            ("X-Forwarded-Email", "email"),
            ("X-Forwarded-Groups", "groups"),
            ("X-Forwarded-Preferred-Username", "preferred_username"),
        ]
        .into_iter()
        .map(|(header, key)| (header.into(), key))
        .collect(),
    }
}
