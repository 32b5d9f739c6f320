//! How a stop of the appliance reaches every open socket.

/// How far the stop of the appliance is. Connections and tunnels watch it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The appliance is running.
    No,
    /// No new connections are accepted; requests in flight may finish.
    Draining,
    /// The time for the stop is used up: every connection is closed.
    Now,
}
