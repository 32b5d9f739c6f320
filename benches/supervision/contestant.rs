//! What the appliance and its peer have in common.

use std::process::Child;

/// A supervisor whose apps sleep. Its drop ends the supervisor.
pub trait Contestant {
    fn start(apps: usize) -> Self;
    fn pid(&self) -> i32;
    /// Writes its file, in which one app has changed since another `number`.
    fn write(&self, apps: usize, number: usize);
    /// Starts the command that reads the file again.
    fn reload(&self) -> Child;
}
