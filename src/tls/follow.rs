//! Keeps the certificates new: what a renewal writes to the files is served without a reload, and the
//! appliance renews those of its own authority.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tracing::{debug, error, info, warn};

use super::certificate::Certificate;
use super::front::{Front, Source};
use super::own_ca::OwnCa;
use super::stamp::{Stamps, stamps};
use crate::config::CertificateFiles;
use crate::threads::blocking;

/// Time between two looks at the files.
const INTERVAL: Duration = Duration::from_secs(2);
/// Time between two looks at the clock.
const MINUTE: Duration = Duration::from_mins(1);

/// Keeps the certificates of the newest front new, for as long as there is one. Returns when no newer one can
/// come.
pub async fn follow(mut fronts: watch::Receiver<Option<Arc<Front>>>) {
    loop {
        let front = fronts.borrow_and_update().clone();
        let following = async {
            match front.clone() {
                Some(front) => follow_one(front).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = following => {}
            () = replaced(&mut fronts, front.as_ref()) => {}
        }
        if fronts.has_changed().is_err() {
            return;
        }
    }
}

/// Waits for another front. After a reload that keeps this one, an order goes on.
async fn replaced(fronts: &mut watch::Receiver<Option<Arc<Front>>>, known: Option<&Arc<Front>>) {
    while fronts.changed().await.is_ok() {
        let newest = fronts.borrow_and_update();
        if newest.as_ref().map(Arc::as_ptr) != known.map(Arc::as_ptr) {
            return;
        }
    }
}

async fn follow_one(front: Arc<Front>) {
    warn_of_end(&front);
    match front.source() {
        Source::Files { files, seen } => follow_files(&front, files.clone(), seen.clone()).await,
        Source::OwnCa { ca, hosts } => renew(&front, ca, hosts).await,
        Source::Acme(keeper) => {
            let tell = |new: &Certificate| {
                tell_one(new.named());
                warn_of_end(&front);
            };
            front.keep(keeper, tell).await;
        }
    }
}

async fn follow_files(front: &Arc<Front>, files: Vec<CertificateFiles>, seen: Stamps) {
    let files: Arc<[CertificateFiles]> = files.into();
    let mut known = Known { seen, untold: None };
    loop {
        tokio::time::sleep(INTERVAL).await;
        let (front, files) = (Arc::clone(front), Arc::clone(&files));
        let looking = blocking(move || {
            if front.has_ended_response(SystemTime::now())
                && let Err(error) = front.read_again(&files)
            {
                debug!(why = %error, "an OCSP response is over, and the certificate files cannot be used");
            }
            match known.look(stamps(&files), || front.read_again(&files)) {
                Finding::Nothing => {}
                Finding::Replaced => tell_new(&front),
                Finding::Broken(error) => error!(
                    why = %error,
                    "the certificate files have changed and cannot be used, the certificates stay as they were"
                ),
            }
            known
        });
        known = looking.await;
    }
}

/// Looks at the clock often, because it may be set and the machine may sleep.
async fn renew(front: &Front, ca: &OwnCa, hosts: &[String]) {
    let mut pause = MINUTE;
    loop {
        tokio::time::sleep(pause).await;
        pause = MINUTE;
        match front.renew(ca, hosts, SystemTime::now()) {
            Ok(true) => tell_new(front),
            Ok(false) => {}
            Err(error) => {
                error!(why = %error, "the certificate cannot be renewed, next try in an hour");
                pause = 60 * MINUTE;
            }
        }
    }
}

fn tell_new(front: &Front) {
    front.certificates().into_iter().for_each(tell_one);
    warn_of_end(front);
}

fn tell_one((name, expires): (String, SystemTime)) {
    info!(name, expires = %timestamp(expires), "a new certificate is served");
}

fn warn_of_end(front: &Front) {
    for (name, end) in front.expiring() {
        let expires = timestamp(end);
        if end <= SystemTime::now() {
            warn!(name, %expires, "a certificate has expired, and browsers refuse it: renew it");
        } else {
            warn!(name, %expires, "a certificate expires soon: renew it");
        }
    }
}

fn timestamp(at: SystemTime) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_seconds(at)
}

/// What is known of the files.
#[derive(Debug)]
struct Known<E> {
    /// The files that were read last.
    seen: Stamps,
    /// Why they cannot be used. A renewal writes one file after the other, so this is told at the next
    /// look, if the files are still the same.
    untold: Option<E>,
}

#[derive(Debug, PartialEq)]
enum Finding<E> {
    Nothing,
    Replaced,
    Broken(E),
}

impl<E> Known<E> {
    fn look(&mut self, found: Stamps, read: impl FnOnce() -> Result<(), E>) -> Finding<E> {
        if found == self.seen {
            return self.untold.take().map_or(Finding::Nothing, Finding::Broken);
        }
        self.seen = found;
        match read() {
            Ok(()) => {
                self.untold = None;
                Finding::Replaced
            }
            Err(error) => {
                self.untold = Some(error);
                Finding::Nothing
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each look: size of the file, whether it can be used, and what is found.
    #[test]
    fn changes_are_used_at_once_and_broken_files_are_told_once() {
        let mut known = Known { seen: Stamps::of_size(1), untold: None };
        for (size, usable, finding) in [
            (1, true, Finding::Nothing),
            (2, true, Finding::Replaced),
            (2, true, Finding::Nothing),
            // A key whose certificate follows.
            (3, false, Finding::Nothing),
            (4, true, Finding::Replaced),
            (5, false, Finding::Nothing),
            (5, false, Finding::Broken("why")),
            (5, false, Finding::Nothing),
            (6, false, Finding::Nothing),
            (7, true, Finding::Replaced),
            (7, true, Finding::Nothing),
        ] {
            let found =
                known.look(Stamps::of_size(size), || if usable { Ok(()) } else { Err("why") });
            assert_eq!(found, finding, "{size}");
        }
    }
}
