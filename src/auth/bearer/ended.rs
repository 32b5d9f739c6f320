//! Tokens that were ended with the sessions of their person, until they expire: a token need not say when it
//! was issued, and the issuer's clock may be ahead, so that no mark in time reaches it.
//!
//! The memory is bounded, and forgetting one token would let it in again. Where there are too many, those of
//! the people who have most of them are replaced by one moment each: tokens of such a person are refused
//! unless they say that they were issued later. Where there are too many such people, the moment holds for
//! everybody. A program gets in again with a new token, and one person with many tokens shuts out nobody else.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::digest::Digest;
use crate::auth::runtime::clock::Millis;

/// How many tokens are remembered.
const MAX_TOKENS: usize = 16_384;
/// For how many people there is a moment.
const MAX_PEOPLE: usize = 1024;

/// For how long a moment holds for everybody. No usual issuer lets a token live longer. One token that says it
/// expires in the year 9999 would shut out all tokens that do not say when they were issued.
const LONGEST: Millis = 30 * 24 * 3_600_000;

/// The digest of a subject.
type Subject = Digest;

/// The tokens that were ended.
#[derive(Debug, Default, Clone)]
pub(super) struct Ended {
    tokens: HashMap<Digest, Token>,
    people: HashMap<Subject, Moment>,
    everybody: Option<Moment>,
}

#[derive(Debug, Clone, Copy)]
struct Token {
    subject: Subject,
    ends: Millis,
}

/// Tokens that may have been issued until `at` are refused.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Millis,
    /// The last of them expires.
    until: Millis,
}

impl Moment {
    fn join(&mut self, other: Self) {
        *self = Self { at: self.at.max(other.at), until: self.until.max(other.until) };
    }
}

impl Ended {
    /// Remembers a token that ends now, and would expire at `ends`.
    pub(super) fn add(&mut self, digest: Digest, subject: Subject, ends: Millis, now: Millis) {
        if let Some(moment) = self.people.get_mut(&subject) {
            return moment.join(Moment { at: now, until: ends });
        }
        self.tokens.insert(digest, Token { subject, ends });
        if self.tokens.len() > MAX_TOKENS {
            self.forget_expired(now);
        }
        if self.tokens.len() > MAX_TOKENS {
            self.forget_the_most(now);
        }
    }

