//! How a reload is requested, and its outcome.

use tokio::sync::{mpsc, oneshot};

use super::protocol::Answer;
use crate::config::{Plan, Step};

/// A request to put the changed configuration file in force.
#[derive(Debug)]
pub struct ReloadRequest {
    /// Only say what would change.
    pub dry_run: bool,
    /// Where the outcome goes.
    pub reply: oneshot::Sender<ReloadOutcome>,
}

/// The outcome of a reload.
#[derive(Debug)]
pub struct ReloadOutcome {
    /// Exit code of the client: 0, or 78 for a file with errors.
    pub code: u8,
    /// What changes; `None` if nothing changes because of an error.
    pub plan: Option<Plan>,
    /// The errors.
    pub message: Option<String>,
}

/// Requests a reload and waits for its outcome. Returns the lines of the answer.
pub(super) async fn reload(
    requests: &mpsc::UnboundedSender<ReloadRequest>,
    dry_run: bool,
) -> Vec<Answer> {
    let (reply, outcome) = oneshot::channel();
    let sent = requests.send(ReloadRequest { dry_run, reply });
    let outcome = match sent {
        Ok(()) => outcome.await.ok(),
        Err(_) => None,
    };
    let Some(ReloadOutcome { code, plan, message }) = outcome else {
        let message = Some("the appliance is stopping".to_owned());
        return vec![Answer::Done { code: 1, message }];
    };
    let shown = plan.as_ref().map(|plan| Answer::Plan {
        plan: serde_json::to_value(plan).unwrap_or_default(),
        lines: lines(plan, dry_run),
    });
    shown.into_iter().chain([Answer::Done { code, message }]).collect()
}

/// The lines for people. After a reload, what stays the same is not worth a line.
fn lines(plan: &Plan, dry_run: bool) -> Vec<String> {
    let is_shown = |step: &&Step| dry_run || !matches!(step, Step::Keep { .. });
    let lines: Vec<_> = plan.steps.iter().filter(is_shown).map(ToString::to_string).collect();
    if lines.is_empty() { vec!["nothing has changed".to_owned()] } else { lines }
}
