//! The answer to one question.

use serde::Serialize;

/// How an answer is to be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but will not always, or not for everybody.
    Warning,
    /// Does not work.
    Failed,
    /// Could not be asked.
    Skipped,
}

impl Verdict {
    fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }
}

/// The answer to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was asked.
    pub(super) question: &'static str,
    pub(super) verdict: Verdict,
    /// What was found.
    pub(super) found: String,
    /// What to do now; empty if there is nothing to do.
    pub(super) advice: String,
}

impl Finding {
    pub(super) fn ok(question: &'static str, found: impl Into<String>) -> Self {
        Self { question, verdict: Verdict::Ok, found: found.into(), advice: String::new() }
    }

    pub(super) fn warning(
        question: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { question, verdict: Verdict::Warning, found: found.into(), advice: advice.into() }
    }

    pub(super) fn failed(
        question: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        Self { question, verdict: Verdict::Failed, found: found.into(), advice: advice.into() }
    }

    pub(super) fn skipped(question: &'static str, why: impl Into<String>) -> Self {
        Self { question, verdict: Verdict::Skipped, found: why.into(), advice: String::new() }
    }

    /// The lines for people.
    pub(super) fn lines(&self) -> String {
        let Self { question, verdict, found, advice } = self;
        let text = format!("{:<8} {question:<16} {found}\n", verdict.as_str());
        if advice.is_empty() { text } else { format!("{text}{:<25} → {advice}\n", "") }
    }
}
