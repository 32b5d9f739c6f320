//! How many requests, and how many logins, one client may send in a time.
//!
//! A client is what a trusted proxy names, or the peer of the connection: an IPv4 address, or the /64
//! network of an IPv6 address. The known clients are bounded: of very many, each may begin anew.

use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::StateStore;
use governor::{Quota, RateLimiter};

use crate::config::{RateLimit, client_network};
use crate::proxy::answer::refusal::Refusal;

/// Logins of one client: many people may share an address, and each login asks the issuer.
const LOGINS: RateLimit = RateLimit {
    count: NonZeroU32::new(20).unwrap(),
    period: Duration::from_secs(1),
    burst: NonZeroU32::new(200).unwrap(),
};

/// Clients of one generation.
const CLIENTS: usize = 16 * 1024;

/// The limits, shared by all workers and kept over reloads.
#[derive(Debug)]
pub(crate) struct Rates {
    /// `[server] rate_limit`
    requests: Option<(RateLimit, Arc<Limiter>)>,
    logins: Arc<Limiter>,
}

/// What a request asks for, as far as its limit depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A health check, which has no limit.
    Health,
    /// To begin or to complete a login.
    Login,
    /// Anything else.
    Other,
}

type Limiter = RateLimiter<IpAddr, Clients, DefaultClock, NoOpMiddleware>;

/// What is known of each client. Those that have sent nothing for two generations are forgotten.
#[derive(Debug, Default)]
struct Clients(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    current: HashMap<IpAddr, Nanos>,
    before: HashMap<IpAddr, Nanos>,
}

impl Rates {
    /// `before`: the limits of the configuration that this one follows.
    pub(crate) fn new(limit: Option<RateLimit>, before: Option<&Self>) -> Self {
        let known = before.and_then(|before| before.requests.as_ref());
        let requests = limit.map(|limit| match known {
            Some((same, limiter)) if *same == limit => (limit, Arc::clone(limiter)),
            _ => (limit, limiter(limit)),
        });
        let logins = before.map_or_else(|| limiter(LOGINS), |before| Arc::clone(&before.logins));
        Self { requests, logins }
    }

    /// Counts a request.
    ///
    /// # Errors
    ///
    /// The client has sent too many.
    pub(crate) fn count(&self, client: Option<IpAddr>, purpose: Purpose) -> Result<(), Refusal> {
        let requests = self.requests.as_ref().map(|(_, limiter)| limiter);
        if let Some(requests) = requests.filter(|_| purpose != Purpose::Health) {
            take(requests, client, purpose == Purpose::Login)?;
        }
        if purpose == Purpose::Login { self.count_login(client) } else { Ok(()) }
    }

    /// Counts a login within a request that was counted.
    ///
    /// # Errors
    ///
    /// The client has sent too many.
    pub(crate) fn count_login(&self, client: Option<IpAddr>) -> Result<(), Refusal> {
        take(&self.logins, client, true)
    }
}

fn take(limiter: &Limiter, client: Option<IpAddr>, login: bool) -> Result<(), Refusal> {
    if let Some(client) = client.map(client_network) {
        limiter.check_key(&client).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now());
            let seconds = u32::try_from(wait.as_secs() + 1).unwrap_or(u32::MAX);
            Refusal::TooManyRequests { seconds, login }
        })?;
    }
    Ok(())
}

fn limiter(limit: RateLimit) -> Arc<Limiter> {
    let each = limit.period / limit.count.get();
    let quota = Quota::with_period(each).unwrap_or(Quota::per_second(limit.count));
    let quota = quota.allow_burst(limit.burst);
    Arc::new(RateLimiter::new(quota, Clients::default(), DefaultClock::default()))
}

impl StateStore for Clients {
    type Key = IpAddr;

    fn measure_and_replace<T, F, E>(&self, client: &IpAddr, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let mut generations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Generations { current, before } = &mut *generations;
        let known = current.get(client).or_else(|| before.get(client)).copied();
        let (decision, next) = decide(known)?;
        if current.len() >= CLIENTS && !current.contains_key(client) {
            *before = std::mem::take(current);
        }
        current.insert(*client, next);
        Ok(decision)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(count: u32, burst: u32) -> RateLimit {
        let [count, burst] = [count, burst].map(|number| NonZeroU32::new(number).unwrap());
        RateLimit { count, period: Duration::from_hours(1), burst }
    }

    fn admitted(rates: &Rates, client: &str, purpose: Purpose, requests: usize) -> usize {
        let client = Some(client.parse().unwrap());
        (0..requests).filter(|_| rates.count(client, purpose).is_ok()).count()
    }

    #[test]
    fn each_client_has_a_limit_of_its_own() {
        let rates = Rates::new(Some(limit(1, 3)), None);
        for (client, admits) in [
            ("192.0.2.1", 3),
            ("192.0.2.1", 0),
            ("::ffff:192.0.2.1", 0),
            ("192.0.2.2", 3),
            ("2001:db8::1", 3),
            ("2001:db8::2:1", 0),
            ("2001:db8:0:1::1", 3),
        ] {
            assert_eq!(admitted(&rates, client, Purpose::Other, 5), admits, "{client}");
        }
        assert_eq!(admitted(&rates, "192.0.2.1", Purpose::Health, 5), 5);
        assert!((0..9).all(|_| rates.count(None, Purpose::Other).is_ok()), "a unix socket");
        let refused = rates.count(Some("192.0.2.1".parse().unwrap()), Purpose::Other);
        let Err(Refusal::TooManyRequests { seconds, login: false }) = refused else { panic!() };
        assert!((3590..=3601).contains(&seconds), "{seconds}");
    }

    #[test]
    fn logins_have_a_limit_without_a_setting() {
        let rates = Rates::new(None, None);
        assert_eq!(admitted(&rates, "192.0.2.1", Purpose::Other, 1000), 1000);
        let logins = admitted(&rates, "192.0.2.1", Purpose::Login, 1000);
        assert!((200..300).contains(&logins), "{logins}");
        let strict = Rates::new(Some(limit(1, 2)), Some(&rates));
        assert_eq!(admitted(&strict, "192.0.2.2", Purpose::Login, 5), 2);
    }

    #[test]
    fn a_reload_keeps_what_is_known_unless_the_limit_changes() {
        let rates = Rates::new(Some(limit(1, 3)), None);
        assert_eq!(admitted(&rates, "192.0.2.1", Purpose::Other, 5), 3);
        let same = Rates::new(Some(limit(1, 3)), Some(&rates));
        assert_eq!(admitted(&same, "192.0.2.1", Purpose::Other, 5), 0);
        let other = Rates::new(Some(limit(1, 4)), Some(&same));
        assert_eq!(admitted(&other, "192.0.2.1", Purpose::Other, 5), 4);
    }

    #[test]
    fn the_known_clients_are_bounded() {
        let rates = Rates::new(Some(limit(1, 1)), None);
        let many = u32::try_from(CLIENTS * 3).unwrap();
        for number in 0..many {
            let client = std::net::Ipv4Addr::from_bits(number);
            assert!(rates.count(Some(client.into()), Purpose::Other).is_ok(), "{number}");
            if number % 1000 == 0 {
                assert_eq!(admitted(&rates, &client.to_string(), Purpose::Other, 1), 0);
            }
        }
        let (_, limiter) = rates.requests.unwrap();
        let clients = Arc::into_inner(limiter).unwrap().into_state_store();
        let known = clients.0.lock().unwrap();
        assert!(known.current.len() + known.before.len() <= 2 * CLIENTS);
    }
}
