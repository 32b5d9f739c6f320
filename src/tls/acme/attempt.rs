//! One attempt to get what is due: one certificate for all hosts, or after a refusal one for each host,
//! so that a host that the authority does not reach holds up no other one.

use std::time::SystemTime;

use instant_acme::Account;
use rustls::crypto::CryptoProvider;
use tracing::{error, info, warn};

use super::account;
use super::failure::{About, Failure};
use super::keeper::{Keeper, authority};
use super::kept::{self, Kept};
use super::order::{Ways, obtain, shown};
use crate::threads;
use crate::tls::certificate::Certificate;
use crate::tls::served::Served;

/// What an attempt needs.
pub(super) struct Attempt<'a, T> {
    pub(super) keeper: &'a Keeper,
    pub(super) served: &'a Served,
    pub(super) provider: &'a CryptoProvider,
    pub(super) ways: Ways,
    /// Called with each new certificate.
    pub(super) tell_new: &'a T,
}

impl<T: Fn(&Certificate)> Attempt<'_, T> {
    /// Orders certificates for these hosts.
    ///
    /// # Errors
    /// A host has got none. Others may have.
    pub(super) async fn make(&self, hosts: &[String]) -> Result<(), Failure> {
        self.announce(hosts);
        let account = account::open(&self.keeper.acme, &self.keeper.state_dir).await?;
        match self.order(&account, hosts).await {
            Err(Failure { why, about: About::Hosts(refused) }) if hosts.len() > 1 => {
                self.one_by_one(&account, hosts, refused, why).await
            }
            done => done,
        }
    }

    /// Orders a certificate for each host that needs one and was not refused just now.
    async fn one_by_one(
        &self,
        account: &Account,
        hosts: &[String],
        refused: Vec<String>,
        why: String,
    ) -> Result<(), Failure> {
        warn!(why, "an order was refused: each other host gets a certificate of its own");
        let mut reasons = if refused.is_empty() { Vec::new() } else { vec![why] };
        let mut all_refused = refused.clone();
        let due = self.keeper.due(SystemTime::now());
        let others = hosts.iter().filter(|host| due.contains(host) && !refused.contains(host));
        for host in others {
            match self.order(account, std::slice::from_ref(host)).await {
                Ok(()) => {}
                Err(Failure { why, about: About::Hosts(_) }) => {
                    reasons.push(why);
                    all_refused.push(host.clone());
                }
                // The next order would fail, too.
                Err(failure) => return Err(failure),
            }
        }
        if reasons.is_empty() {
            return Ok(());
        }
        Err(Failure::of_hosts(all_refused, reasons.join("; ")))
    }

    /// Orders one certificate, keeps it, and serves it.
    async fn order(&self, account: &Account, hosts: &[String]) -> Result<(), Failure> {
        let Self { keeper, ways, provider, .. } = self;
        let (key, chain) = obtain(account, hosts, ways, &keeper.challenges, provider).await?;
        let new = Kept::new(&keeper.acme.directory, &key, &chain, provider)
            .ok_or_else(|| Failure::new("the authority sent a chain that is not valid"))?;
        let certificate = new.certificate.clone();
        let issued = keeper.with(new);
        let (state_dir, text) = (keeper.state_dir.clone(), kept::text(&issued));
        let written = threads::blocking(move || kept::write(&state_dir, &text)).await;
        if let Err(error) = written {
            // The certificate is good; only a restart would order another one.
            error!(why = %error, "the new certificate cannot be kept for the next start");
        }
        keeper.hold(issued);
        self.served.replace(keeper.certificates());
        (self.tell_new)(&certificate);
        Ok(())
    }

    fn announce(&self, hosts: &[String]) {
        let checks: Vec<_> = self.ways.0.iter().map(shown).collect();
        info!(
            names = hosts.join(", "),
            authority = authority(&self.keeper.acme.directory),
            checks = checks.join(" or "),
            "{}",
            if self.keeper.awaited().is_some() {
                "waiting for a certificate"
            } else {
                "renewing the certificate"
            }
        );
    }
}
