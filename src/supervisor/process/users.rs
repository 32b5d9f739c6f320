//! The users that apps run as, and have run as since the start.
//!
//! An app that does not run may have left a process behind that nobody has noticed. Its user tells where
//! such a process comes from.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use crate::config::AppName;

/// The apps of each user. An app that was removed stays: there are no more than the operator has named.
#[derive(Debug, Default)]
pub(super) struct Users(Mutex<HashMap<u32, Vec<AppName>>>);

impl Users {
    /// Remembers the user of an app, or of a process of it.
    pub(super) fn remember(&self, app: &AppName, uid: u32) {
        let mut users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let apps = users.entry(uid).or_default();
        if apps.iter().all(|known| known.app() != app.app()) {
            apps.push(app.clone());
        }
    }

    /// The apps that have run as this user, or are meant to, the first one first. An app with several
    /// processes is there once, with the name of one of them.
    pub(super) fn apps(&self, uid: u32) -> Vec<AppName> {
        let users = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        users.get(&uid).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_app_of_a_user_is_remembered_once() {
        let users = Users::default();
        let name = |text: &str| AppName::of_process(text).unwrap();
        for (app, uid) in [("a.1", 7), ("b", 7), ("a.2", 7), ("b", 7), ("a.1", 8)] {
            users.remember(&name(app), uid);
        }
        assert_eq!(users.apps(7), [name("a.1"), name("b")]);
        assert_eq!(users.apps(8), [name("a.1")]);
        assert!(users.apps(9).is_empty());
    }
}
