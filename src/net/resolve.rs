//! The addresses of a name, asked anew for each connection.
//!
//! A resolver that is slow keeps one thread busy for each name, and no worker: connections that need the
//! same name at the same time wait for one look-up. While the resolver does not answer, or fails, the last
//! addresses are used for a bounded time.

use std::collections::HashMap;
use std::future::{Future as _, poll_fn};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::threads::blocking;

/// How long a look-up is waited for if the addresses were known before.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long after they were found the addresses may be used without the resolver.
const KEPT: Duration = Duration::from_mins(1);
/// Most names that are remembered. They come from the configuration; a reload may bring others.
const MOST: usize = 1024;

static NAMES: LazyLock<Mutex<HashMap<String, Arc<Name>>>> = LazyLock::new(Mutex::default);

/// What is known of a name.
#[derive(Debug, Default)]
struct Name {
    /// A look-up is under way.
    is_asked: AtomicBool,
    known: watch::Sender<Known>,
}

#[derive(Debug, Clone, Default)]
struct Known {
    /// The outcome of the last look-up.
    last: Option<Result<Vec<IpAddr>, (ErrorKind, String)>>,
    /// The last addresses, and when they were found.
    found: Option<(Vec<IpAddr>, Instant)>,
}

impl Known {
    fn note(&mut self, outcome: io::Result<Vec<IpAddr>>, now: Instant) {
        if let Ok(found) = &outcome {
            self.found = Some((found.clone(), now));
        }
        self.last = Some(outcome.map_err(|error| (error.kind(), error.to_string())));
    }

    /// The last addresses, while they may still be used.
    fn kept(&self, now: Instant) -> Option<Vec<IpAddr>> {
        let (found, at) = self.found.as_ref()?;
        (now < *at + KEPT).then(|| found.clone())
    }
}

/// The addresses of a host and a port. The caller limits the time.
///
/// # Errors
///
/// The name has no address, or the resolver fails.
pub(super) async fn resolve(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let asked = host.to_owned();
    let look_up = move || {
        let found = (asked.as_str(), 0).to_socket_addrs()?;
        Ok(found.map(|address| address.ip()).collect())
    };
    let found = addresses(&name(host), look_up).await?;
    Ok(found.into_iter().map(|address| SocketAddr::new(address, port)).collect())
}

fn name(host: &str) -> Arc<Name> {
    let mut names = NAMES.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(name) = names.get(host) {
        return Arc::clone(name);
    }
    if names.len() >= MOST {
        // What is in use now has another owner.
        names.retain(|_, name| Arc::strong_count(name) > 1);
    }
    Arc::clone(names.entry(host.to_owned()).or_default())
}

async fn addresses(
    name: &Arc<Name>,
    look_up: impl FnOnce() -> io::Result<Vec<IpAddr>> + Send + 'static,
) -> io::Result<Vec<IpAddr>> {
    let mut told = name.known.subscribe();
    if !name.is_asked.swap(true, Ordering::AcqRel) {
        let name = Arc::clone(name);
        let mut work = pin!(blocking(move || {
            let outcome = look_up();
            // A connection that asks from now on begins the next look-up.
            name.is_asked.store(false, Ordering::Release);
            name.known.send_modify(|known| known.note(outcome, Instant::now()));
        }));
        // Begins the work, which goes on also if this connection is given up.
        poll_fn(|cx| {
            let _ = work.as_mut().poll(cx);
            Poll::Ready(())
        })
        .await;
    }
    let kept = told.borrow().kept(Instant::now());
    let is_told = match &kept {
        Some(_) => timeout(PATIENCE, told.changed()).await.is_ok(),
        None => told.changed().await.is_ok(),
    };
    let last = told.borrow().last.clone().filter(|_| is_told);
    match (last, kept) {
        (Some(Ok(found)), _) | (_, Some(found)) => Ok(found),
        (Some(Err((kind, why))), None) => Err(io::Error::new(kind, why)),
        (None, None) => Err(ErrorKind::TimedOut.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;
    use std::sync::mpsc;

    use super::*;

    const OLD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));
    const NEW: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2));

    #[tokio::test]
    async fn every_connection_asks_anew() {
        let name = Arc::default();
        assert_eq!(addresses(&name, || Ok(vec![OLD])).await.unwrap(), [OLD]);
        assert_eq!(addresses(&name, || Ok(vec![NEW])).await.unwrap(), [NEW]);
    }

    #[tokio::test]
    async fn connections_at_the_same_time_share_one_look_up() {
        let (name, asked) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
        let (release, released) = mpsc::channel::<()>();
        let first = {
            let asked = Arc::clone(&asked);
            addresses(&name, move || {
                asked.fetch_add(1, Ordering::SeqCst);
                let _ = released.recv();
                Ok(vec![OLD])
            })
        };
        let others = (0..50).map(|_| {
            let asked = Arc::clone(&asked);
            addresses(&name, move || {
                asked.fetch_add(1, Ordering::SeqCst);
                Ok(vec![NEW])
            })
        });
        let others = futures_util::future::join_all(others);
        let release = async {
            tokio::task::yield_now().await;
            drop(release);
        };
        let (first, others, ()) = tokio::join!(first, others, release);
        assert_eq!(first.unwrap(), [OLD]);
        assert!(others.into_iter().all(|found| found.unwrap() == [OLD]));
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn known_addresses_are_used_for_a_while_without_the_resolver() {
        let name = Arc::<Name>::default();
        let began = Instant::now();
        name.known_now(OLD);
        let (release, released) = mpsc::channel::<()>();
        let slow = move || {
            let _ = released.recv();
            Ok(vec![NEW])
        };
        assert_eq!(addresses(&name, slow).await.unwrap(), [OLD]);
        assert!(began.elapsed() <= 2 * PATIENCE);
        let mut told = name.known.subscribe();
        drop(release);
        told.changed().await.unwrap();
        let failing = || Err(ErrorKind::NotFound.into());
        assert_eq!(addresses(&name, failing).await.unwrap(), [NEW]);
        tokio::time::advance(KEPT).await;
        let error = addresses(&name, failing).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    impl Name {
        fn known_now(&self, address: IpAddr) {
            self.known.send_modify(|known| known.note(Ok(vec![address]), Instant::now()));
        }
    }

    #[tokio::test]
    async fn an_address_needs_no_resolver() {
        assert_eq!(resolve("::1", 80).await.unwrap(), ["[::1]:80".parse().unwrap()]);
        assert!(resolve("localhost", 80).await.unwrap().iter().all(|one| one.ip().is_loopback()));
        assert!(resolve("no name", 80).await.is_err());
    }
}
