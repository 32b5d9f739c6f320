//! Sign-outs that browsers complete at the issuer.
//!
//! A browser takes an unguessable mark to the issuer, as `state`. The issuer sends the mark back with the
//! browser when it has ended its session (RP-Initiated Logout 1.0 section 3). The session then needs no
//! revocation: Keycloak logs a warning about one for a session that has already ended.

use std::collections::VecDeque;

use openidconnect::CsrfToken;
use tokio::sync::oneshot;

use crate::auth::runtime::Mutex;
use crate::auth::runtime::clock::{self, Millis};

/// How long a browser may take to come back, milliseconds. The mark of a later one stays in its address.
const LIFETIME: Millis = 10 * 60 * 1000;
/// How many browsers are expected at a time; the oldest is forgotten first.
const MAX: usize = 1024;

/// The browsers that are expected back.
#[derive(Default)]
pub(crate) struct Departures(Mutex<VecDeque<Departure>>);

struct Departure {
    mark: String,
    until: Millis,
    /// Where the browser wants to go.
    back: String,
    returned: oneshot::Sender<()>,
}

impl Departures {
    /// Expects a browser. Returns its mark, and what reports its return.
    pub(crate) fn depart(&self, back: &str) -> (String, oneshot::Receiver<()>) {
        let mark = CsrfToken::new_random().into_secret();
        let (returned, reported) = oneshot::channel();
        let now = clock::now();
        let mut expected = self.0.lock();
        expected.retain(|one| now < one.until);
        if expected.len() == MAX {
            expected.pop_front();
        }
        let back = back.to_owned();
        expected.push_back(Departure { mark: mark.clone(), until: now + LIFETIME, back, returned });
        (mark, reported)
    }

    /// Where a browser goes on that has come back to this path with this query. Each mark counts once.
    /// On its way to an issuer behind the appliance, the browser asks for another path with the mark.
    pub(crate) fn take_return(&self, path: &str, query: &str) -> Option<String> {
        let pairs = || form_urlencoded::parse(query.as_bytes());
        let mut states = pairs().filter(|(name, _)| name == "state").peekable();
        states.peek()?;
        if pairs().any(|(name, _)| name == "post_logout_redirect_uri") {
            return None;
        }
        let mut expected = self.0.lock();
        let at = states.find_map(|(_, mark)| {
            expected.iter().position(|one| one.mark == mark && one.leads_to(path))
        })?;
        let departure = expected.remove(at).filter(|one| clock::now() < one.until)?;
        // Fails if the revocation has begun.
        let _ = departure.returned.send(());
        Some(departure.back)
    }
}

impl Departure {
    fn leads_to(&self, path: &str) -> bool {
        let wanted = self.back.split(['?', '#']).next().unwrap_or_default();
        let origin = wanted.len().checked_sub(path.len()).map(|at| wanted.split_at_checked(at));
        origin
            .flatten()
            .is_some_and(|(origin, rest)| rest == path && origin.matches('/').count() == 2)
    }
}

impl std::fmt::Debug for Departures {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Departures({})", self.0.lock().len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_counts_once_and_cannot_be_guessed() {
        let departures = Departures::default();
        let (mark, mut reported) = departures.depart("http://a.test/x?y");
        let (other, _reported) = departures.depart("http://a.test/");
        assert!(mark.len() >= 20 && mark != other);
        let foreign = format!("state={mark}x");
        for query in ["", "x=1", "state=", "state=x", &mark, &format!("State={mark}"), &foreign] {
            assert_eq!(departures.take_return("/x", query), None, "{query}");
        }
        // The way to an issuer behind the appliance.
        let there = format!("id_token_hint=t&post_logout_redirect_uri=u&state={mark}");
        let own = format!("state={mark}");
        for (path, query) in [
            ("/auth/logout", &there),
            ("/x", &there),
            ("/auth/logout", &own),
            ("/", &own),
            ("", &own),
            ("/x/", &own),
            ("/a/x", &own),
            ("x", &own),
        ] {
            assert_eq!(departures.take_return(path, query), None, "{path} {query}");
        }
        assert!(reported.try_recv().is_err());
        let query = format!("y&state=own&state={mark}");
        assert_eq!(departures.take_return("/x", &query).as_deref(), Some("http://a.test/x?y"));
        assert!(reported.try_recv().is_ok());
        assert_eq!(departures.take_return("/x", &query), None);
    }

    #[test]
    fn the_number_of_expected_browsers_is_bounded() {
        let departures = Departures::default();
        let marks: Vec<_> =
            (0..=MAX).map(|at| departures.depart(&format!("http://a.test:{at}/")).0).collect();
        assert_eq!(departures.take_return("/", &format!("state={}", marks[0])), None);
        assert!(departures.take_return("/", &format!("state={}", marks[1])).is_some());
    }
}
