//! The state of the one link that makes an administrator. Pure: no clock, no file.
//!
//! Only the SHA-256 of the token is kept. The token has 256 random bits, so that its digest can be
//! neither guessed nor reversed.

use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use ring::digest::{SHA256, digest};
use ring::rand::{SecureRandom as _, SystemRandom};
use subtle::ConstantTimeEq as _;

/// How long a link is good.
pub(super) const GOOD_FOR: Duration = Duration::from_mins(30);

/// Bytes of a token and of its digest.
const LENGTH: usize = 32;

/// What became of the newest link.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Link {
    /// There was none yet, and nobody has looked whether one is needed.
    #[default]
    Never,
    /// It can be used until then.
    Offered(Offer),
    /// It was used, or the realm had people before the first one.
    Settled,
}

/// A link that was not used yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    /// SHA-256 of the token.
    pub(super) digest: [u8; LENGTH],
    /// When the link ends, seconds since 1970.
    pub(super) until: u64,
}

/// The system gives no random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NoRandomNumbers;

impl Link {
    /// Makes a link, which ends an earlier one. Returns the token, which is kept nowhere. `now`: seconds
    /// since 1970.
    pub(super) fn offer(now: u64) -> Result<(Self, String), NoRandomNumbers> {
        let mut random = [0; LENGTH];
        SystemRandom::new().fill(&mut random).map_err(|_| NoRandomNumbers)?;
        let token = BASE64_URL_SAFE_NO_PAD.encode(random);
        let until = now.saturating_add(GOOD_FOR.as_secs());
        Ok((Self::Offered(Offer { digest: digest_of(&token), until }), token))
    }

    /// Whether this token makes an administrator now. A clock that was set back makes no link last longer.
    pub(super) fn is_good(&self, token: &str, now: u64) -> bool {
        let Self::Offered(Offer { digest, until }) = self else { return false };
        let left = until.saturating_sub(now);
        let is_in_time = left > 0 && left <= GOOD_FOR.as_secs();
        bool::from(digest[..].ct_eq(&digest_of(token)[..])) && is_in_time
    }
}

fn digest_of(token: &str) -> [u8; LENGTH] {
    let found = digest(&SHA256, token.as_bytes());
    let mut bytes = [0; LENGTH];
    bytes.copy_from_slice(found.as_ref());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000;
    const MINUTE: u64 = 60;

    #[test]
    fn a_link_is_good_for_half_an_hour_until_it_is_used_or_replaced() {
        let (first, token) = Link::offer(NOW).unwrap();
        let (second, other) = Link::offer(NOW).unwrap();
        assert_eq!(BASE64_URL_SAFE_NO_PAD.decode(&token).unwrap().len(), 32);
        for (state, link, asked, now, good) in [
            ("made", &first, &token, NOW, true),
            ("almost over", &first, &token, NOW + 30 * MINUTE - 1, true),
            ("expired", &first, &token, NOW + 30 * MINUTE, false),
            ("long expired", &first, &token, u64::MAX, false),
            ("the clock was set back", &first, &token, NOW - 1, false),
            ("another token", &first, &other, NOW, false),
            ("no token", &first, &String::new(), NOW, false),
            ("a part", &first, &token[..20].to_owned(), NOW, false),
            ("replaced", &second, &token, NOW, false),
            ("the newer one", &second, &other, NOW, true),
            ("used", &Link::Settled, &token, NOW, false),
            ("never made", &Link::Never, &token, NOW, false),
        ] {
            assert_eq!(link.is_good(asked, now), good, "{state}");
        }
    }

    #[test]
    fn the_state_does_not_hold_the_token() {
        let (link, token) = Link::offer(NOW).unwrap();
        assert!(!format!("{link:?}").contains(&token));
    }
}
