//! The task that orders certificates: the first one, and each renewal at two thirds of the life of the
//! one before.

use std::time::{Duration, SystemTime};

use rustls::crypto::CryptoProvider;
use tracing::{error, info, warn};

use super::failure::Failure;
use super::keeper::{Keeper, authority};
use super::order::{Ways, obtain, shown};
use super::{account, back_off, kept};
use crate::threads;
use crate::tls::certificate::Certificate;
use crate::tls::served::Served;

/// Longest time between two looks at the clock, because it may be set and the machine may sleep.
const MINUTE: Duration = Duration::from_mins(1);

/// Keeps the served certificate new; calls `tell_new` after each change. Never returns.
pub(in crate::tls) async fn keep(
    keeper: &Keeper,
    served: &Served,
    provider: &CryptoProvider,
    tell_new: impl Fn(),
) {
    let mut failures = 0;
    loop {
        let pause = until_due(keeper, served);
        if !pause.is_zero() {
            tokio::time::sleep(pause.min(MINUTE)).await;
            continue;
        }
        let ways = Ways::of(keeper.redirects, failures);
        announce(keeper, &ways);
        match order(keeper, &ways, provider).await {
            Ok(certificate) => {
                served.replace(vec![certificate]);
                keeper.directory.send_replace(Some(keeper.acme.directory.clone()));
                tell_new();
                failures = if until_due(keeper, served).is_zero() { failures + 1 } else { 0 };
                if failures > 0 {
                    // Without a pause the authority would be asked without end.
                    warn!("the new certificate must be renewed already: is the clock right?");
                    tokio::time::sleep(back_off::pause(failures, fastrand::f64())).await;
                }
            }
            Err(failure) => {
                failures += 1;
                let pause = back_off::pause(failures, fastrand::f64());
                tell_failure(keeper, failure, pause);
                tokio::time::sleep(pause).await;
            }
        }
    }
}

fn tell_failure(keeper: &Keeper, Failure { why, is_about_account }: Failure, pause: Duration) {
    if is_about_account {
        account::forget(&keeper.state_dir);
    }
    let next = humantime::format_duration(Duration::from_secs(pause.as_secs()));
    error!(
        names = keeper.hosts.join(", "),
        authority = authority(&keeper.acme.directory),
        why,
        next_try_in = %next,
        "no certificate was issued"
    );
    keeper.failure.send_replace(Some(why));
}

/// How long the served certificate is good.
fn until_due(keeper: &Keeper, served: &Served) -> Duration {
    let now = SystemTime::now();
    let pauses = served.now().iter().map(|one| keeper.until_due(one, now)).min();
    pauses.unwrap_or_default()
}

fn announce(keeper: &Keeper, ways: &Ways) {
    let checks: Vec<_> = ways.0.iter().map(shown).collect();
    info!(
        names = keeper.hosts.join(", "),
        authority = authority(&keeper.acme.directory),
        checks = checks.join(" or "),
        "{}",
        if keeper.awaited().is_some() {
            "waiting for a certificate"
        } else {
            "renewing the certificate"
        }
    );
}

async fn order(
    keeper: &Keeper,
    ways: &Ways,
    provider: &CryptoProvider,
) -> Result<Certificate, Failure> {
    let account = account::open(&keeper.acme, &keeper.state_dir).await?;
    let (key, chain) = obtain(&account, &keeper.hosts, ways, &keeper.challenges, provider).await?;
    let text = kept::text(&keeper.acme.directory, &key, &chain);
    let parsed = kept::parse(&text, provider)
        .ok_or_else(|| Failure::new("the authority sent a chain that is not valid"))?;
    let state_dir = keeper.state_dir.clone();
    let written = threads::blocking(move || kept::write(&state_dir, &text)).await;
    if let Err(error) = written {
        // The certificate is good; only a restart would order another one.
        error!(why = %error, "the new certificate cannot be kept for the next start");
    }
    Ok(parsed.certificate)
}
