//! Events: what happens to an app.

use std::time::Duration;

use crate::supervisor::exit::Exit;

/// Number of an incarnation; grows with every spawn.
pub(crate) type Generation = u64;

/// What happened to the app.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// A command: start with fresh counters.
    Start,
    /// The first-time setup is due: run it.
    SetUp,
    /// The first-time setup has ended; whether it succeeded.
    SetUpEnded(Generation, bool),
    /// The setup of a changed app, which ran beside the process, has ended; with its number, and whether
    /// it succeeded. The life of the app stays as it is.
    SuccessorSetUp(Generation, bool),
    /// All dependencies are met: the app may start.
    Proceed,
    /// The process is running.
    Spawned(Generation),
    /// The process could not be started; with the exit code that a shell would give, if any.
    NotSpawned(Generation, Option<i32>),
    /// The leader of the process group has ended; [`Self::Exited`] follows.
    LeaderEnded(Generation),
    /// The leader of the process group has ended; `survivors`: other members, or daemons that have
    /// left the group, are still running.
    Exited { generation: Generation, exit: Exit, survivors: bool },
    /// No member of the process group and no daemon is left.
    Gone(Generation),
    /// Answer of the `ready` probe.
    Ready(Generation, Answer),
    /// Answer of the `live` probe.
    Live(Generation, Answer),
    /// The app uses too much memory.
    TooMuchMemory(Generation, Excess),
    /// Stop the app; it may take at most `within`.
    Stop { within: Duration },
    /// Stop the app, because nobody uses it.
    Sleep,
    /// Start the app if it was stopped because nobody used it.
    Wake(Need),
    /// Stop the app and start it again.
    Restart,
    /// Kill the app at once.
    Kill,
    /// A timer may have expired.
    Tick,
}

/// What an app that nobody used is started for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Need {
    /// A request.
    Request,
    /// The hours of its `keep_warm`.
    Hours,
}

/// What an app uses in bytes, and what it may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Excess {
    pub(crate) used: u64,
    pub(crate) limit: u64,
}

/// Answer of a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Yes,
    No,
    /// No answer in time.
    Timeout,
}
