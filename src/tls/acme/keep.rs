//! The task that orders certificates: the first one, and each renewal at two thirds of the life of the
//! one before.

use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use tracing::{error, warn};

use super::account;
use super::attempt::Attempt;
use super::back_off::{self, BackOff, Subject};
use super::failure::{About, Failure};
use super::keeper::{Keeper, authority};
use super::order::Ways;
use crate::threads;
use crate::tls::certificate::Certificate;
use crate::tls::served::Served;

/// Longest time between two looks at the clock, because it may be set and the machine may sleep.
const MINUTE: Duration = Duration::from_mins(1);

/// Keeps the served certificates new; calls `tell_new` with each new one. Never returns.
pub(in crate::tls) async fn keep(
    keeper: &Keeper,
    served: &Served,
    provider: &CryptoProvider,
    tell_new: impl Fn(&Certificate),
) {
    let mut back_off = read_back_off(keeper).await;
    loop {
        let now = SystemTime::now();
        let pause = keeper.until_due(now).max(back_off.remaining(now));
        if !pause.is_zero() {
            tokio::time::sleep(pause.min(MINUTE)).await;
            continue;
        }
        let attempt = Attempt {
            keeper,
            served,
            provider,
            ways: Ways::of(keeper.redirects, back_off.failures),
            tell_new: &tell_new,
        };
        // After a failure, the hosts with a good certificate need no other one.
        let hosts = if back_off.failures == 0 { keeper.hosts.clone() } else { keeper.due(now) };
        // A crash meanwhile counts as a failure, too.
        back_off.fail(now);
        write_back_off(keeper, &back_off).await;
        let outcome = attempt.make(&hosts).await;
        let now = SystemTime::now();
        match outcome {
            Ok(()) if !keeper.until_due(now).is_zero() => back_off.succeed(),
            Ok(()) => {
                // Without a pause the authority would be asked without end.
                back_off.pause_from(now);
                warn!("the new certificate must be renewed already: is the clock right?");
            }
            Err(failure) => {
                let pause = back_off.pause_from(now);
                tell_failure(keeper, failure, pause);
            }
        }
        write_back_off(keeper, &back_off).await;
    }
}

async fn read_back_off(keeper: &Keeper) -> BackOff {
    let subject = Subject {
        directory: keeper.acme.directory.clone(),
        hosts: keeper.hosts.clone(),
        redirects: keeper.redirects,
    };
    let state_dir = keeper.state_dir.clone();
    let back_off = threads::blocking(move || BackOff::read(&state_dir, &subject)).await;
    let now = SystemTime::now();
    let remaining = back_off.remaining(now);
    if keeper.until_due(now).is_zero() && !remaining.is_zero() {
        warn!(
            failures = back_off.failures,
            next_try_in = %shown(remaining),
            "orders failed before this start, and the next one waits; to order at once, remove \
             `acme.retry` from `state_dir` and start again"
        );
    }
    back_off
}

async fn write_back_off(keeper: &Keeper, back_off: &BackOff) {
    let (state_dir, text) = (keeper.state_dir.clone(), back_off.text());
    let written = threads::blocking(move || back_off::write(&state_dir, &text)).await;
    if let Err(error) = written {
        error!(why = %error, "the pause after a failed order cannot be kept for the next start");
    }
}

fn tell_failure(keeper: &Keeper, Failure { why, about }: Failure, pause: Duration) {
    if about == About::Account {
        account::forget(&keeper.state_dir);
    }
    error!(
        names = keeper.due(SystemTime::now()).join(", "),
        authority = authority(&keeper.acme.directory),
        why,
        next_try_in = %shown(pause),
        "no certificate was issued"
    );
    keeper.failure.send_replace(Some(why));
}

fn shown(pause: Duration) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(pause.as_secs()))
}
