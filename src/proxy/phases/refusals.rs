//! The newest refused requests, for the question why somebody was denied.
//!
//! Memory is bounded. Requests of people who are signed in have room of their own, so that strangers
//! cannot displace them.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

/// How many refusals are kept of people who are signed in, as many of strangers, and how many are shown.
const KEPT: usize = 100;
/// How many of them are of one person, or of strangers, at one app: nobody displaces all others.
const KEPT_OF_ONE: usize = 20;
/// The longest text that is kept, bytes. A path can have 16 KiB.
const LONGEST: usize = 512;

/// The newest refusals. Filled by the requests that are refused, and by no others.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    /// Counts all refusals, for their order.
    count: u64,
    people: VecDeque<(u64, Refused)>,
    strangers: VecDeque<(u64, Refused)>,
}

/// A request that was answered with 401 or 403.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Refused {
    /// RFC 3339.
    pub ts: String,
    /// The person who is signed in.
    pub user: Option<String>,
    /// The app that the request was for; `None` for the appliance itself.
    pub app: Option<String>,
    /// The path without the query.
    pub path: String,
    /// Why the request was refused.
    pub reason: String,
    /// `X-Request-Id`
    pub request_id: String,
}

impl Refusals {
    /// Remembers a refusal.
    pub(crate) fn note(&self, refused: Refused) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.count += 1;
        let at = kept.count;
        let ring = if refused.user.is_some() { &mut kept.people } else { &mut kept.strangers };
        let is_like =
            |(_, one): &(u64, Refused)| one.user == refused.user && one.app == refused.app;
        let alike = ring.iter().filter(|one| is_like(one)).count();
        if alike == KEPT_OF_ONE
            && let Some(oldest) = ring.iter().position(is_like)
        {
            ring.remove(oldest);
        } else if ring.len() == KEPT {
            ring.pop_front();
        }
        ring.push_back((at, refused));
    }

    /// The newest refusals of the apps that are asked for, the newest first. Those of people go before
    /// those of strangers where not all are shown.
    pub(crate) fn newest(&self, is_asked: impl Fn(Option<&str>) -> bool) -> Vec<Refused> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = kept.people.iter().rev().chain(kept.strangers.iter().rev());
        let asked = newest.filter(|(_, refused)| is_asked(refused.app.as_deref()));
        let mut shown: Vec<_> = asked.take(KEPT).cloned().collect();
        drop(kept);
        shown.sort_unstable_by_key(|(at, _)| std::cmp::Reverse(*at));
        shown.into_iter().map(|(_, refused)| refused).collect()
    }
}

/// The beginning of a text that a client or an issuer chooses.
pub(crate) fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    format!("{}…", &text[..text.floor_char_boundary(LONGEST)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(user: Option<&str>, app: Option<&str>, number: usize) -> Refused {
        Refused {
            ts: String::new(),
            user: user.map(str::to_owned),
            app: app.map(str::to_owned),
            path: format!("/{number}"),
            reason: String::new(),
            request_id: String::new(),
        }
    }

    fn paths(refusals: &Refusals) -> Vec<String> {
        refusals.newest(|_| true).into_iter().map(|one| one.path).collect()
    }

    #[test]
    fn strangers_do_not_displace_people() {
        let refusals = Refusals::default();
        refusals.note(refused(Some("bob"), Some("two"), 0));
        for number in 1..=1000 {
            refusals.note(refused(None, Some(&format!("app-{}", number % 40)), number));
        }
        let shown = paths(&refusals);
        assert_eq!(shown.len(), KEPT);
        assert_eq!((&*shown[0], &*shown[KEPT - 1]), ("/1000", "/0"));
        for number in 0..1000 {
            refusals.note(refused(Some(&format!("eve-{}", number % 40)), None, number));
        }
        assert_eq!(paths(&refusals).len(), KEPT);
        assert!(!paths(&refusals).contains(&"/1000".to_owned()));
    }

    #[test]
    fn one_person_at_one_app_displaces_nobody() {
        let refusals = Refusals::default();
        refusals.note(refused(Some("bob"), Some("two"), 0));
        for number in 1..=1000 {
            refusals.note(refused(Some("eve"), Some("one"), number));
        }
        let shown = paths(&refusals);
        assert_eq!(shown.len(), KEPT_OF_ONE + 1);
        assert_eq!((&*shown[0], &*shown[KEPT_OF_ONE]), ("/1000", "/0"));
    }

    #[test]
    fn only_the_refusals_of_the_asked_apps_are_shown() {
        let refusals = Refusals::default();
        for (number, app) in [Some("two"), None, Some("other"), Some("two")].into_iter().enumerate()
        {
            refusals.note(refused(Some("bob"), app, number));
        }
        let of_two = refusals.newest(|app| app == Some("two"));
        assert_eq!(of_two.iter().map(|one| &*one.path).collect::<Vec<_>>(), ["/3", "/0"]);
    }

    #[test]
    fn a_long_text_is_cut_between_two_letters() {
        assert_eq!(shortened("/a"), "/a");
        let long = shortened(&"é".repeat(10_000));
        assert!(long.len() <= LONGEST + 3 && long.ends_with("é…"), "{}", long.len());
    }
}
