//! Ports that the file leaves to us, and the placeholders that wait for them.

use super::Config;

impl Config {
    /// Chooses a free port on 127.0.0.1 for every app that needs one and was given none, then
    /// replaces `{port}` in commands, environments and probes and points upstreams, probes and
    /// the issuer's calls at it.
    pub fn assign_ports(&mut self) -> std::io::Result<()> {
        todo!()
    }
}
