//! What an app's life asks for.

use std::time::Duration;

use super::event::Generation;
use crate::supervisor::exit::Exit;

/// What has to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Start the process and its `ready` probe.
    Spawn(Generation),
    /// Start the `live` probe.
    AskLive(Generation),
    /// Stop all probes.
    Quiet,
    /// Send the stop signal to the group; once the leader has ended, also to what left the group.
    Ask(Generation),
    /// Send the stop signal to what the leader left behind outside of its group.
    AskDaemons(Generation),
    /// Kill the group, and what left it.
    Kill(Generation),
    /// Look whether all of it has gone.
    Look(Generation),
    /// The appliance has to end with this code.
    Fail(u8),
    /// Tell people.
    Say(Note),
}

/// What people are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    Ready { after: Duration },
    ReadyAgain,
    Unready,
    Late(Duration),
    Hangs(u32),
    Killed,
    Undead,
    Restarts { after: Duration },
    Stopped,
    Finished,
    Failed { exit: Option<Exit>, why: &'static str },
}
