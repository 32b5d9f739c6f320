//! `[oidc] groups_overage`: where the groups are that a token only refers to.

use url::Url;

use crate::config::check::context::Check;
use crate::config::file::{self, At, FlagOr};
use crate::config::grammar;
use crate::config::model::{GroupsOverage, is_loopback_host};
use crate::config::preset::issuer::IssuerPreset;

/// The member of a group's object that is read if none is named: it does not change.
const FIELD: &str = "id";

impl Check<'_, '_> {
    /// `issuer` is that of the table; empty if it is not known.
    pub(super) fn groups_overage(
        &mut self,
        at: Option<&At<FlagOr<file::GroupsOverage>>>,
        issuer: &str,
        preset: &IssuerPreset,
    ) -> Option<GroupsOverage> {
        let default = preset
            .groups_overage
            .map(|url| GroupsOverage { url: url.to_owned(), field: FIELD.to_owned() });
        let Some(at) = at else { return default };
        let table = match &at.value {
            FlagOr::Flag(false) => return None,
            FlagOr::Flag(true) => {
                if default.is_none() {
                    self.needs_url(at);
                }
                return default;
            }
            FlagOr::Table(table) => table,
        };
        let field = table.field.as_ref().map_or(FIELD, |at| at.value.as_str()).to_owned();
        if let Some(at) = table.field.as_ref().filter(|at| at.is_empty()) {
            self.problems.error(
                &at.span,
                "`field` is empty; write the member that names a group, for example `id`",
            );
        }
        let url = if table.url.is_some() {
            self.parse_some(table.url.as_ref(), |text| groups_url(text, issuer))?
        } else if let Some(default) = default {
            default.url
        } else {
            self.needs_url(at);
            return None;
        };
        Some(GroupsOverage { url, field })
    }

    /// The service lists names, and they are put where the claim would have been: a path that reads the names of
    /// an object's members finds none there. `claim` is `groups_claim`, also that of `provider`.
    pub(super) fn groups_overage_fits(&mut self, at: &At<file::Oidc>, claim: &str) {
        let key = at.value.groups_claim.as_ref().map(|at| &at.span);
        let key = key.or(at.value.groups_overage.as_ref().map(|at| &at.span));
        if claim.ends_with(".*") {
            self.problems.error_with_help(
                key.unwrap_or(&at.span),
                "`groups_claim` ends in `.*` and reads the names of an object's members, but `groups_overage` brings a list",
                "name a claim that is a list, or write `groups_overage = false`",
            );
        }
    }

    fn needs_url(&mut self, at: &At<FlagOr<file::GroupsOverage>>) {
        self.problems.error_with_help(
            &at.span,
            "`groups_overage` needs a `url`",
            "write the address that lists the groups of the signed-in person, or `provider = \"entra\"`",
        );
    }
}

/// An https URL, which may have a query: in clear, anybody on the network could read the access token.
/// Only a service on the same machine may be asked by http, if the issuer is asked so, too.
fn groups_url(text: &str, issuer: &str) -> grammar::Parsed<String> {
    let (base, query) = text.split_once('?').unwrap_or((text, ""));
    grammar::url("the url of `groups_overage`", base)?;
    let url = Url::parse(text).ok().filter(|url| url.fragment().is_none());
    let odd = |c: char| c.is_whitespace() || c.is_control();
    let Some(url) = url.filter(|_| !query.contains(odd)) else {
        return Err("the url of `groups_overage` has blanks or a fragment; remove them".to_owned());
    };
    let is_here = url.host_str().is_some_and(is_loopback_host) && !issuer.starts_with("https:");
    if url.scheme() != "https" && !is_here {
        return Err(
            "the url of `groups_overage` receives access tokens; write an https URL".to_owned()
        );
    }
    Ok(text.to_owned())
}
