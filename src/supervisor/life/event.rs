//! What happens to an app.

use std::time::Duration;

use crate::supervisor::exit::Exit;

/// Number of an incarnation: grows with every spawn.
pub(crate) type Generation = u64;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// It is to run, with fresh counters.
    Start,
    /// What it waited for is there.
    Go,
    /// Its process runs.
    Spawned(Generation),
    /// Its process could not be started; with the code that a shell would give.
    NotSpawned(Generation, Option<i32>),
    /// Its leader has ended, and how is not told yet.
    LeaderEnded(Generation),
    /// Its leader has ended; `survivors`: members of its group, or what left the group, have not.
    Exited { generation: Generation, exit: Exit, survivors: bool },
    /// Nothing of it is left.
    Gone(Generation),
    /// What its `ready` probe heard.
    Ready(Generation, Answer),
    /// What its `live` probe heard.
    Live(Generation, Answer),
    /// It is to end, politely at most that long.
    Stop { within: Duration },
    /// It is to end and to start again.
    Restart,
    /// It is to end at once.
    Kill,
    /// Time has passed.
    Tick,
}

/// What a probe heard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    /// Nothing in time.
    Silence,
}
