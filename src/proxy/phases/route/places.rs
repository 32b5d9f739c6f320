//! The places of requests that wait for an app, so that their number is bounded.
//!
//! No client address takes more than half of the places, and a quarter is kept for people with a session:
//! strangers cannot keep them from waiting.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use crate::config::client_network;

/// Most requests that wait for one app.
pub(super) const MAX_PER_APP: usize = 128;
/// Most requests that wait for all apps.
pub(crate) const MAX_IN_ALL: usize = 512;

/// Who waits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiter {
    /// `None` on a unix socket.
    pub(crate) address: Option<IpAddr>,
    /// The request has a session.
    pub(crate) signed_in: bool,
}

/// A number of places.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    in_all: usize,
    by_strangers: usize,
    /// Keys are networks of one client.
    by_client: HashMap<IpAddr, usize>,
}

/// A taken place; it is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place<'a> {
    places: &'a Places,
    waiter: Waiter,
}

impl Places {
    pub(crate) fn new(most: usize) -> Self {
        Self { most, taken: Mutex::default() }
    }

    /// A place, if one is free for this waiter.
    pub(super) fn take(&self, waiter: Waiter) -> Option<Place<'_>> {
        let waiter = Waiter { address: waiter.address.map(client_network), ..waiter };
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let of_client = |ip| taken.by_client.get(&ip).copied().unwrap_or(0);
        let strangers_may = waiter.signed_in || taken.by_strangers < self.most - self.most / 4;
        let client_may = waiter.address.is_none_or(|ip| of_client(ip) < self.most / 2);
        if taken.in_all >= self.most || !strangers_may || !client_may {
            return None;
        }
        taken.in_all += 1;
        taken.by_strangers += usize::from(!waiter.signed_in);
        if let Some(ip) = waiter.address {
            *taken.by_client.entry(ip).or_default() += 1;
        }
        Some(Place { places: self, waiter })
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock().unwrap_or_else(PoisonError::into_inner);
        taken.in_all -= 1;
        taken.by_strangers -= usize::from(!self.waiter.signed_in);
        if let Some(ip) = self.waiter.address
            && let Some(count) = taken.by_client.get_mut(&ip)
        {
            *count -= 1;
            if *count == 0 {
                taken.by_client.remove(&ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stranger(address: &str) -> Waiter {
        Waiter { address: address.parse().ok(), signed_in: false }
    }

    fn person(address: &str) -> Waiter {
        Waiter { signed_in: true, ..stranger(address) }
    }

    /// How many of `asking` requests get a place, beside `before`.
    fn given(places: &Places, waiter: Waiter, asking: usize) -> Vec<Place<'_>> {
        (0..asking).map_while(|_| places.take(waiter)).collect()
    }

    #[test]
    fn no_client_takes_all_places() {
        for (own, sibling) in [
            ("192.0.2.1", "192.0.2.1"),
            ("192.0.2.1", "::ffff:192.0.2.1"),
            ("2001:db8::1", "2001:db8::ffff:1"),
        ] {
            for waiter in [stranger, person] {
                let places = Places::new(8);
                let held = given(&places, waiter(own), 8);
                assert_eq!(held.len(), 4, "{own}");
                assert!(places.take(waiter(sibling)).is_none(), "{own}");
                for other in ["192.0.2.2", "2001:db8:0:1::1", "none"] {
                    assert!(places.take(waiter(other)).is_some(), "{own} {other}");
                }
                drop(held);
                assert!(places.take(waiter(sibling)).is_some(), "{own}");
                assert!(places.taken.lock().unwrap().by_client.is_empty());
            }
        }
    }

    #[test]
    fn strangers_leave_places_to_people_with_a_session() {
        let places = Places::new(8);
        let strangers: Vec<_> =
            (0..8).map_while(|at| places.take(stranger(&format!("192.0.2.{at}")))).collect();
        assert_eq!(strangers.len(), 6);
        let people = given(&places, person("198.51.100.1"), 8);
        assert_eq!(people.len(), 2);
        assert!(places.take(person("198.51.100.2")).is_none());
        drop((strangers, people));
        // Without strangers, people have all places. On a unix socket no address tells them apart.
        assert_eq!(given(&places, person("none"), 9).len(), 8);
        let taken = places.taken.lock().unwrap();
        assert_eq!((taken.in_all, taken.by_strangers), (0, 0));
    }
}
