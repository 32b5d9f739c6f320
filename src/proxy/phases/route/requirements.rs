//! The policies that a request must meet: one for each way in which its app may read the path.
//!
//! Apps read paths in different ways: most decode escapes, some take the path as sent, some ignore
//! letter case, blanks and bytes that are no text, some decode more than once. If the proxy told paths apart that the app does not, a person could
//! reach a protected page by another spelling. A request must therefore be allowed under every reading.
//! A rule or a nested route that narrows the access holds in every spelling of its path; one that
//! widens the access holds in the spelling of the file only.
//!
//! The paths of a site are read in one way, but its files have several names: `/a/` is `/a/index.html`. A
//! rule that narrows holds for all names of a file.

use std::sync::Arc;

use http::Method;

use super::routed_app::{Policy, RoutedApp};
use super::routes::RouteMatch;
use crate::auth::policy::{Verdict, decide};
use crate::auth::{Person, Session};
use crate::config::{Access, Folder, Reading, below, first_segments};
use crate::proxy::phases::admit::path::AdmittedPath;
use crate::proxy::phases::admit::readings;
use crate::site;

/// No file has a longer name (`PATH_MAX`), so no rule has to be looked for.
const LONGEST_FILE_NAME: usize = 4096;

/// The policies of one request. The request is allowed only if all of them allow it.
#[derive(Debug, Clone)]
pub(crate) struct Requirements {
    app: Arc<RoutedApp>,
    rule: Option<usize>,
    /// The app and the rule of other readings, where they differ. Nearly always empty; an empty
    /// vector allocates no memory.
    further: Vec<(Arc<RoutedApp>, Option<usize>)>,
}

/// What the rules of an app look at, beside the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Act<'a> {
    pub method: &'a Method,
    /// The request is a WebSocket handshake.
    pub websocket: bool,
}

impl Requirements {
    /// The requirements of a request; `None` if nothing is exposed under one of the readings.
    pub(crate) fn new(found: RouteMatch<'_>, act: Act<'_>, path: &AdmittedPath) -> Option<Self> {
        Self::judged(found, act, path, &mut Folder::default())
    }

    /// The same. All readings of the path share `folder`: most of their segments are the same.
    fn judged(
        found: RouteMatch<'_>,
        act: Act<'_>,
        path: &AdmittedPath,
        folder: &mut Folder,
    ) -> Option<Self> {
        let app = found.app;
        let decoded = path.decoded();
        let relative = app.relative(decoded);
        if !app.exposes(relative, Reading::Decoded) {
            return None;
        }
        let rule = app.rule(act.method, relative, Reading::Decoded);
        let mut requirements = Self { app: Arc::clone(app), rule, further: Vec::new() };
        if act.websocket {
            requirements.add(app, relative, act, Reading::Decoded)?;
        }
        if !found.nested.is_empty() || !app.treats_all_paths_alike() {
            requirements.add_readings(found, act, path, folder)?;
        }
        // A program may serve several apps. One that gets the whole path can find a path of another.
        if !app.route.strip_prefix {
            for whole in readings::again(decoded) {
                requirements.add_other(found, act, &whole, folder)?;
            }
        }
        requirements.add_names(app, act, relative, folder);
        Some(requirements)
    }

    /// Adds the policies for other readings of a path of the app.
    fn add_readings(
        &mut self,
        found: RouteMatch<'_>,
        act: Act<'_>,
        path: &AdmittedPath,
        folder: &mut Folder,
    ) -> Option<()> {
        let decoded = path.decoded();
        self.add_path(found, act, &folder.fold(decoded), Reading::Folded)?;
        if path.has_escapes() {
            self.add_path(found, act, path.sent().path().as_bytes(), Reading::Sent)?;
        }
        let own = found.app.route.path.trim_end_matches('/').as_bytes();
        for again in readings::again(found.app.relative(decoded)) {
            let whole = [own, &again].concat();
            self.add_path(found, act, &whole, Reading::Decoded)?;
            self.add_path(found, act, &folder.fold(&whole), Reading::Folded)?;
        }
        Some(())
    }

    /// Adds the rules for other names of the file of a site. The rules are read in their order for all names,
    /// up to the one that matches the path itself, which may be an exception from a later one.
    fn add_names(
        &mut self,
        app: &Arc<RoutedApp>,
        act: Act<'_>,
        relative: &[u8],
        folder: &mut Folder,
    ) {
        let Some(files) = app.route.files.as_ref().filter(|_| !app.route.rules.is_empty()) else {
            return;
        };
        let own = self.rule.unwrap_or(usize::MAX);
        let names = site::other_names(relative, files).into_iter();
        for name in names.filter(|name| name.len() <= LONGEST_FILE_NAME) {
            let plain = folder.fold(&name);
            for (name, reading) in [(&*name, Reading::Decoded), (&plain, Reading::Folded)] {
                let rule = app.rule(act.method, name, reading);
                if rule.is_some_and(|rule| rule < own) {
                    self.add_rule(app, rule);
                }
            }
        }
    }

