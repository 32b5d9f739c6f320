//! A mutex for short, synchronous steps.
//!
//! A panic inside such a step cannot leave half a change behind (they insert, remove, look up), so
//! poison says nothing and everybody else may go on.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Shared state that is held for a moment and never across an await.
#[derive(Debug, Default)]
pub(crate) struct Guarded<T>(Mutex<T>);

impl<T> Guarded<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
