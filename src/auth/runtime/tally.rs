//! Counts logins and refreshes.

use std::sync::atomic::{AtomicU64, Ordering};

/// The counters; they outlive the configuration.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    logins: [AtomicU64; 2],
    refreshes: [AtomicU64; 3],
}

/// How a login ended whose browser came back.
#[derive(Debug, Clone, Copy)]
pub(crate) enum LoginResult {
    Success,
    Failure,
}

/// How a refresh ended.
#[derive(Debug, Clone, Copy)]
pub(crate) enum RefreshResult {
    Success,
    /// The issuer gave no verdict: the session stays.
    Failure,
    /// The session has ended.
    Ended,
}

impl Tally {
    pub(crate) fn login(&self, result: LoginResult) {
        self.logins[result as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn refresh(&self, result: RefreshResult) {
        self.refreshes[result as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Logins by result.
    pub(crate) fn logins(&self) -> Vec<(&'static str, u64)> {
        named(&["success", "failure"], &self.logins)
    }

    /// Refreshes by result.
    pub(crate) fn refreshes(&self) -> Vec<(&'static str, u64)> {
        named(&["success", "failure", "ended"], &self.refreshes)
    }
}

fn named(names: &[&'static str], counters: &[AtomicU64]) -> Vec<(&'static str, u64)> {
    let counts = counters.iter().map(|counter| counter.load(Ordering::Relaxed));
    names.iter().copied().zip(counts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_result_has_its_name() {
        let tally = Tally::default();
        tally.login(LoginResult::Failure);
        tally.refresh(RefreshResult::Ended);
        tally.refresh(RefreshResult::Ended);
        tally.refresh(RefreshResult::Failure);
        assert_eq!(tally.logins(), [("success", 0), ("failure", 1)]);
        assert_eq!(tally.refreshes(), [("success", 0), ("failure", 1), ("ended", 2)]);
    }
}
