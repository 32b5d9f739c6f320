//! Pauses that GitHub asks for. It limits the requests of each person, and who goes on asking may be shut
//! out: <https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api>.

use std::collections::HashMap;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use sha2::{Digest as _, Sha256};

use crate::auth::runtime::Mutex;
use crate::auth::runtime::clock::{self, Millis};

/// The pause if GitHub does not say how long.
const USUAL: Duration = Duration::from_mins(1);
/// The longest pause. The limits of a person begin anew each hour.
const LONGEST: Duration = Duration::from_hours(1);
/// People who are remembered.
const MOST: usize = 4096;

/// Until when a person's requests wait, by the digest of the access token.
#[derive(Default)]
pub(super) struct Pauses(Mutex<HashMap<[u8; 32], Millis>>);

impl Pauses {
    /// Requests with this token wait for so long.
    pub(super) fn note(&self, token: &str, pause: Duration) {
        let now = clock::now();
        let mut all = self.0.lock();
        if all.len() >= MOST {
            all.retain(|_, until| now < *until);
        }
        if all.len() >= MOST {
            all.clear();
        }
        all.insert(Sha256::digest(token).into(), now.saturating_add(clock::millis(pause)));
    }

    /// How long requests with this token still wait.
    pub(super) fn left(&self, token: &str) -> Option<Duration> {
        let digest: [u8; 32] = Sha256::digest(token).into();
        let mut all = self.0.lock();
        let left = all.get(&digest)?.saturating_sub(clock::now());
        if left == 0 {
            all.remove(&digest);
            return None;
        }
        Some(Duration::from_millis(left))
    }
}

impl std::fmt::Debug for Pauses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pauses({})", self.0.lock().len())
    }
}

/// The pause that a response asks for; `None` if it is none of a limit. A 403 without a sign of a limit is a
/// lack of rights. `now`: seconds since 1970.
pub(super) fn asked(status: StatusCode, headers: &HeaderMap, now: u64) -> Option<Duration> {
    if !matches!(status, StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS) {
        return None;
    }
    let number = |name: &str| -> Option<u64> { headers.get(name)?.to_str().ok()?.parse().ok() };
    let is_used_up = number("x-ratelimit-remaining") == Some(0);
    let reset = || number("x-ratelimit-reset").filter(|_| is_used_up);
    let seconds = number("retry-after").or_else(|| Some(reset()?.saturating_sub(now)));
    if seconds.is_none() && !is_used_up && status == StatusCode::FORBIDDEN {
        return None;
    }
    let pause = seconds.map_or(USUAL, Duration::from_secs);
    Some(pause.clamp(Duration::from_secs(1), LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_says_how_long_to_wait() {
        let ask = |status: u16, headers: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            asked(StatusCode::from_u16(status).unwrap(), &map, 1000).map(|pause| pause.as_secs())
        };
        let used_up = ("x-ratelimit-remaining", "0");
        for status in [403, 429] {
            assert_eq!(ask(status, &[("retry-after", "90")]), Some(90));
            assert_eq!(ask(status, &[("retry-after", "0")]), Some(1));
            assert_eq!(ask(status, &[("retry-after", "99999")]), Some(3600));
            assert_eq!(ask(status, &[used_up, ("x-ratelimit-reset", "1200")]), Some(200));
            assert_eq!(ask(status, &[used_up, ("x-ratelimit-reset", "7")]), Some(1));
            assert_eq!(ask(status, &[used_up]), Some(60));
        }
        assert_eq!(ask(429, &[]), Some(60));
        assert_eq!(ask(403, &[]), None, "a lack of rights");
        let left = [("x-ratelimit-remaining", "4999"), ("x-ratelimit-reset", "1200")];
        assert_eq!(ask(403, &left), None);
        assert_eq!(ask(401, &[("retry-after", "90")]), None);
    }

    #[test]
    fn a_pause_is_that_of_one_token_and_the_number_is_bounded() {
        let pauses = Pauses::default();
        pauses.note("a", Duration::from_mins(1));
        pauses.note("b", Duration::ZERO);
        assert!(pauses.left("a").is_some_and(|left| left > Duration::from_secs(50)));
        assert_eq!(pauses.left("b"), None);
        assert_eq!(pauses.left("c"), None);
        for n in 0..=MOST {
            pauses.note(&n.to_string(), Duration::from_mins(1));
        }
        assert!(pauses.0.lock().len() <= MOST);
    }
}
