//! The policies that a request must meet: one for each way in which its app may read the path.
//!
//! Apps read paths in different ways: most decode escapes, some take the path as sent, some ignore
//! letter case, some decode twice. If the proxy told paths apart that the app does not, a person could
//! reach a protected page by another spelling. A request must therefore be allowed under every reading.
//! A rule or a nested route that narrows the access holds in every spelling of its path; one that
//! widens the access holds in the spelling of the file only.

use std::sync::Arc;

use http::Method;
use percent_encoding::percent_decode;

use super::routed_app::{Policy, RoutedApp};
use super::routes::RouteMatch;
use crate::auth::Person;
use crate::auth::policy::{Verdict, decide};
use crate::config::{Access, Reading, below};
use crate::proxy::phases::admit::path::AdmittedPath;

/// The policies of one request. The request is allowed only if all of them allow it.
#[derive(Debug, Clone)]
pub(crate) struct Requirements {
    app: Arc<RoutedApp>,
    rule: Option<usize>,
    /// The app and the rule of other readings, where they differ. Nearly always empty; an empty
    /// vector allocates no memory.
    further: Vec<(Arc<RoutedApp>, Option<usize>)>,
}

impl Requirements {
    /// The requirements of a request; `None` if nothing is exposed under one of the readings.
    pub(crate) fn new(found: RouteMatch<'_>, method: &Method, path: &AdmittedPath) -> Option<Self> {
        let app = found.app;
        let decoded = path.decoded();
        let relative = app.relative(decoded);
        if !app.exposes(relative, Reading::Decoded) {
            return None;
        }
        let rule = app.rule(method, relative, Reading::Decoded);
        let mut requirements = Self { app: Arc::clone(app), rule, further: Vec::new() };
        requirements.add(found, method, decoded, Reading::AnyCase)?;
        if path.has_escapes() {
            requirements.add(found, method, path.sent().path().as_bytes(), Reading::Sent)?;
        }
        if let Some(twice) = decoded_twice(app, relative) {
            requirements.add(found, method, &twice, Reading::Decoded)?;
            requirements.add(found, method, &twice, Reading::AnyCase)?;
        }
        Some(requirements)
    }

    /// Adds the policy of one more reading. A nested route that matches counts like a rule: its app
    /// may be the same program under another path.
    fn add(
        &mut self,
        found: RouteMatch<'_>,
        method: &Method,
        path: &[u8],
        reading: Reading,
    ) -> Option<()> {
        let nested =
            found.nested.iter().find_map(|app| Some((app, below(path, &app.route.path, reading)?)));
        let (app, relative) = nested.unwrap_or((found.app, found.app.relative(path)));
        if !app.exposes(relative, reading) {
            return None;
        }
        let rule = app.rule(method, relative, reading);
        let is_same = |other: &Arc<RoutedApp>, number| Arc::ptr_eq(other, app) && number == rule;
        let known = is_same(&self.app, self.rule)
            || self.further.iter().any(|(other, number)| is_same(other, *number));
        if !known {
            self.further.push((Arc::clone(app), rule));
        }
        Some(())
    }

    /// The app that serves the request.
    pub(crate) fn app(&self) -> &Arc<RoutedApp> {
        &self.app
    }

    /// The number of the rule that matches the decoded path; `None` for the app's own policy.
    pub(crate) fn rule(&self) -> Option<usize> {
        self.rule
    }

    /// All policies; the policy of the decoded path is the first one.
    pub(crate) fn policies(&self) -> impl Iterator<Item = Policy<'_>> {
        let further = self.further.iter().map(|(app, rule)| app.policy(*rule));
        std::iter::once(self.app.policy(self.rule)).chain(further)
    }

    /// Whether a person still has access.
    pub(crate) fn admit(&self, person: &Person) -> bool {
        self.policies()
            .all(|policy| decide(policy.access, policy.deny, Some(person)) == Verdict::Allow)
    }

    /// Whether the request needs no session.
    pub(crate) fn are_public(&self) -> bool {
        self.policies().all(|policy| *policy.access == Access::Public && policy.deny.is_none())
    }
}

/// The path as an app reads it that parses the decoded path once more: the app removes a query, decodes
/// escapes and resolves dot segments. `None` if that makes no difference.
fn decoded_twice(app: &RoutedApp, relative: &[u8]) -> Option<Vec<u8>> {
    if !relative.iter().any(|byte| matches!(byte, b'%' | b'?' | b'#')) {
        return None;
    }
    let path = relative.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let decoded: Vec<u8> = percent_decode(path).collect();
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in decoded.split(|byte| matches!(byte, b'/' | b'\\')) {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            named => segments.push(named),
        }
    }
    let mut whole = app.route.path.trim_end_matches('/').as_bytes().to_vec();
    for segment in segments {
        whole.push(b'/');
        whole.extend_from_slice(segment);
    }
    Some(whole)
}

#[cfg(test)]
#[path = "../../../../tests/unit/proxy/phases/route/requirements.rs"]
mod tests;
