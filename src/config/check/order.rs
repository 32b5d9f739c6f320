//! `after`: every name exists, and there is no cycle.

use super::context::{Check, Outline};
use crate::config::file::{self, TextOr};
use crate::config::model::{After, AppName, Until};
use crate::config::report::suggest;

impl Check<'_, '_> {
    pub(super) fn order(&mut self, outlines: &[Outline<'_>]) {
        for outline in outlines {
            for at in outline.table.after.as_deref().unwrap_or_default() {
                self.dependency(outline, edge(&at.value).0, &at.span, outlines);
            }
        }
        for cycle in cycles(outlines) {
            let Some(first) = cycle.first().map(|at| &outlines[*at]) else { continue };
            let names: Vec<&str> = cycle.iter().map(|at| outlines[*at].name.as_str()).collect();
            let round = format!("{} → {}", names.join(" → "), first.name);
            let next = names.get(1).copied().unwrap_or_default();
            let span = first
                .table
                .after
                .iter()
                .flatten()
                .find(|at| edge(&at.value).0 == next)
                .map_or(&first.span, |at| &at.span);
            self.problems.error_with_help(
                span,
                format!("these apps wait for each other, so none of them can start: {round}"),
                "remove one of these names from its `after`",
            );
        }
    }

    fn dependency(
        &mut self,
        outline: &Outline<'_>,
        name: &str,
        span: &file::Span,
        outlines: &[Outline<'_>],
    ) {
        if name == outline.name.as_str() {
            return self
                .problems
                .error(span, format!("`{name}` waits for itself; remove its name from `after`"));
        }
        match outlines.iter().find(|other| other.name.as_str() == name) {
            Some(other) if other.enabled || !outline.enabled => {
                if other.table.idle_stop.is_some() {
                    self.problems.error_with_help(
                        span,
                        format!(
                            "`{}` waits for `{name}`, which has `idle_stop`: requests from one app to another do not pass the proxy, so they neither start `{name}` nor keep it running",
                            outline.name
                        ),
                        format!("remove `idle_stop` from `{name}`, or `{name}` from `after`"),
                    );
                }
            }
            Some(_) => self.problems.error_with_help(
                span,
                format!("`{}` waits for `{name}`, which is not enabled", outline.name),
                format!("enable `{name}`, or remove it from `after`"),
            ),
            None => {
                let known = outlines.iter().map(|other| other.name.as_str());
                let help = suggest::nearest(name, known).map_or_else(
                    || "`after` takes the names of apps in this file".to_owned(),
                    |near| format!("did you mean `{near}`?"),
                );
                let message =
                    format!("`{}` waits for `{name}`, which does not exist", outline.name);
                self.problems.error_with_help(span, message, help);
            }
        }
    }
}

/// The dependencies as written; [`Check::order`] checks all of them together.
pub(super) fn after(table: &file::App) -> Vec<After> {
    let written = table.after.as_deref().unwrap_or_default();
    written
        .iter()
        .filter_map(|at| {
            let (name, until) = edge(&at.value);
            let until = match until {
                Some(file::Until::Started) => Until::Started,
                Some(file::Until::Finished) => Until::Finished,
                Some(file::Until::Ready) | None => Until::Ready,
            };
            AppName::new(name).map(|app| After { app, until })
        })
        .collect()
}

fn edge(after: &TextOr<file::After>) -> (&str, Option<file::Until>) {
    match after {
        TextOr::Text(name) => (name, None),
        TextOr::Other(table) => (&table.app, table.until),
    }
}

/// Each cycle of two or more apps once, as positions, beginning with its first app in the file.
fn cycles(outlines: &[Outline<'_>]) -> Vec<Vec<usize>> {
    let position = |name: &str| outlines.iter().position(|outline| outline.name.as_str() == name);
    let edges: Vec<Vec<usize>> = outlines
        .iter()
        .enumerate()
        .map(|(at, outline)| {
            let names = outline.table.after.iter().flatten().map(|after| edge(&after.value).0);
            names.filter_map(position).filter(|to| *to != at).collect()
        })
        .collect();
    let mut search = Search { edges: &edges, done: vec![false; edges.len()], path: Vec::new() };
    let mut found = Vec::new();
    for start in 0..edges.len() {
        search.visit(start, &mut found);
    }
    found
}

struct Search<'e> {
    edges: &'e [Vec<usize>],
    done: Vec<bool>,
    path: Vec<usize>,
}

impl Search<'_> {
    fn visit(&mut self, node: usize, found: &mut Vec<Vec<usize>>) {
        if let Some(at) = self.path.iter().position(|seen| *seen == node) {
            let mut cycle = self.path[at..].to_vec();
            let first =
                cycle.iter().enumerate().min_by_key(|(_, node)| **node).map_or(0, |(at, _)| at);
            cycle.rotate_left(first);
            found.push(cycle);
            return;
        }
        if self.done[node] {
            return;
        }
        self.path.push(node);
        for next in &self.edges[node] {
            self.visit(*next, found);
        }
        self.path.pop();
        self.done[node] = true;
    }
}
