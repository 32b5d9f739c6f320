//! What a probe asks, and the outcome of a question.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{App, mask};
use crate::supervisor::life::event::Answer;
use crate::supervisor::port::owner::Owner;
use crate::supervisor::process::child::files::Files;
use crate::supervisor::process::reaper::Reaper;

/// The app that a probe asks, and what asking needs.
#[derive(Debug)]
pub(crate) struct Target<'a> {
    pub(crate) app: Arc<App>,
    pub(crate) state_dir: Arc<Path>,
    pub(crate) reaper: &'a Reaper,
    pub(crate) files: Files,
    /// Whose the listener has to be; `None` for an app that runs elsewhere.
    pub(crate) owner: Option<Arc<Owner>>,
}

impl Target<'_> {
    /// Asks the owner of the listeners; `None` for an app that runs elsewhere. Looks at processes, and so
    /// does not keep the caller's thread waiting.
    pub(super) async fn of_owner<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Owner) -> T + Send + 'static,
    ) -> Option<T> {
        let owner = self.owner.clone()?;
        Some(self.reaper.aside(move || ask(&owner)).await)
    }
}

/// The outcome of a question. `detail` explains an answer that is not a success.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) answer: Answer,
    pub(crate) detail: String,
}

/// A success, or the reason why there is none.
pub(super) type Verdict = Result<(), String>;

pub(super) fn timed_out(limit: Duration) -> Outcome {
    let detail = format!("no answer within {}", humantime::format_duration(limit));
    Outcome { answer: Answer::Timeout, detail }
}

impl From<Verdict> for Outcome {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Ok(()) => Self { answer: Answer::Yes, detail: String::new() },
            // The path of a probe, and where an app redirects it to, may contain a secret.
            Err(detail) => Self { answer: Answer::No, detail: mask::text(&detail) },
        }
    }
}