    /// The policy for reading another path of the app that serves the request.
    pub(crate) fn policy_of(&self, relative: &[u8]) -> Policy<'_> {
        self.app.policy(self.app.rule(&Method::GET, relative, Reading::Decoded))
    }

    /// Adds the policy of one more reading. A nested route that matches counts like a rule: its app
    /// may be the same program under another path.
    fn add_path(
        &mut self,
        found: RouteMatch<'_>,
        act: Act<'_>,
        path: &[u8],
        reading: Reading,
    ) -> Option<()> {
        let nested = matching(found.nested, path, reading);
        let (app, relative) = nested.unwrap_or((found.app, found.app.relative(path)));
        self.add(app, relative, act, reading)
    }

    /// Adds the policy of a path that may lie outside of the app. The first segments tell whether it does, so
    /// that the rest is folded only then.
    fn add_other(
        &mut self,
        found: RouteMatch<'_>,
        act: Act<'_>,
        path: &[u8],
        folder: &mut Folder,
    ) -> Option<()> {
        if let Some((app, relative)) = matching(found.beside, path, Reading::Decoded) {
            self.add(app, relative, act, Reading::Decoded)?;
        }
        let deepest = found.beside.iter().map(|app| app.depth()).max().unwrap_or(0);
        let first = folder.fold(first_segments(path, deepest));
        let Some((app, _)) = matching(found.beside, &first, Reading::Folded) else {
            return Some(());
        };
        if app.treats_all_paths_alike() {
            self.add(app, b"", act, Reading::Folded)
        } else {
            let whole = folder.fold(path);
            self.add(app, app.relative(&whole), act, Reading::Folded)
        }
    }

    fn add(
        &mut self,
        app: &Arc<RoutedApp>,
        relative: &[u8],
        act: Act<'_>,
        reading: Reading,
    ) -> Option<()> {
        if !app.exposes(relative, reading) {
            return None;
        }
        self.add_rule(app, app.rule(act.method, relative, reading));
        // A handshake is a GET, but the tunnel carries more than a GET: a rule that names methods narrows
        // the access of a handshake, and does not widen it.
        if act.websocket {
            self.add_rule(app, app.rule_for_all_methods(relative, reading));
        }
        Some(())
    }

    /// Adds all policies of another path.
    pub(crate) fn add_all(&mut self, other: &Self) {
        self.add_rule(&other.app, other.rule);
        for (app, rule) in &other.further {
            self.add_rule(app, *rule);
        }
    }

    fn add_rule(&mut self, app: &Arc<RoutedApp>, rule: Option<usize>) {
        let is_same = |other: &Arc<RoutedApp>, number| Arc::ptr_eq(other, app) && number == rule;
        let known = is_same(&self.app, self.rule)
            || self.further.iter().any(|(other, number)| is_same(other, *number));
        if !known {
            self.further.push((Arc::clone(app), rule));
        }
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
        self.sources().map(|(app, rule)| app.policy(rule))
    }

    /// The app and the number of the rule of each policy.
    pub(crate) fn sources(&self) -> impl Iterator<Item = (&RoutedApp, Option<usize>)> {
        let further = self.further.iter().map(|(app, rule)| (&**app, *rule));
        std::iter::once((&*self.app, self.rule)).chain(further)
    }

    /// Whether programs may come with an access token.
    pub(crate) fn accept_tokens(&self) -> bool {
        self.app.route.bearer && self.further.iter().all(|(app, _)| app.route.bearer)
    }

    /// Whether a session still has access.
    pub(crate) fn admit_session(&self, session: &Session, person: &Person) -> bool {
        (!session.is_program() || self.accept_tokens()) && self.admit(person)
    }

    /// Whether a person still has access.
    pub(crate) fn admit(&self, person: &Person) -> bool {
        self.policies()
            .all(|policy| decide(policy.access, policy.deny, Some(person)) == Verdict::Allow)
    }

    /// Whether the request needs no session.
    pub(crate) fn are_public(&self) -> bool {
        self.policies().all(|policy| *policy.access == Access::Public && policy.deny.is_empty())
    }
}

impl RoutedApp {
    /// Whether the app, or a part of it that has a rule, admits a session. A rule that opens a part to
    /// everybody admits nobody to the rest.
    pub(crate) fn admits(&self, session: &Session) -> bool {
        let person = session.person();
        let rules = (0..self.route.rules.len()).map(|rule| self.policy(Some(rule)));
        let rules = rules.filter(|policy| *policy.access != Access::Public);
        let mut policies = std::iter::once(self.policy(None)).chain(rules);
        policies.any(|policy| decide(policy.access, policy.deny, Some(&person)) == Verdict::Allow)
    }
}

/// The app with the longest prefix of a path, and the rest of the path.
fn matching<'a, 'p>(
    apps: &'a [Arc<RoutedApp>],
    path: &'p [u8],
    reading: Reading,
) -> Option<(&'a Arc<RoutedApp>, &'p [u8])> {
    apps.iter().find_map(|app| Some((app, below(path, &app.route.path, reading)?)))
}

#[cfg(test)]
#[path = "../../../../tests/unit/proxy/phases/route/requirements.rs"]
mod tests;
