//! What the proxy keeps for the console, mostly over reloads.

use std::sync::Arc;

use tokio::sync::{Semaphore, watch};

use super::super::operators::Operators;
use super::log::MOST_READERS;
use super::room::Console;
use crate::config::Config;
use crate::proxy::links::AppLinks;
use crate::proxy::phases::refusals::Refusals;

/// The console's part of a proxy.
#[derive(Debug)]
pub(in crate::proxy) struct ConsoleParts {
    /// The people who may use the console.
    pub operators: Arc<Operators>,
    /// The operators in force, for logs that are read for longer than a configuration.
    pub in_force: Arc<watch::Sender<Arc<Operators>>>,
    /// Answers; `None` where nothing is known of processes.
    pub room: Option<Arc<dyn Console>>,
    /// The newest refused requests.
    pub refusals: Arc<Refusals>,
    /// The places of those who read a log.
    pub readers: Arc<Semaphore>,
}

impl ConsoleParts {
    /// The parts of a configuration, which continue those `before`.
    pub(in crate::proxy) fn new(config: &Config, links: &AppLinks, before: Option<&Self>) -> Self {
        let operators = Arc::new(Operators::new(config));
        let (in_force, refusals, readers) = match before {
            Some(Self { in_force, refusals, readers, .. }) => {
                (Arc::clone(in_force), Arc::clone(refusals), Arc::clone(readers))
            }
            None => (
                Arc::new(watch::Sender::new(Arc::clone(&operators))),
                Arc::default(),
                Arc::new(Semaphore::new(MOST_READERS)),
            ),
        };
        Self { operators, in_force, room: links.console.clone(), refusals, readers }
    }

    /// These operators are in force from now on.
    pub(in crate::proxy) fn take_over(&self) {
        self.in_force.send_replace(Arc::clone(&self.operators));
    }
}
