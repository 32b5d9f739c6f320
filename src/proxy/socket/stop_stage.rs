//! The stage of a stop of the appliance. Every connection and every tunnel watches it.

/// How far the stop of the appliance has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopStage {
    /// The appliance is running; no stop was requested.
    Running,
    /// No new connections are accepted; requests in flight may finish.
    Draining,
    /// The time for the stop is used up: every connection is closed.
    Closing,
}
