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

    /// Where a browser goes on that has come back with this query. Each mark counts once.
    pub(crate) fn take_return(&self, query: &str) -> Option<String> {
        let is_state = |(name, _): &(_, _)| name == "state";
        let mut states = form_urlencoded::parse(query.as_bytes()).filter(is_state).peekable();
        states.peek()?;
        let mut expected = self.0.lock();
        let at = states.find_map(|(_, mark)| expected.iter().position(|one| one.mark == mark))?;
        let departure = expected.remove(at).filter(|one| clock::now() < one.until)?;
        // Fails if the revocation has begun.
        let _ = departure.returned.send(());
        Some(departure.back)
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
        for query in [
            "",
            "x=1",
            "state=",
            "state=x",
            &mark,
            &format!("State={mark}"),
            &format!("state={mark}x"),
        ] {
            assert_eq!(departures.take_return(query), None, "{query}");
        }
        assert!(reported.try_recv().is_err());
        let query = format!("y&state=own&state={mark}");
        assert_eq!(departures.take_return(&query).as_deref(), Some("http://a.test/x?y"));
        assert!(reported.try_recv().is_ok());
        assert_eq!(departures.take_return(&query), None);
    }

    #[test]
    fn the_number_of_expected_browsers_is_bounded() {
        let departures = Departures::default();
        let marks: Vec<_> = (0..=MAX).map(|at| departures.depart(&at.to_string()).0).collect();
        assert_eq!(departures.take_return(&format!("state={}", marks[0])), None);
        assert!(departures.take_return(&format!("state={}", marks[1])).is_some());
    }
}
