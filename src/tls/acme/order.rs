//! One order: the checks of its hosts, and the certificate.

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, Challenge, ChallengeType, Identifier, NewOrder, Order,
    OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use rustls::crypto::CryptoProvider;

use super::failure::Failure;
use crate::tls::challenges::Challenges;

/// How long the authority may take for the checks.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_mins(3));
/// The same for the certificate itself.
const PATIENCE_TO_ISSUE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_hours(1));
/// How often the network may fail meanwhile.
const LOSSES: u32 = 10;
/// The pause after each time.
const LOSS_PAUSE: Duration = Duration::from_secs(30);

/// The kinds of check that the appliance can answer, the preferred one first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ways(pub(super) Vec<ChallengeType>);

impl Ways {
    /// `redirects`: the configuration has `redirect_http`. Where both kinds can be answered, each other
    /// try prefers http: perhaps only one port is reachable.
    pub(super) fn of(redirects: bool, failures: u32) -> Self {
        let (tls, http) = (ChallengeType::TlsAlpn01, ChallengeType::Http01);
        Self(match (redirects, failures % 2) {
            (false, _) => vec![tls],
            (true, 0) => vec![tls, http],
            (true, _) => vec![http, tls],
        })
    }

    fn choose(&self, offered: &[Challenge]) -> Option<&ChallengeType> {
        self.0.iter().find(|way| offered.iter().any(|one| one.r#type == **way))
    }
}

/// Stops the answers at the end of an order, also of one that is dropped.
struct Answering<'c>(&'c Challenges);

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        self.0.clear();
    }
}

/// Orders a certificate for these hosts. Returns its key and its chain as PEM.
pub(super) async fn obtain(
    account: &Account,
    hosts: &[String],
    ways: &Ways,
    challenges: &Challenges,
    provider: &CryptoProvider,
) -> Result<(String, String), Failure> {
    let identifiers: Vec<_> = hosts.iter().map(|host| identifier(host)).collect();
    let mut order = account.new_order(&NewOrder::new(&identifiers)).await?;
    let answering = Answering(challenges);
    prove(&mut order, ways, challenges, provider).await?;
    let ready = order.poll_ready(&PATIENCE).await;
    if !matches!(ready, Ok(OrderStatus::Ready)) {
        let (refused, refusals) = refusals(&mut order).await;
        return Err(match ready {
            _ if !refusals.is_empty() => Failure::of_hosts(refused, refusals.join("; ")),
            Err(error) => error.into(),
            Ok(status) => Failure::new(format!("the order is {status:?}")),
        });
    }
    drop(answering);
    let key = KeyPair::generate().map_err(|error| Failure::new(error.to_string()))?;
    let request = request(hosts, &key).map_err(|error| Failure::new(error.to_string()))?;
    order.finalize_csr(&request).await?;
    let chain = issued(&mut order).await?;
    Ok((key.serialize_pem(), chain))
}

/// Waits for the certificate. A network that fails for a moment does not end the order: another order
/// would be another certificate, and authorities count these.
async fn issued(order: &mut Order) -> Result<String, Failure> {
    for _ in 0..LOSSES {
        match order.poll_certificate(&PATIENCE_TO_ISSUE).await {
            Err(instant_acme::Error::Other(_)) => tokio::time::sleep(LOSS_PAUSE).await,
            done => return Ok(done?),
        }
    }
    Ok(order.poll_certificate(&PATIENCE_TO_ISSUE).await?)
}

fn identifier(host: &str) -> Identifier {
    host.parse().map_or_else(|_| Identifier::Dns(host.to_owned()), Identifier::Ip)
}

/// Answers the checks of the hosts that the authority has not checked lately.
async fn prove(
    order: &mut Order,
    ways: &Ways,
    challenges: &Challenges,
    provider: &CryptoProvider,
) -> Result<(), Failure> {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let host = authorization.identifier().to_string();
        let kind = ways.choose(&authorization.challenges).cloned().ok_or_else(|| {
            let why = format!("the authority offers no check of {host} that can be answered");
            Failure::of_hosts(vec![host.clone()], why)
        })?;
        let unanswered = || {
            let why = format!("the check {} of {host} cannot be answered", shown(&kind));
            Failure::of_hosts(vec![host.clone()], why)
        };
        let mut challenge = authorization.challenge(kind.clone()).ok_or_else(unanswered)?;
        let answer = challenge.key_authorization();
        challenges
            .offer(&kind, &host, &challenge.token, &answer, provider)
            .ok_or_else(unanswered)?;
        tracing::info!(host, check = shown(&kind), "the certificate authority checks a host");
        challenge.set_ready().await?;
    }
    Ok(())
}

/// The hosts whose checks failed, and what the authority says about them.
async fn refusals(order: &mut Order) -> (Vec<String>, Vec<String>) {
    let (mut hosts, mut found) = (Vec::new(), Vec::new());
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        if authorization.refresh().await.is_err() {
            continue;
        }
        let host = authorization.identifier().to_string();
        let failed = authorization.challenges.iter().filter_map(|one| {
            Some(format!("{host} by {}: {}", shown(&one.r#type), one.error.as_ref()?))
        });
        let known = found.len();
        found.extend(failed);
        if found.len() > known {
            hosts.push(host);
        }
    }
    (hosts, found)
}

/// The kind of a check as its standard names it.
pub(super) fn shown(kind: &ChallengeType) -> &str {
    match kind {
        ChallengeType::TlsAlpn01 => "tls-alpn-01",
        ChallengeType::Http01 => "http-01",
        _ => "unknown",
    }
}

fn request(hosts: &[String], key: &KeyPair) -> Result<Vec<u8>, rcgen::Error> {
    let mut params = CertificateParams::new(hosts.to_vec())?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params.serialize_request(key)?.der().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tls_comes_first_and_http_where_the_file_allows_it() {
        let (tls, http) = (ChallengeType::TlsAlpn01, ChallengeType::Http01);
        for (redirects, failures, wanted) in [
            (false, 0, vec![tls.clone()]),
            (false, 1, vec![tls.clone()]),
            (true, 0, vec![tls.clone(), http.clone()]),
            (true, 1, vec![http.clone(), tls.clone()]),
            (true, 2, vec![tls, http]),
        ] {
            assert_eq!(Ways::of(redirects, failures).0, wanted, "{redirects} {failures}");
        }
    }
}
