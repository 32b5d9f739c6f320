//! A limit on how much work runs at the same time, in total and for one client address.
//!
//! It is for work that strangers can cause and that occupies the issuer, a task and a socket.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use super::mutex::Mutex;
use crate::config::client_network;

/// How much runs at the same time, in total.
const MAX: usize = 64;
/// How much of it one client address may cause.
const MAX_PER_CLIENT: usize = 16;

/// The limit. Clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turnstile(Arc<State>);

#[derive(Debug, Default)]
struct State {
    inside: Mutex<Inside>,
    left: Notify,
}

#[derive(Debug, Default)]
struct Inside {
    total: usize,
    /// A client without work inside has no entry.
    by_client: HashMap<IpAddr, usize>,
}

/// Permission to run one piece of work. Dropping it lets the next one in.
#[derive(Debug)]
pub(crate) struct Pass {
    state: Arc<State>,
    client: Option<IpAddr>,
}

impl Turnstile {
    /// A pass for work that `client` causes; `None` if too much runs. A client without an address
    /// (a proxy in front on a unix socket) counts only in total.
    pub(crate) fn enter(&self, client: Option<IpAddr>) -> Option<Pass> {
        let client = client.map(client_network);
        let mut inside = self.0.inside.lock();
        if inside.total >= MAX {
            return None;
        }
        if let Some(client) = client {
            let theirs = inside.by_client.entry(client).or_default();
            if *theirs >= MAX_PER_CLIENT {
                return None;
            }
            *theirs += 1;
        }
        inside.total += 1;
        Some(Pass { state: self.0.clone(), client })
    }

    /// The same, waiting for at most `longest`.
    pub(crate) async fn enter_within(
        &self,
        client: Option<IpAddr>,
        longest: Duration,
    ) -> Option<Pass> {
        let entered = async {
            loop {
                // Registered before the attempt, so that a pass that is given back in between is
                // not missed.
                let left = self.0.left.notified();
                tokio::pin!(left);
                left.as_mut().enable();
                if let Some(pass) = self.enter(client) {
                    return pass;
                }
                left.await;
            }
        };
        tokio::time::timeout(longest, entered).await.ok()
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut inside = self.state.inside.lock();
        inside.total -= 1;
        if let Some(client) = self.client
            && let Some(theirs) = inside.by_client.get_mut(&client)
        {
            *theirs -= 1;
            if *theirs == 0 {
                inside.by_client.remove(&client);
            }
        }
        drop(inside);
        self.state.left.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(turnstile: &Turnstile, client: &str) -> Option<Pass> {
        turnstile.enter(Some(client.parse().unwrap()))
    }

    #[test]
    fn one_client_gets_a_part_and_all_together_get_the_whole() {
        let turnstile = Turnstile::default();
        let mut passes: Vec<_> = (0..100).filter_map(|_| enter(&turnstile, "10.0.0.1")).collect();
        assert_eq!(passes.len(), MAX_PER_CLIENT);
        for n in 2..100 {
            passes.extend(enter(&turnstile, &format!("10.0.0.{n}")));
        }
        assert_eq!(passes.len(), MAX);
        assert!(turnstile.enter(None).is_none());
        drop(passes);
        assert!(turnstile.enter(None).is_some());
        assert!(turnstile.0.inside.lock().by_client.is_empty());
    }

    #[test]
    fn addresses_of_one_network_are_one_client() {
        let turnstile = Turnstile::default();
        let passes: Vec<_> =
            (0..100).filter_map(|n| enter(&turnstile, &format!("2001:db8::{n:x}"))).collect();
        assert_eq!(passes.len(), MAX_PER_CLIENT);
        assert!(enter(&turnstile, "2001:db8:0:1::1").is_some());
        assert!(enter(&turnstile, "::ffff:10.0.0.1").is_some());
    }

    #[tokio::test]
    async fn who_waits_gets_the_next_pass_and_gives_up_in_time() {
        let turnstile = Turnstile::default();
        let client = Some("10.0.0.1".parse().unwrap());
        let mut passes: Vec<_> = std::iter::from_fn(|| turnstile.enter(client)).collect();
        let short = Duration::from_millis(20);
        assert!(turnstile.enter_within(client, short).await.is_none());
        let waiting = turnstile.enter_within(client, Duration::from_secs(5));
        let (pass, ()) = tokio::join!(waiting, async {
            tokio::time::sleep(short).await;
            passes.pop();
        });
        assert!(pass.is_some());
    }
}
