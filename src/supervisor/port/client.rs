//! Which app a client of the front door is. A client of another machine is none.

use nix::unistd::geteuid;

use super::sock_diag;
use crate::config::{AppClients, AppName, ClientEnd};
use crate::supervisor::process::reaper::Reaper;

/// Asks the kernel for the user of a client, and the supervisor for the app with that user.
#[derive(Debug)]
pub(crate) struct ClientUsers(pub(crate) Reaper);

impl AppClients for ClientUsers {
    fn app_of(&self, client: ClientEnd) -> Option<AppName> {
        let user = match client {
            ClientEnd::Tcp(ends) => sock_diag::user_of_far_end(ends)?,
            ClientEnd::Unix(user) => user,
        };
        if user == geteuid().as_raw() { None } else { self.0.app_with_user(user) }
    }
}
