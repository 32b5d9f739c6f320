//! oauth2-proxy: its options, and what they mean for the appliance.

mod alpha;
mod carry;
mod options;
mod pattern;
mod reasons;

pub(super) use carry::{Gate, UNKNOWN_ISSUER, carry};
pub(super) use options::Options;

use super::yaml::Node;

/// Joins the options of all sources; later ones win, as flags win over variables and files.
pub(super) fn merged(all: Vec<Options>) -> Option<Options> {
    let places: Vec<String> = all.iter().map(|options| options.place.clone()).collect();
    let mut all = all.into_iter();
    let mut first = all.next()?;
    for other in all {
        first.merge(other);
    }
    first.place = places.join(" + ");
    (!first.is_empty()).then_some(first)
}

/// The alpha configuration, if the document is one.
pub(super) fn alpha(root: &Node, place: &str) -> Option<Options> {
    alpha::is_one(root).then(|| alpha::options(root, place))
}

/// A `.cfg`, if the text is one.
pub(super) fn cfg(text: &str, place: &str) -> Option<Options> {
    const KNOWN: [&str; 8] = [
        "client_id",
        "oidc_issuer_url",
        "cookie_secret",
        "upstreams",
        "email_domains",
        "http_address",
        "redirect_url",
        "provider",
    ];
    let table: toml::Table = text.parse().ok()?;
    let is_one = KNOWN.iter().any(|key| table.get(*key).is_some_and(|value| !value.is_table()));
    let mut options = Options::new(place);
    options.add_toml(&table);
    is_one.then_some(options)
}

/// A file of variables, if the text is one with variables of oauth2-proxy.
pub(super) fn variables(text: &str, place: &str) -> Option<Options> {
    let variables = super::variables::parse(text);
    let mut options = Options::new(place);
    let pairs = variables.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    options.add_variables(pairs).then_some(options)
}
