//! A mutex that ignores poisoning.
//!
//! `auth` holds a lock only for short synchronous steps: insert, remove, look up. A panic inside
//! such a step cannot leave a half-made change behind, so other threads may keep using the value.

use std::sync::{MutexGuard, PoisonError};

/// Shared state that is locked briefly and never across an `.await`.
#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(std::sync::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