    /// Makes room for many more at once: this looks at all tokens.
    fn forget_the_most(&mut self, now: Millis) {
        let mut counts: HashMap<Subject, usize> = HashMap::new();
        for token in self.tokens.values() {
            *counts.entry(token.subject).or_default() += 1;
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_unstable_by_key(|(_, count)| Reverse(*count));
        let mut left = self.tokens.len();
        let most = counts.into_iter().take_while(|(_, count)| {
            let is_needed = left > MAX_TOKENS / 4 * 3;
            left -= count;
            is_needed
        });
        self.people.extend(most.map(|(subject, _)| (subject, Moment { at: now, until: now })));
        let people = &mut self.people;
        self.tokens.retain(|_, token| {
            let moment = people.get_mut(&token.subject);
            moment.map(|moment| moment.join(Moment { at: now, until: token.ends })).is_none()
        });
        if self.people.len() > MAX_PEOPLE {
            let latest = now.saturating_add(LONGEST);
            for (_, moment) in self.people.drain() {
                let moment = Moment { until: moment.until.min(latest), ..moment };
                self.everybody.get_or_insert(moment).join(moment);
            }
        }
    }

    /// Whether this token was ended.
    pub(super) fn has(&self, digest: &Digest) -> bool {
        self.tokens.contains_key(digest)
    }

    /// Whether a token that nobody remembers may be one that was ended. `not_before`: it was issued later than
    /// that; `None` if it does not say when.
    pub(super) fn may_have(&self, subject: &Subject, not_before: Option<Millis>) -> bool {
        let moments = self.people.get(subject).into_iter().chain(&self.everybody);
        let reaches = |moment: &Moment| not_before.is_none_or(|issued| issued <= moment.at);
        moments.into_iter().any(reaches)
    }

    /// Forgets what has expired.
    pub(super) fn forget_expired(&mut self, now: Millis) {
        self.tokens.retain(|_, token| now < token.ends);
        self.people.retain(|_, moment| now < moment.until);
        self.everybody = self.everybody.filter(|moment| now < moment.until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Millis = 3_600_000;

    fn digest(number: usize) -> Digest {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&number.to_be_bytes());
        digest
    }

    #[test]
    fn an_ended_token_stays_out_however_many_there_are() {
        let mut ended = Ended::default();
        let (mallory, alice, bob) = (digest(1), digest(2), digest(3));
        ended.add(digest(9), alice, HOUR, 1000);
        for number in 10..10 + 3 * MAX_TOKENS {
            ended.add(digest(number), mallory, HOUR, 2000);
            assert!(ended.tokens.len() <= MAX_TOKENS);
            let is_out = ended.has(&digest(number)) || ended.may_have(&mallory, None);
            assert!(is_out, "{number}");
        }
        assert!(ended.has(&digest(9)), "a token of somebody else is not forgotten");
        for (subject, not_before, refused) in [
            (mallory, None, true),
            (mallory, Some(1500), true),
            (mallory, Some(2000), true),
            (mallory, Some(2001), false),
            (alice, None, false),
            (bob, None, false),
        ] {
            assert_eq!(ended.may_have(&subject, not_before), refused, "{not_before:?}");
        }
        // Later ends of the same person count as well.
        ended.add(digest(8), mallory, 2 * HOUR, 3000);
        assert!(ended.may_have(&mallory, Some(2500)));
        ended.forget_expired(HOUR);
        assert!(!ended.has(&digest(9)) && ended.may_have(&mallory, None));
        ended.forget_expired(2 * HOUR);
        assert!(!ended.may_have(&mallory, None) && ended.people.is_empty());
    }

    #[test]
    fn many_people_with_many_tokens_are_bounded_too() {
        let mut ended = Ended::default();
        for person in 0..=MAX_PEOPLE {
            ended.people.insert(digest(person), Moment { at: 5, until: HOUR });
        }
        for number in 0..=MAX_TOKENS {
            ended.add(digest(number), digest(usize::MAX - number % 2), HOUR, 7);
        }
        assert!(ended.people.is_empty() && ended.tokens.len() <= MAX_TOKENS);
        let nobody = digest(usize::MAX / 2);
        assert!(ended.may_have(&nobody, None) && ended.may_have(&nobody, Some(7)));
        assert!(!ended.may_have(&nobody, Some(8)), "new tokens are good");
    }

    #[test]
    fn a_token_that_never_expires_does_not_shut_out_everybody_for_ever() {
        let (mallory, nobody) = (digest(usize::MAX), digest(usize::MAX / 2));
        let full = |until: Millis| {
            let mut ended = Ended::default();
            for person in 0..MAX_PEOPLE {
                ended.people.insert(digest(person), Moment { at: 5, until: HOUR });
            }
            for number in 0..=MAX_TOKENS {
                ended.add(digest(number), mallory, until, 7);
            }
            ended
        };
        for until in [Millis::MAX, LONGEST + 8, LONGEST + 7, 2 * HOUR] {
            let mut ended = full(until);
            let end = until.min(LONGEST + 7);
            ended.forget_expired(end - 1);
            assert!(ended.may_have(&nobody, None), "{until}");
            ended.forget_expired(end);
            assert!(!ended.may_have(&nobody, None), "{until}");
        }
        // A moment of one person holds as long as the tokens.
        let mut ended = Ended::default();
        for number in 0..=MAX_TOKENS {
            ended.add(digest(number), mallory, Millis::MAX, 7);
        }
        ended.forget_expired(2 * LONGEST);
        assert!(ended.may_have(&mallory, None) && !ended.may_have(&nobody, None));
    }

    #[test]
    fn what_has_expired_makes_room_first() {
        let mut ended = Ended::default();
        for number in 0..MAX_TOKENS {
            ended.add(digest(number), digest(1), HOUR, 0);
        }
        ended.add(digest(MAX_TOKENS), digest(1), 3 * HOUR, 2 * HOUR);
        assert_eq!((ended.tokens.len(), ended.people.len()), (1, 0));
    }
}
