//! What a request must meet: one policy for each way in which its app may read the path.
//!
//! Apps do not agree on how a path is read. Most undo its escapes, some take it as it was sent,
//! some ignore letter case, some undo escapes twice. A gate that reads a path more finely than the
//! app behind it can be walked around, so a request must be allowed under every reading. A rule
//! or a nested route that narrows the access therefore holds in every spelling, and one that
//! widens it holds only in the spelling of the file.

use std::sync::Arc;

use http::Method;
use percent_encoding::percent_decode;

use super::routes::Found;
use super::target::{Policy, Target};
use crate::config::{Access, Reading, below};
use crate::proxy::phases::admit::path::AdmittedPath;

/// The policies of one request. A request is allowed only if all of them allow it.
#[derive(Debug)]
pub(crate) struct Terms {
    target: Arc<Target>,
    rule: Option<usize>,
    /// Policies that other readings of the path lead to. Nearly always empty, and then nothing is
    /// allocated.
    also: Vec<(Arc<Target>, Option<usize>)>,
}

impl Terms {
    /// The policies of a request; `None` if nothing is reachable under one of the readings.
    pub(crate) fn new(found: Found<'_>, method: &Method, path: &AdmittedPath) -> Option<Self> {
        let target = found.target;
        let decoded = path.decoded();
        let relative = target.relative(decoded);
        if !target.shows(relative, Reading::Decoded) {
            return None;
        }
        let rule = target.rule(method, relative, Reading::Decoded);
        let mut terms = Self { target: Arc::clone(target), rule, also: Vec::new() };
        terms.read(found, method, decoded, Reading::AnyCase)?;
        if path.has_escapes() {
            terms.read(found, method, path.sent().path().as_bytes(), Reading::Sent)?;
        }
        if let Some(again) = decoded_again(target, relative) {
            terms.read(found, method, &again, Reading::Decoded)?;
            terms.read(found, method, &again, Reading::AnyCase)?;
        }
        Some(terms)
    }

    /// Adds the policy of one more reading. A route that lies below the request's own one and
    /// matches counts like a rule: its app may be the same program under another path.
    fn read(
        &mut self,
        found: Found<'_>,
        method: &Method,
        path: &[u8],
        reading: Reading,
    ) -> Option<()> {
        let nested = found.nested.iter().find_map(|target| {
            below(path, &target.route.path, reading).map(|relative| (target, relative))
        });
        let (target, relative) = nested.unwrap_or((found.target, found.target.relative(path)));
        if !target.shows(relative, reading) {
            return None;
        }
        let rule = target.rule(method, relative, reading);
        let is_known = |known: &Arc<Target>, by| Arc::ptr_eq(known, target) && by == rule;
        let known = is_known(&self.target, self.rule)
            || self.also.iter().any(|(target, rule)| is_known(target, *rule));
        if !known {
            self.also.push((Arc::clone(target), rule));
        }
        Some(())
    }

    /// The app that serves the request.
    pub(crate) fn target(&self) -> &Arc<Target> {
        &self.target
    }

    /// The rule that matches the path with its escapes undone; `None` for the app's own policy.
    pub(crate) fn rule(&self) -> Option<usize> {
        self.rule
    }

    /// All policies, that of the request's own app first.
    pub(crate) fn policies(&self) -> impl Iterator<Item = Policy<'_>> {
        let also = self.also.iter().map(|(target, rule)| target.policy(*rule));
        std::iter::once(self.target.policy(self.rule)).chain(also)
    }

    /// Whether nobody needs to sign in.
    pub(crate) fn is_public(&self) -> bool {
        self.policies().all(|policy| *policy.access == Access::Public && policy.deny.is_none())
    }
}

/// The path as an app sees it that takes the decoded path for one that was sent: it cuts off a
/// query, undoes escapes and resolves dot segments. `None` when that makes no difference.
fn decoded_again(target: &Target, relative: &[u8]) -> Option<Vec<u8>> {
    if !relative.iter().any(|byte| matches!(byte, b'%' | b'?' | b'#')) {
        return None;
    }
    let mut path = relative.split(|byte| matches!(byte, b'?' | b'#')).next().unwrap_or_default();
    let decoded: Vec<u8> = percent_decode(path).collect();
    path = &decoded;
    let mut segments: Vec<&[u8]> = Vec::new();
    for segment in path.split(|byte| matches!(byte, b'/' | b'\\')) {
        match segment {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            named => segments.push(named),
        }
    }
    let mut whole = target.route.path.trim_end_matches('/').as_bytes().to_vec();
    for segment in segments {
        whole.push(b'/');
        whole.extend_from_slice(segment);
    }
    Some(whole)
}

#[cfg(test)]
#[path = "../../../../tests/unit/proxy/phases/route/terms.rs"]
mod tests;
