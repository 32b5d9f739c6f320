//! Who a probe asks, and what comes of it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

use crate::config::App;
use crate::supervisor::life::event::Answer;
use crate::supervisor::port::owner::Owner;
use crate::supervisor::process::reaper::Reaper;

/// How TLS is spoken to an app that runs elsewhere: as the requests to it do.
pub type Tls = fn() -> Result<Arc<ClientConfig>, &'static String>;

/// Whom a probe asks.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) app: &'a App,
    pub(crate) state_dir: &'a Path,
    pub(crate) reaper: &'a Reaper,
    pub(crate) tls: Tls,
    /// Whose the listener has to be; `None` for an app that runs elsewhere.
    pub(crate) owner: Option<&'a Owner>,
}

/// An answer, and for people what it was unless it was a yes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    pub(crate) words: String,
}

/// A yes, or what was heard instead of one.
pub(super) type Verdict = Result<(), String>;

pub(super) fn silence(limit: Duration) -> Outcome {
    let words = format!("no answer within {}", humantime::format_duration(limit));
    Outcome { answer: Answer::Silence, words }
}

impl From<Verdict> for Outcome {
    fn from(told: Verdict) -> Self {
        match told {
            Ok(()) => Self { answer: Answer::Yes, words: String::new() },
            Err(words) => Self { answer: Answer::No, words },
        }
    }
}
