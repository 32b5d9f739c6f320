//! How far the setup of a changed app is, while the former process runs.

use tokio_util::task::AbortOnDropHandle;

use crate::supervisor::life::event::Generation;

/// The setup of a changed app beside its running process.
#[derive(Debug)]
pub(in crate::supervisor::actor) enum Preparation {
    /// The setup with this number runs. Dropping it kills its processes.
    Runs {
        number: Generation,
        _setup: AbortOnDropHandle<()>,
    },
    Failed,
}

impl Preparation {
    /// What an operator should know.
    pub(in crate::supervisor::actor) fn reason(&self) -> String {
        match self {
            Self::Runs { .. } => {
                "the setup of its changed configuration runs; the app is restarted afterwards"
            }
            Self::Failed => {
                "the setup of its changed configuration failed, see the log; the app runs as before"
            }
        }
        .to_owned()
    }
}
