//! `[oidc] provider = "github"`: what GitHub needs, and what it does not have.

use url::Url;

use crate::config::check::context::{Check, Outline};
use crate::config::file::{self, At, FlagOr};

/// Scopes of which one lets a token read something, the narrowest first:
/// <https://docs.github.com/apps/oauth-apps/building-oauth-apps/scopes-for-oauth-apps>.
const NEEDED: [(&[&str], &str); 2] = [
    (&["user:email", "user"], "the e-mail addresses"),
    (&["read:org", "write:org", "admin:org"], "the organisations and teams"),
];

impl Check<'_, '_> {
    /// Settings that mean something only at an issuer with tokens of its own.
    pub(super) fn github(&mut self, oidc: &file::Oidc, outlines: &[Outline<'_>]) {
        if let Some(at) = &oidc.issuer {
            self.github_address(at);
        }
        if let Some(at) = &oidc.served_by {
            self.problems.error_with_help(
                &at.span,
                "GitHub is no app of the appliance",
                "remove `served_by`; for a GitHub Enterprise Server, write its address as `issuer`",
            );
        }
        if let Some(at) = &oidc.audiences {
            self.problems.error_with_help(
                &at.span,
                "the access tokens of GitHub name no audience, and no app accepts them",
                "remove `audiences`",
            );
        }
        let overage = oidc.groups_overage.as_ref();
        if let Some(at) = overage.filter(|at| !matches!(at.value, FlagOr::Flag(false))) {
            self.problems.error_with_help(
                &at.span,
                "with GitHub, all organisations and teams are read at each login and refresh",
                "remove `groups_overage`",
            );
        }
        for outline in outlines.iter().filter(|outline| outline.enabled) {
            if let Some(at) = outline.table.bearer.as_ref().filter(|at| at.value) {
                self.problems.error_with_help(
                    &at.span,
                    format!(
                        "`{}` accepts the issuer's access tokens, but those of GitHub do not say which program they were issued to",
                        outline.name
                    ),
                    "remove `bearer`, or use an OpenID Connect issuer with GitHub behind it",
                );
            }
        }
    }

    /// The address of the pages of GitHub, below which all its endpoints are.
    fn github_address(&mut self, at: &At<String>) {
        if self.problems.any_within(&at.span) {
            return;
        }
        let Ok(url) = Url::parse(at) else { return };
        if url.path() != "/" {
            self.problems.error_with_help(
                &at.span,
                "the address of GitHub has no path",
                "write `https://github.com`, or the address of a GitHub Enterprise Server, for example `https://github.example.org`",
            );
        } else if url.host_str() == Some("api.github.com") {
            self.problems.error_with_help(
                &at.span,
                "this is the address of the API of GitHub, not that of its pages",
                "write `https://github.com`, or remove `issuer`",
            );
        }
    }

    /// Scopes that a file names.
    pub(super) fn github_scopes(&mut self, at: &At<Vec<String>>) {
        for (any_of, what) in NEEDED {
            if !at.iter().any(|scope| any_of.contains(&scope.as_str())) {
                self.problems.error(
                    &at.span,
                    format!(
                        "without the scope `{}`, GitHub does not tell {what}; add it to the list",
                        any_of[0]
                    ),
                );
            }
        }
    }
}
