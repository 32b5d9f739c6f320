//! Actions: what the state machine asks the actor to do.

use std::time::Duration;

use super::event::{Excess, Generation, Need};
use crate::supervisor::exit::Exit;

/// What the actor has to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Run the first-time setup.
    SetUp(Generation),
    /// Kill the processes of the first-time setup.
    StopSetup,
    /// Start the process.
    Spawn(Generation),
    /// Start the `ready` probe.
    StartReadyProbe(Generation),
    /// Start the `live` probe.
    StartLiveProbe(Generation),
    /// Stop all probes.
    StopProbes,
    /// Send the stop signal to the process group; after the exit of the leader also to the daemons.
    Terminate(Generation),
    /// Send the stop signal to the daemons: processes of the app outside of its process group.
    TerminateDaemons(Generation),
    /// Kill the process group and the daemons.
    Kill(Generation),
    /// Check whether the process group and the daemons are gone.
    CheckGroup(Generation),
    /// Stop the appliance with this exit code: a critical app has failed.
    FailCritical(u8),
    /// Write a line to the log.
    Log(Note),
}

/// What the log says about an app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    Ready {
        after: Duration,
    },
    ReadyAgain,
    Unready,
    Late(Duration),
    Hangs(u32),
    TooMuchMemory(Excess),
    Killed,
    Unkillable,
    Restarts {
        after: Duration,
    },
    Stopped,
    /// Nobody uses the app.
    Asleep,
    /// The app is needed again.
    Wakes(Need),
    Finished,
    Failed {
        exit: Option<Exit>,
        why: &'static str,
    },
}
