//! `[oidc] groups_prefix` and `groups_only`: which groups count, and which reach apps.

use crate::config::check::context::Check;
use crate::config::file::At;
use crate::config::model::GroupPattern;

impl Check<'_, '_> {
    pub(super) fn groups_prefix(&mut self, at: Option<&At<String>>) -> Option<String> {
        let at = at?;
        if at.is_empty() && !self.problems.any_within(&at.span) {
            self.problems.error_with_help(
                &at.span,
                "`groups_prefix` is empty: every group begins with it",
                "write what the groups for these apps begin with, or remove `groups_prefix`",
            );
        }
        Some(at.value.clone())
    }

    pub(super) fn groups_only(&mut self, at: Option<&At<Vec<String>>>) -> Vec<GroupPattern> {
        let Some(at) = at else { return Vec::new() };
        if at.value.is_empty() {
            self.problems.error_with_help(
                &at.span,
                "`groups_only` is empty: no group would reach an app",
                "write for example `[\"app-*\"]`; an app whose `identity` has no `groups` gets none",
            );
        } else if at.value.iter().any(String::is_empty) && !self.problems.any_within(&at.span) {
            self.problems
                .error(&at.span, "`groups_only` contains an empty value; remove the value");
        }
        at.value.iter().map(GroupPattern::new).collect()
    }
}
