//! The dependency graph: which app may start, and which app may stop.
//!
//! Pure. The check of the configuration refuses cycles. With a cycle, its members would wait for
//! ever, but nothing here would loop.

use std::borrow::Borrow;
use std::time::Duration;

use super::turn::Urgency;
use crate::config::{App, AppName, Until};

/// The dependencies of all apps, by their index in the list.
#[derive(Debug, Default)]
pub(super) struct Order {
    needs: Vec<Vec<(usize, Until)>>,
    needed_by: Vec<Vec<usize>>,
    /// Length of the longest chain of dependencies below each app.
    depth: Vec<u32>,
    urgency: Vec<Urgency>,
}

impl Order {
    /// `last` is stopped after all apps that it does not need itself, as if these apps needed it.
    pub(super) fn new(apps: &[impl Borrow<App>], last: Option<&AppName>) -> Self {
        let apps: Vec<&App> = apps.iter().map(Borrow::borrow).collect();
        let index = |name: &AppName| apps.iter().position(|app| app.name == *name);
        let needs: Vec<Vec<_>> = apps
            .iter()
            .map(|app| {
                let after = app.after.iter();
                after.filter_map(|after| Some((index(&after.app)?, after.until))).collect()
            })
            .collect();
        let mut below: Vec<Vec<usize>> =
            needs.iter().map(|needs| needs.iter().map(|(index, _)| *index).collect()).collect();
        let mut urgency = vec![Urgency::default(); apps.len()];
        for app in 0..apps.len() {
            for need in closure(&below, app).into_iter().skip(1) {
                urgency[need].dependents += 1;
            }
        }
        if let Some(last) = last.and_then(index) {
            let spared = closure(&below, last);
            for app in &spared {
                urgency[*app].for_issuer = true;
            }
            for (app, below) in below.iter_mut().enumerate() {
                if !spared.contains(&app) && !below.contains(&last) {
                    below.push(last);
                }
            }
        }
        let mut needed_by = vec![Vec::new(); apps.len()];
        for (app, below) in below.iter().enumerate() {
            for need in below {
                needed_by[*need].push(app);
            }
        }
        Self { depth: depths(&below), needs, needed_by, urgency }
    }

    /// Whether all dependencies of the app are met.
    pub(super) fn may_start(&self, app: usize, met: impl Fn(usize, Until) -> bool) -> bool {
        self.needs[app].iter().all(|(need, until)| met(*need, *until))
    }

    /// What waits for the app.
    pub(super) fn urgency(&self, app: usize) -> Urgency {
        self.urgency[app]
    }

    /// Whether all apps that need this app are down.
    pub(super) fn may_stop(&self, app: usize, down: impl Fn(usize) -> bool) -> bool {
        self.needed_by[app].iter().all(|other| down(*other))
    }

    /// The app's share of the remaining time. Each layer below gets the same share, so that every
    /// app receives its stop signal before it is killed, however long the layers above take.
    pub(super) fn share(&self, app: usize, left: Duration) -> Duration {
        left / (self.depth[app] + 1)
    }
}

/// The app and all apps that it needs, directly or not.
fn closure(below: &[Vec<usize>], app: usize) -> Vec<usize> {
    let mut found = vec![app];
    let mut at = 0;
    while let Some(next) = found.get(at) {
        at += 1;
        for need in &below[*next] {
            if !found.contains(need) {
                found.push(*need);
            }
        }
    }
    found
}

fn depths(below: &[Vec<usize>]) -> Vec<u32> {
    let mut depth = vec![0; below.len()];
    // As many rounds as there can be layers: enough without cycles, and finite with them.
    for _ in below {
        for (app, below) in below.iter().enumerate() {
            let deepest = below.iter().map(|need| depth[*need] + 1).max();
            depth[app] = deepest.unwrap_or(0);
        }
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::supervisor::sample_apps as samples;

    /// `db`, `keycloak` after `db`, `a` and `b` after `a`.
    fn stack() -> Vec<App> {
        [("db", ""), ("keycloak", "db"), ("a", ""), ("b", "a")]
            .map(|(name, need)| samples::after(samples::app(name, &["true"]), need, Until::Ready))
            .into()
    }

    #[test]
    fn an_app_starts_after_its_dependencies() {
        let order = Order::new(&stack(), None);
        let may = |app, up: &[usize]| order.may_start(app, |need, _| up.contains(&need));
        assert!(may(0, &[]) && may(2, &[]) && !may(1, &[]) && !may(3, &[0, 1]));
        assert!(may(1, &[0]) && may(3, &[2]));
    }

    #[test]
    fn an_app_stops_before_its_dependencies_and_the_issuer_stops_last() {
        let apps = stack();
        let order = Order::new(&apps, Some(&apps[1].name));
        let may = |app, down: &[usize]| order.may_stop(app, |other| down.contains(&other));
        assert!(may(3, &[]) && !may(2, &[]) && !may(1, &[3]) && !may(0, &[2, 3]));
        assert!(may(2, &[3]) && may(1, &[2, 3]) && may(0, &[1, 2, 3]));
    }

    #[test]
    fn each_layer_gets_its_share_of_the_budget() {
        let apps = stack();
        let order = Order::new(&apps, Some(&apps[1].name));
        let left = Duration::from_secs(8);
        let shares: Vec<_> = (0..4).map(|app| order.share(app, left).as_secs()).collect();
        assert_eq!(shares, [8, 4, 2, 2]);
    }

    #[test]
    fn the_issuer_and_what_it_needs_are_urgent_and_dependents_count() {
        let apps = stack();
        let urgency = |last| {
            let order = Order::new(&apps, last);
            let of = (0..4).map(|app| order.urgency(app));
            of.map(|one| (one.for_issuer, one.dependents)).collect::<Vec<_>>()
        };
        let dependents = [1, 0, 1, 0];
        let with =
            |for_issuer: [bool; 4]| for_issuer.into_iter().zip(dependents).collect::<Vec<_>>();
        assert_eq!(urgency(None), with([false; 4]));
        assert_eq!(urgency(Some(&apps[1].name)), with([true, true, false, false]));
    }

    #[test]
    fn a_cycle_does_not_hang() {
        let cycle = [("a", "b"), ("b", "a")]
            .map(|(name, need)| samples::after(samples::app(name, &["true"]), need, Until::Ready));
        let order = Order::new(&cycle, Some(&cycle[0].name));
        assert!(!order.may_start(0, |_, _| false));
    }
}
